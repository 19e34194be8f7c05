"""`dynstream transcode --fps` with fakes for the networks: what it says, counts and refuses."""

import json
from pathlib import Path

import pytest

from ..pipelines.fakes import scene, write_clip
from .transcoding import read, run

pytestmark = pytest.mark.usefixtures("asked")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", [scene((96 + i, 60)) for i in range(6)], rate=15)


def test_counts_and_progress_are_of_what_is_written(
    source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (
        "--fps",
        "45",
        "--progress",
        "ffmpeg",
        "--stats",
        tmp_path / "s.json",
        "--encode-every",
        "3",
        "--draw-every",
        "1",
    )
    assert run(source, target, "--edit", "smile=1", *options) == 0
    assert len(read(target)) == 18
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["frames"], stats["made"], stats["held"]) == (18, 10, 2)
    assert (stats["outcomes"], stats["calls"]) == ({"edited": 6}, {"encoded": 2, "drawn": 6})
    said = capsys.readouterr().err
    assert f"{target}: 18 frames, 10 of them made between the source's, " in said
    values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line and " " not in line)
    assert (values["frame"], values["out_time"]) == ("18", "00:00:00.400000")


def test_without_it_nothing_is_said_of_made_frames(
    source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, "--edit", "smile=1") == 0
    assert "made" not in capsys.readouterr().err
    assert len(read(target)) == 6


def test_an_edit_of_the_first_frame_is_carried_to_any_rate(source: Path, target: Path) -> None:
    assert run(source, target, "--edit", "smile=1", "--first-frame-edit", "--fps", "30") == 0
    assert len(read(target)) == 12


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("0", "expected a frame rate of 0.01 to 1000 a second, such as 60, got 0"),
        ("-30", "expected a frame rate of 0.01 to 1000 a second, such as 60, got -30"),
        ("6000", "expected a frame rate of 0.01 to 1000 a second, such as 60, got 6000"),
        ("twice", "--fps 'twice': expected frames a second, such as 60, 29.97 or 30000/1001"),
        ("30/0", "--fps '30/0': expected frames a second"),
    ],
)
def test_rates_that_make_no_sense(
    rate: str, message: str, source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, "--edit", "smile=1", "--fps", rate) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not target.exists()
