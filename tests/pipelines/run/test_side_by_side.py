"""The video that shows source and result beside each other."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.run.side_by_side import SideBySideReader, write_side_by_side
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, make, picture, probe, psnr
from ..fakes import write_clip

SIZE = (128, 96)
BLUE = np.full((96, 128, 3), (20, 40, 200), dtype=np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "source.mp4", Clip(size=SIZE, subtitles="mov_text"))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "result.mp4", [BLUE] * 25)


def test_both_are_there_with_the_sources_times_and_sound(source: Path, result: Path, tmp_path: Path) -> None:
    done: list[int] = []
    target = tmp_path / "both.mp4"
    assert write_side_by_side(source, result, target, labels=("", ""), progress=done.append) == 25
    assert done == list(range(1, 26))
    before, after = probe(source), probe(target)
    assert after.frame_times == before.frame_times
    assert after.packets == before.packets
    with VideoReader(target) as reader:
        assert reader.size == (256, 96)
        for index, frame in enumerate(reader):
            assert psnr(frame.pixels[:, :120], picture(index, SIZE)[:, :120]) > 30
            assert psnr(frame.pixels[:, 136:], BLUE[:, 8:]) > 30


def test_labels_are_written_on_each(source: Path, result: Path) -> None:
    with SideBySideReader(source, result, ("before", "after")) as reader:
        frame = next(iter(reader))
    assert frame.size == (256, 96)
    assert frame.pixels[:30, :60].max() > 240
    assert frame.pixels[:30, 130:190].max() > 240
    assert frame.pixels[40:, 130:].max() < 230


def test_another_size_is_refused(source: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other.mp4")
    with pytest.raises(SourceError, match=r"64x48 and .* 128x96; expected two videos of one size"):
        SideBySideReader(source, other)


def test_a_shorter_result_is_refused_and_nothing_is_left(source: Path, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", [BLUE] * 3)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match="ends before"):
        write_side_by_side(source, short, tmp_path / "both.mp4")
    with pytest.raises(SourceError, match="does not exist"):
        write_side_by_side(source, tmp_path / "missing.mp4", tmp_path / "both.mp4")
    with pytest.raises(SinkError, match="exists"):
        write_side_by_side(source, source, short)
    assert sorted(tmp_path.iterdir()) == before
