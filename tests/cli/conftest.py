"""`dynstream transcode` without networks: fakes in their place, and a folder of its own for the result."""

from pathlib import Path

import pytest

from dynstream.models.directions import directions as directions_module
from dynstream.models.directions.directions import Direction
from dynstream.pipelines.editor import load as load_module
from dynstream.pipelines.editor.face_editor import FaceEditor
from dynstream.pipelines.edits import text as text_module
from dynstream.pipelines.edits.edit import Edits

from ..pipelines import fakes


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, object]]:
    """Puts the fakes in the networks' place; the list gets what `load_editor` was asked for."""
    calls: list[dict[str, object]] = []

    def load_editor(zoo: object, edits: Edits, **options: object) -> FaceEditor:
        calls.append({"edits": edits.specs, **options})
        return fakes.editor(*(f"{spec.name}={spec.start}" for spec in edits.specs), mode=options["mode"])

    monkeypatch.setattr(load_module, "load_editor", load_editor)
    monkeypatch.setattr(directions_module, "load_directions", lambda: fakes.DIRECTIONS)
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # no pair to sign with
    monkeypatch.setenv("COLUMNS", "200")
    return calls


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.mp4"


@pytest.fixture
def read_by_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are read by the table of phrases alone, without MiniLM."""

    def load_text_reader(_zoo: object, directions: dict[str, Direction]) -> text_module.TextReader:
        return text_module.make_text_reader(text_module.TableOnly(), directions)

    monkeypatch.setattr(text_module, "load_text_reader", load_text_reader)
