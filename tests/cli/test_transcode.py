"""`dynstream transcode` with fakes for the networks: what it refuses, what it says, and that it does the work."""

import json
import os
from pathlib import Path

import pytest

from dynstream.pipelines.editor.face_editor import FaceEditor
from dynstream.pipelines.fitting import refinement as refine_module
from dynstream.pipelines.fitting.pivotal_tuning import FitSettings

from ..pipelines import fakes
from ..pipelines.fakes import scene, write_clip
from .transcoding import read, run

pytestmark = pytest.mark.usefixtures("asked")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", [scene((96 + i, 60)) for i in range(6)])


def test_it_does_the_work(
    source: Path, target: Path, asked: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, "--edit", "smile=1", "--edit", "age=-1", "--faces", "2", "--crf", "5") == 0
    assert len(read(target)) == 6
    (call,) = asked
    assert [(spec.name, spec.start) for spec in call["edits"]] == [("smile", 1), ("age", -1)]  # type: ignore[attr-defined]
    assert {name: call[name] for name in ("mode", "faces", "generator", "backend")} == {
        "mode": "detail", "faces": "2", "generator": "mobilestylegan", "backend": "mesh",
    }  # fmt: skip
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{target}: 6 frames, " in captured.err
    assert "(6 edited)" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--edit", "smlie=2"], "unknown edit 'smlie'; known are age, smile; did you mean 'smile'?"),
        (["--edit", "smile"], "cannot read the edit 'smile'; expected NAME=STRENGTH"),
        (["--edit", "smile=0:3@5s-2s"], "the ramp ends at 2.0 s, before its start"),
        (["--edit", "smile=1", "--edit", "smile=2"], "'smile' is given twice"),
        ([], "nothing to do: give an edit"),
        (["--edit", "smile=1", "--mode", "paste"], "unknown mode 'paste'; expected one of detail, replace"),
        (["--edit", "smile=1", "--progress", "loud"], "expected one of auto, bar, ffmpeg, none, got 'loud'"),
        (["--edit", "smile=1", "--refine", "-1"], "--refine"),
        (["--edit", "smile=1", "--codec", "nonsense"], "nonsense"),
        (["--edit", "smile=1", "--crf", "-1"], "--crf"),
        (["--preset", "missing.toml"], "cannot read the preset missing.toml"),
        (["--edit", "smile=1", "--stats", "no/such/folder/s.json"], "does not exist"),
        (["--edit", "smile=1", "--encode-every", "0"], "auto or a number of frames of 1 or more, got '0'"),
        (["--edit", "smile=1", "--encode-every", "2", "--first-frame-edit"], "leave out --encode-every"),
    ],
)
def test_what_a_user_got_wrong(
    options: list[str], message: str, source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, *options) == 2
    captured = capsys.readouterr()
    said = " ".join(captured.err.replace("│", " ").split())
    assert message in said
    assert "Traceback" not in captured.err
    assert os.listdir(target.parent) == []


def test_a_strength_outside_the_range_is_a_warning(
    source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, "--edit", "smile=9") == 0
    assert "Warning: smile=9 is outside -3..3" in capsys.readouterr().err


@pytest.mark.usefixtures("read_by_table")
def test_edits_in_words(
    source: Path, target: Path, asked: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--text", "much older, taller and a big smile:0:1@2s", "--text-strength", "0.5", "--edit", "age=1"]
    assert run(source, target, *words) == 0
    (call,) = asked
    assert [str(spec) for spec in call["edits"]] == ["0:1.05@0s-2s", "1"]  # type: ignore[attr-defined]
    said = capsys.readouterr().err
    assert "'much older, taller and a big smile': age +1.4, smile +1.05" in said
    assert "not understood: 'taller'" in said
    assert "--edit age goes before what the words say of it" in said


@pytest.mark.usefixtures("read_by_table")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", ""], "has no words"),
        (["--text", "make him taller"], "nothing in it is an edit"),
        (["--text", "older and younger"], "contradicts itself"),
        (["--text", "older", "--text-strength", "nan"], "a strength of nan: expected a finite number"),
        (["--text", "older", "--text-strength", "much"], "Invalid value for '--text-strength'"),
        (["--edit", "smile=1", "--text-from", "a man"], "--text-from describes the face before --text changes it"),
    ],
)
def test_words_that_cannot_be_done(
    options: list[str], message: str, source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, *options) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert os.listdir(target.parent) == []


def test_words_without_the_weights_to_read_them(source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, target, "--text", "older", "--offline") == 2
    assert "minilm" in capsys.readouterr().err


def test_a_preset(source: Path, target: Path, tmp_path: Path, asked: list[dict[str, object]]) -> None:
    (tmp_path / "p.toml").write_text("[edits]\nage = 1\nsmile = 1\n")
    assert run(source, target, "--preset", tmp_path / "p.toml", "--edit", "smile=2") == 0
    specs = asked[0]["edits"]
    assert [(spec.name, spec.start) for spec in specs] == [("age", 1), ("smile", 2)]  # type: ignore[attr-defined]


def test_replace_needs_no_edit(source: Path, target: Path) -> None:
    assert run(source, target, "--mode", "replace") == 0
    assert len(read(target)) == 6


def test_stats(source: Path, target: Path, tmp_path: Path) -> None:
    assert run(source, target, "--edit", "smile=1", "--stats", tmp_path / "s.json") == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["frames"], stats["outcomes"]) == (6, {"edited": 6})
    assert (stats["source"], stats["result"]) == (str(source), str(target))
    for stage in ("decode", "track", "align", "invert", "synthesize", "composite", "encode"):
        assert set(stats["stages"][stage]) == {"count", "mean_ms", "p50_ms", "p95_ms"}
    assert stats["seconds"] > 0


def test_stats_that_cannot_be_written_do_not_cost_the_result(
    source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").mkdir()
    assert run(source, target, "--edit", "smile=1", "--stats", tmp_path / "s.json") == 2
    assert "is written, but the numbers in" in capsys.readouterr().err
    assert len(read(target)) == 6


def test_ffmpeg_progress_ends_once(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refine_clip(
        editor: FaceEditor, *_: object, settings: FitSettings, progress: object, **_options: object
    ) -> FaceEditor:
        for number in range(settings.steps):
            progress(number + 1)  # type: ignore[operator]
        return editor

    monkeypatch.setattr(refine_module, "refine_clip", refine_clip)
    assert run(source, target, "--edit", "smile=1", "--refine", "3", "--progress", "ffmpeg") == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("progress=")][-1] == "progress=end"
    assert lines.count("progress=end") == 1
    values = dict(line.split("=", 1) for line in lines if "=" in line and " " not in line)
    assert values["frame"] == "6"
    assert values["out_time"] == "00:00:00.240000"


def test_refine_gives_the_editor_that_is_used(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, object]] = []
    refined = fakes.editor("smile=1")

    def refine_clip(_editor: FaceEditor, clip: Path, _zoo: object, **options: object) -> FaceEditor:
        asked.append((options["settings"], options["one"]))
        assert clip == source
        return refined

    monkeypatch.setattr(refine_module, "refine_clip", refine_clip)
    command = ("--edit", "smile=1", "--refine", "7", "--refine-seconds", "9", "--faces", "all", "--draw-every", "1")
    assert run(source, target, *command) == 0
    assert asked == [(FitSettings(steps=7, seconds=9), False)]
    assert len(refined.renderer.generator.asked) == 12  # type: ignore[attr-defined]


def test_encode_every(source: Path, target: Path, tmp_path: Path) -> None:
    assert (
        run(
            source,
            target,
            "--edit",
            "smile=1",
            "--encode-every",
            "4",
            "--draw-every",
            "1",
            "--stats",
            tmp_path / "s.json",
        )
        == 0
    )
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["calls"], stats["outcomes"]) == ({"encoded": 2, "drawn": 6}, {"edited": 6})
