"""`dynstream evaluate`: what it prints and writes, and how it says no."""

import json
from pathlib import Path

import pytest

from dynstream.cli.main import main

from ...stream.media import Clip, make


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make(tmp_path / "clip.mp4", Clip(pts=range(0, 512 * 4, 512), audio=None))


QUICK = ("--metrics", "time", "--flow", "dis", "--no-cache", "--progress", "none")


def test_table_json_and_report(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, report = tmp_path / "numbers.json", tmp_path / "report.html"
    assert run(str(clip), str(clip), *QUICK, "--json", str(numbers), "--html", str(report)) == 0
    out = capsys.readouterr().out
    assert "warp-error-ratio" in out
    assert "No face in frames 0-3 of the source" in out
    data = json.loads(numbers.read_text())
    assert data["frames"] == 4
    assert report.read_text().startswith("<!DOCTYPE html>")
    first = numbers.read_bytes(), report.read_bytes()
    assert (
        run("videos", str(clip), str(clip), *QUICK, "--json", str(numbers), "--html", str(report), "--overwrite") == 0
    )
    assert (numbers.read_bytes(), report.read_bytes()) == first


def test_an_existing_file_is_not_replaced(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = tmp_path / "numbers.json"
    numbers.write_text("mine")
    assert run(str(clip), str(clip), *QUICK, "--json", str(numbers)) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert numbers.read_text() == "mine"


def test_unequal_videos(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make(tmp_path / "other.mp4", Clip(pts=range(0, 512 * 3, 512), audio=None))
    report = tmp_path / "report.html"
    assert run(str(clip), str(other), *QUICK, "--html", str(report)) == 2
    assert "pass --align" in capsys.readouterr().err
    assert list(tmp_path.glob("*.html")) == []
    assert run(str(clip), str(other), *QUICK, "--align") == 0
    assert "1 of 4 frames have no partner" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metrics", "speed"), "unknown metrics 'speed'"),
        (("--flow", "farneback"), "expected one of raft, dis"),
        (("--edit", "beard=1"), "nothing scores it"),
        (("--edit", "smile"), "cannot read the edit"),
        (("--stats", "no.json"), "no.json"),
    ],
)
def test_wrong_options(
    clip: Path,
    arguments: tuple[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(clip.parent)
    assert run(str(clip), str(clip), *QUICK, *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_missing_optional_file_is_said(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(clip), str(clip), *QUICK, "--metrics", "distribution", "--i3d", str(tmp_path / "no.pt")) == 2
    assert "cannot be read as TorchScript" in capsys.readouterr().err


def test_a_missing_video(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(clip), str(clip.parent / "none.mp4"), *QUICK) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--help",), ("videos", "--help")])
def test_help(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    assert "SOURCE" in capsys.readouterr().out
