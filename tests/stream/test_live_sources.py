"""Sources that are made on this machine: their pace, their timestamps, and that they can be read back."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream.errors import SourceError
from dynstream.stream.frame import Frame
from dynstream.stream.live_source import FORGIVEN_SECONDS, LiveSource, Pacer
from dynstream.stream.loop import FileLoop
from dynstream.stream.test_pattern import TestPattern, draw_pattern, read_number, stamp_number

from .live import ManualTime
from .media import Clip, make

Make = Callable[[Path, ManualTime], LiveSource]


def _pattern(_folder: Path, time: ManualTime) -> LiveSource:
    return TestPattern((160, 120), 25, frames=30, clock=time.clock, sleep=time.sleep)


def _file(folder: Path, time: ManualTime) -> LiveSource:
    return FileLoop(make(folder / "clip.mp4"), repeat=False, clock=time.clock, sleep=time.sleep)


def _loop(folder: Path, time: ManualTime) -> LiveSource:
    return FileLoop(make(folder / "clip.mp4"), clock=time.clock, sleep=time.sleep)


@pytest.fixture(params=[_pattern, _file, _loop])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[LiveSource, ManualTime]:
    time = ManualTime()
    maker: Make = request.param
    return maker(tmp_path, time), time


def each(source: LiveSource, count: int) -> Iterator[Frame]:
    for _ in range(count):
        frame = source.read()
        if frame is None:
            return
        yield frame


def read(source: LiveSource, count: int) -> list[Frame]:
    return list(each(source, count))


def test_every_frame_comes_at_its_own_time(source: tuple[LiveSource, ManualTime]) -> None:
    live, time = source
    start = time.now
    for frame in each(live, 20):
        assert time.now - start == pytest.approx(frame.seconds)
        assert frame.size == live.size
        time.now += 0.013  # what is done with it costs time, and shifts nothing
    assert len(time.slept) == 19
    assert live.rate == 25


def test_times_grow_and_start_at_zero(source: tuple[LiveSource, ManualTime]) -> None:
    frames = read(source[0], 25)
    assert frames[0].seconds == 0
    steps = {frame.pts * frame.time_base for frame in frames}
    assert sorted(steps) == [Fraction(number, 25) for number in range(25)]


def test_a_closed_source_gives_no_more(source: tuple[LiveSource, ManualTime]) -> None:
    live, _ = source
    read(live, 2)
    live.close()
    live.close()
    assert live.read() is None


def test_a_loop_begins_again_one_frame_after_its_last(tmp_path: Path) -> None:
    time = ManualTime()
    path = make(tmp_path / "clip.mp4", Clip(pts=(0, 512, 1536, 2048)))
    loop = FileLoop(path, clock=time.clock, sleep=time.sleep)
    times = [frame.seconds for frame in read(loop, 9)]
    once = [0, 0.04, 0.12, 0.16]
    assert times == pytest.approx([*once, *(0.2 + seconds for seconds in once), 0.4])
    assert time.now - 100 == pytest.approx(0.4)


def test_a_file_that_is_not_to_repeat_ends(tmp_path: Path) -> None:
    time = ManualTime()
    loop = FileLoop(make(tmp_path / "clip.mp4"), repeat=False, clock=time.clock, sleep=time.sleep)
    assert len(read(loop, 100)) == 25


def test_a_file_that_changes_while_it_is_played_is_an_error(tmp_path: Path) -> None:
    time = ManualTime()
    path = make(tmp_path / "clip.mp4", Clip(pts=(0, 512)))
    loop = FileLoop(path, clock=time.clock, sleep=time.sleep)
    read(loop, 2)
    make(path, Clip(size=(96, 48)))
    with pytest.raises(SourceError, match="changed while it was played"):
        loop.read()


def test_a_source_that_fell_far_behind_does_not_send_a_burst() -> None:
    time = ManualTime()
    pacer = Pacer(time.clock, time.sleep)
    pacer.wait(0.0)
    time.now += 0.1
    pacer.wait(0.04)  # a little late: the pace holds
    assert time.slept == []
    pacer.wait(0.16)
    assert time.slept == [pytest.approx(0.06)]
    time.now += 2 * FORGIVEN_SECONDS
    pacer.wait(0.20)
    pacer.wait(0.24)
    assert time.slept == [pytest.approx(0.06), pytest.approx(0.04)]


@pytest.mark.parametrize("number", [0, 1, 5, 123_456, 2**32 - 1])
def test_the_number_of_a_pattern_can_be_read_back_even_after_a_codec(number: int, tmp_path: Path) -> None:
    pixels = draw_pattern((320, 180), 7, 0.28)
    assert read_number(pixels) == 7
    stamp_number(pixels, number)
    path = tmp_path / "one.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=320, height=180, options={"crf": "35"})
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert read_number(next(container.decode(video=0)).to_ndarray(format="rgb24")) == number


def test_the_pattern_moves_smoothly_and_never_stands_still() -> None:
    pictures = [draw_pattern((160, 120), 0, seconds / 25).astype(int) for seconds in range(6)]
    changes = [np.abs(a - b).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.1
    assert max(changes) < 15


@pytest.mark.parametrize(
    ("size", "rate"), [((0, 0), 25), ((161, 120), 25), ((160, 120), 0), ((160, 120), float("nan"))]
)
def test_a_pattern_that_makes_no_sense_is_refused(size: tuple[int, int], rate: float) -> None:
    with pytest.raises(SourceError, match=r"--size|--fps"):
        TestPattern(size, rate)
