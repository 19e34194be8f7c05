"""`dynstream demo` on a made clip, with fakes for every network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynstream.cli import demo
from dynstream.cli.main import main

from ..pipelines.fakes import DIRECTIONS, editor, scene, write_clip


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the weights and the editor."""
    clip = write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(10)])
    said: list[str] = []

    class FakeZoo:
        def path(self, name: str) -> Path:
            said.append(name)
            return clip

    @contextmanager
    def open_zoo(**options: object) -> Iterator[FakeZoo]:
        said.append(f"offline={options['offline']}")
        yield FakeZoo()

    def load_editor(_zoo: object, edits: object) -> object:
        texts = [f"{spec.name}={spec.start:g}" for spec in edits.specs]  # type: ignore[attr-defined]
        said.extend(texts)
        return editor(*texts)

    monkeypatch.setattr(demo, "open_zoo", open_zoo)
    monkeypatch.setattr("dynstream.models.directions.directions.load_directions", lambda: DIRECTIONS)
    monkeypatch.setattr("dynstream.pipelines.editor.load.load_editor", load_editor)
    return said


def test_it_says_where_everything_lies(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    for _ in range(2):
        assert run("--out", str(folder)) == 0
        captured = capsys.readouterr()
        lines = dict(line.split(":", 1) for line in captured.out.splitlines())
        assert list(lines) == ["Source", "Result", "Side by side", "Contact sheet"]
        files = [Path(path.strip()) for path in lines.values()]
        assert sorted(files) == sorted(folder.iterdir())
        assert "10 frames" in captured.err
        assert "(10 edited)" in captured.err
    assert asked == ["offline=False", "sample-clip", "smile=2"] * 2


def test_other_edits_and_fewer_seconds(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--edit", "smile=1", "--edit", "age=9", "--seconds", "0.2", "--offline", "--progress", "ffmpeg"]
    assert run("--out", str(tmp_path / "demo"), *options) == 0
    assert asked == ["offline=True", "sample-clip", "smile=1", "age=9"]
    err = capsys.readouterr().err
    assert "(5 edited)" in err
    assert "age=9 is outside -3..3" in err
    assert "progress=end" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--edit", "smille=2"], "unknown edit 'smille'; known are age, smile"),
        (["--seconds", "0"], "--seconds"),
        (["--progress", "loud"], "expected one of auto, bar, ffmpeg, none"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_fetched(
    asked: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert asked == []


def test_a_folder_that_cannot_be_made(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run("--out", str(tmp_path / "file")) == 2
    assert "name another one with --out FOLDER" in capsys.readouterr().err
