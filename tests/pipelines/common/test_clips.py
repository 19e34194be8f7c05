"""Videos cut and repeated packet by packet."""

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from dynstream.pipelines.common.clips import repeat, shorten
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, make, probe, psnr

PLAIN = {"crf": "12", "preset": "ultrafast"}
OUT_OF_ORDER = {"crf": "12", "preset": "veryfast", "bf": "3"}


@pytest.fixture(params=[PLAIN, OUT_OF_ORDER], ids=["in order", "out of order"])
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(tmp_path / "in.mp4", Clip(options=request.param))


def test_a_shortened_clip_is_the_beginning_of_the_whole(clip: Path, tmp_path: Path) -> None:
    cut = shorten(clip, tmp_path / "short.mp4", 0.4)
    whole, short = probe(clip), probe(tmp_path / "short.mp4")
    count = len(short.frame_times)
    assert 6 <= count == cut.packets <= 10
    assert short.frame_times == whole.frame_times[:count]
    assert cut.end == Fraction(count, 25)
    (sound,) = short.packets.values()
    (all_sound,) = whole.packets.values()
    assert sound == all_sound[: len(sound)]
    assert float(cut.end) - 0.03 <= float(sound[-1][0] or 0) < float(cut.end)
    with VideoReader(clip) as first, VideoReader(tmp_path / "short.mp4") as second:
        pairs = list(zip(first, second, strict=False))
        assert second.notes == ()
    assert len(pairs) == count
    assert all(psnr(one.pixels, other.pixels) == 99 for one, other in pairs)


def test_without_reordering_the_cut_is_to_the_frame(tmp_path: Path) -> None:
    clip = make(tmp_path / "in.mp4", Clip(options=PLAIN))
    shorten(clip, tmp_path / "short.mp4", 0.4)
    assert len(probe(tmp_path / "short.mp4").frame_times) == 10


@pytest.mark.parametrize(("seconds", "frames"), [(0.001, range(1, 6)), (99.0, range(25, 26))])
def test_at_least_one_frame_and_at_most_all(clip: Path, tmp_path: Path, seconds: float, frames: range) -> None:
    shorten(clip, tmp_path / "short.mp4", seconds)
    assert len(probe(tmp_path / "short.mp4").frame_times) in frames


def test_a_repeated_clip_has_everything_so_many_times(clip: Path, tmp_path: Path) -> None:
    repeat(clip, tmp_path / "long.mp4", 3)
    once, thrice = probe(clip), probe(tmp_path / "long.mp4")
    times = thrice.frame_times
    assert len(times) == 75
    assert all(before < after for before, after in pairwise(times))
    length = times[25] - times[0]
    assert times[:25] == once.frame_times
    assert times[25:50] == [time + length for time in once.frame_times]
    (own,), (repeated,) = once.packets.values(), thrice.packets.values()
    assert [packet[3] for packet in repeated] == 3 * [packet[3] for packet in own]
    with VideoReader(tmp_path / "long.mp4") as reader:
        assert len(list(reader)) == 75
        assert reader.notes == ()


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    clip = make(tmp_path / f"in{suffix}", Clip(options=PLAIN))
    repeat(clip, tmp_path / f"long{suffix}", 2)
    shorten(tmp_path / f"long{suffix}", tmp_path / f"short{suffix}", 1.2)
    assert len(probe(tmp_path / f"long{suffix}").frame_times) == 50
    assert 26 <= len(probe(tmp_path / f"short{suffix}").frame_times) <= 31


def test_clips_without_sound(tmp_path: Path) -> None:
    clip = make(tmp_path / "in.mp4", Clip(audio=None))
    repeat(clip, tmp_path / "long.mp4", 2)
    shorten(clip, tmp_path / "short.mp4", 0.2)
    assert len(probe(tmp_path / "long.mp4").frame_times) == 50
    assert len(probe(tmp_path / "short.mp4").frame_times) == 5


def test_an_output_that_exists_stays_unless_it_may_be_replaced(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken.mp4"
    target.write_text("mine")
    with pytest.raises(SinkError, match="exists"):
        repeat(clip, target, 2)
    with pytest.raises(SinkError, match="exists"):
        shorten(clip, target, 1)
    assert target.read_text() == "mine"
    shorten(clip, target, 0.2, overwrite=True)
    assert 1 <= len(probe(target).frame_times) <= 5


def test_bad_input_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match="not a video"):
        repeat(text, tmp_path / "out.mp4", 2)
    with pytest.raises(SourceError, match="not a video"):
        shorten(text, tmp_path / "out.mp4", 2)
    with pytest.raises(SinkError):
        repeat(clip, tmp_path / "out.nonsense", 2)
    for times in (0, -1):
        with pytest.raises(ValueError, match="one pass or more"):
            repeat(clip, tmp_path / "out.mp4", times)
    for seconds in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="above zero"):
            shorten(clip, tmp_path / "out.mp4", seconds)
    assert sorted(tmp_path.iterdir()) == before
