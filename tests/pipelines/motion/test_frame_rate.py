"""A stream at other times: what is shown when, what is measured, and how much is kept."""

import itertools
import weakref
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.motion.frame_rate import Moment, even_times, retime
from dynstream.pipelines.motion.motion_blend import Seen
from dynstream.pipelines.motion.retimed_reader import parse_rate
from dynstream.stream.frame import Pixels

from ..fakes import scene, ticking
from ..textures import moving


def seen(pictures: list[Pixels], seconds: list[float]) -> list[Seen]:
    return [Seen(pixels, time) for pixels, time in zip(pictures, seconds, strict=True)]


def said(moments: list[Moment]) -> list[tuple[float, str]]:
    return [(round(moment.seconds, 6), moment.kind) for moment in moments]


def test_own_frames_stay_and_the_others_lie_between() -> None:
    first, middle, last = moving(3, step=(4, -2))
    out = list(retime(seen([first, last], [1.0, 1.4]), [1.0, 1.2, 1.4]))
    assert said(out) == [(1.0, "own"), (1.2, "made"), (1.4, "own")]
    assert out[0].pixels is first
    assert out[2].pixels is last
    inner = (slice(16, -16), slice(16, -16))
    assert np.abs(out[1].pixels[inner].astype(int) - middle[inner]).mean() < 4


def test_times_that_go_on_for_ever_end_when_the_last_frame_does() -> None:
    pictures = moving(3)
    times = even_times(Fraction(1, 2), Fraction(20))
    out = said(list(retime(seen(pictures, [0.5, 0.6, 0.7]), times, lasting=lambda: 0.1)))
    assert out == [(0.5, "own"), (0.55, "made"), (0.6, "own"), (0.65, "made"), (0.7, "own"), (0.75, "held")]
    alone = retime(seen(pictures[:1], [0.5]), even_times(Fraction(1, 2), Fraction(20)), lasting=lambda: 0.0)
    assert said(list(alone)) == [(0.5, "own")]


def test_fewer_times_than_frames_make_nothing() -> None:
    out = list(retime(seen(moving(5), [0.0, 0.1, 0.2, 0.3, 0.4]), even_times(Fraction(0), Fraction(5)), lasting=float))
    assert said(out) == [(0.0, "own"), (0.2, "own"), (0.4, "own")]


def test_nothing_is_blended_across_a_cut_or_a_long_pause() -> None:
    before, after = scene(background=(40, 60, 130)), scene(None, background=(200, 40, 20))
    cut = list(retime(seen([before, after], [0.0, 0.1]), [0.05]))
    assert said(cut) == [(0.05, "held")]
    assert cut[0].pixels is before
    pictures = moving(2)
    for longest, kind in ((0.5, "held"), (1.0, "made")):
        assert said(list(retime(seen(pictures, [0.0, 0.8]), [0.4], longest=longest))) == [(0.4, kind)]


def test_faces_are_bent_on_the_way_and_what_was_bent_is_made() -> None:
    asked: list[tuple[float, float]] = []

    def bend(pixels: Pixels, _one: Seen, _other: Seen, time: float, share: float) -> Pixels | None:
        asked.append((time, share))
        return None if time < 0.4 else pixels + np.uint8(1)

    pictures = moving(2)
    out = list(retime(seen(pictures, [0.0, 1.0]), [0.25, 0.5, 1.0, 1.25], bend=bend))
    assert asked == [(0.25, 0.25), (0.5, 0.5), (1.25, 0.0)]
    assert [(moment.kind, moment.bent) for moment in out] == [
        ("made", False), ("made", True), ("own", False), ("made", True),
    ]  # fmt: skip
    assert np.array_equal(out[3].pixels, pictures[1] + np.uint8(1))


def test_times_off_the_stream() -> None:
    frames = seen(moving(2), [1.0, 1.1])
    with pytest.raises(DynamicsError, match="before the clip, which begins at 1 s"):
        list(retime(frames, [0.4, 1.0]))
    with pytest.raises(DynamicsError, match=r"after the clip, which ends at 1\.1 s"):
        list(retime(frames, [1.0, 1.7]))
    assert said(list(retime(frames, [0.6, 1.5]))) == [(0.6, "held"), (1.5, "held")]
    assert list(retime(frames, [])) == []
    assert list(retime([], [1.0])) == []


def test_two_frames_are_held_however_many_there_are() -> None:
    alive: list[weakref.ref[Pixels]] = []
    most = 0

    def endless() -> Iterator[Seen]:
        for number in range(40):
            pixels = scene((60 + number, 60), size=(64, 48))
            alive.append(weakref.ref(pixels))
            yield Seen(pixels, number / 10)
            del pixels

    for _ in retime(endless(), even_times(Fraction(0), Fraction(20)), lasting=lambda: 0.1):
        most = max(most, sum(one() is not None for one in alive))
    assert len(alive) == 40
    assert most <= 3


def test_the_time_it_takes_is_counted() -> None:
    stages = Stages(ticking())
    list(retime(seen(moving(3), [0.0, 0.1, 0.2]), [0.0, 0.05, 0.1, 0.15, 0.2], stages=stages))
    assert stages.summary()["between"]["count"] == 2


def test_even_times_do_not_drift() -> None:
    rate = Fraction(60000, 1001)
    (late,) = itertools.islice(even_times(Fraction(1, 3), rate), 60_000, 60_001)
    assert late == pytest.approx(1 / 3 + 1001, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", Fraction(60)), ("12.5", Fraction(25, 2)), ("30000/1001", Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)), ("59.94", Fraction(60000, 1001)), ("23.976", Fraction(24000, 1001)),
        ("0.5", Fraction(1, 2)), ("1000", Fraction(1000)),
    ],
)  # fmt: skip
def test_rates(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["0", "-30", "1001", "1e9", "1e999999999", "0.0001", "nan", "inf", "fast", "", "30/0", "0/1"]
)
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(DynamicsError, match="frame"):
        parse_rate(text)
