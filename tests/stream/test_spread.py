"""Frames spread over a file: by its key frames where it has them, by decoding it where not."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.stream.errors import SourceError
from dynstream.stream.spread import SpreadReader, spread_frames

from ..pipelines.fakes import write_clip

GREY = [np.full((32, 48, 3), 4 * number + 8, np.uint8) for number in range(48)]


def numbers(path: Path, count: int) -> list[int]:
    """Which frames were given, told by their pictures and by their times alike."""
    frames = spread_frames(path, count)
    shown = [round((float(frame.pixels.mean()) - 8) / 4) for frame in frames]
    assert shown == [round(frame.seconds * 25) for frame in frames]
    return shown


def test_a_short_clip_is_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY)
    assert numbers(path, 4) == [6, 18, 30, 42]
    assert numbers(path, 2) == [12, 36]


def test_key_frames_are_jumped_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY, options={"crf": "1", "preset": "ultrafast", "g": "6"})

    def decoded(*_: object) -> None:
        raise AssertionError("decoded from beginning to end")

    monkeypatch.setattr("dynstream.stream.spread._nearest", decoded)
    assert numbers(path, 4) == [6, 18, 30, 42]
    assert numbers(path, 3) == [6, 24, 36]


def test_too_few_key_frames_are_not_enough(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY, options={"crf": "1", "preset": "ultrafast", "g": "24"})
    assert numbers(path, 4) == [6, 18, 30, 42]


def test_more_frames_than_there_are(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY[:3])
    assert numbers(path, 8) == [0, 1, 2]


def test_a_file_that_does_not_say_how_long_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY)
    monkeypatch.setattr(SpreadReader, "duration", None)
    found = numbers(path, 4)
    assert 3 <= len(found) <= 4
    assert found == sorted(found)
    assert found[-1] >= 24


def test_wishes_and_files_that_cannot_be(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", GREY[:2])
    with pytest.raises(ValueError, match="expected one frame or more, got 0"):
        spread_frames(path, 0)
    with pytest.raises(SourceError, match="does not exist"):
        spread_frames(tmp_path / "b.mp4", 3)
