"""What a stream had is found again, as far as it is still meant, and a damaged file is no fault."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dynstream.pipelines.serve.kept_settings import KEPT_SECONDS, KeptSettings
from dynstream.pipelines.serve.settings import ServeSettings
from dynstream.pipelines.serve.settings_error import ServeSettingsError
from dynstream.pipelines.serve.stream_settings import StreamSettings
from dynstream.pipelines.serve.stub_engine import STUB_CHOICES, StubEngine

PLAIN = StreamSettings()
SET = replace(PLAIN, edits={"smile": 1.0}, mode="replace", faces="2", max_latency_ms=300.0, paused=True)


def find(kept: KeptSettings, name: str = "stage") -> StreamSettings:
    return kept.find(name, PLAIN, STUB_CHOICES, StubEngine.modes)


def test_edits_and_choices_are_kept_and_a_pause_is_not(tmp_path: Path) -> None:
    KeptSettings(tmp_path).note("stage", SET)
    assert find(KeptSettings(tmp_path)) == replace(SET, paused=False)
    assert find(KeptSettings(tmp_path), "other") == PLAIN
    assert find(KeptSettings(None)) == PLAIN


def test_a_file_is_written_where_something_changed(tmp_path: Path) -> None:
    kept = KeptSettings(tmp_path)
    kept.note("stage", SET)
    (tmp_path / "stage.json").unlink()
    kept.note("stage", replace(SET, paused=False))
    assert not list(tmp_path.iterdir())
    kept.note("stage", PLAIN)
    assert find(kept) == PLAIN


def test_an_old_stream_begins_anew(tmp_path: Path) -> None:
    now = 1e9
    kept = KeptSettings(tmp_path, lambda: now)
    kept.note("stage", SET)
    os.utime(tmp_path / "stage.json", (now, now - KEPT_SECONDS - 1))
    assert find(kept) == PLAIN
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", json.dumps({"edits": {"gone": 1}, "mode": "detail", "faces": "all"}), "\ud800"]
)
def test_what_cannot_be_used_is_left(tmp_path: Path, text: str) -> None:
    (tmp_path / "stage.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert find(KeptSettings(tmp_path)) == PLAIN


def test_a_folder_that_is_not_there_is_told_at_the_start_and_is_no_fault_later(tmp_path: Path) -> None:
    with pytest.raises(ServeSettingsError, match="mkdir -p"):
        ServeSettings(keep=tmp_path / "gone")
    KeptSettings(tmp_path / "gone").note("stage", SET)
