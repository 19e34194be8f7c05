import itertools
import random

from dynstream.stream.webrtc.timeline import CLOCK_RATE, Timeline


def test_steps_of_the_source_are_kept() -> None:
    timeline = Timeline()
    mapped = [timeline.map(5000 + number * 3000, 10 + number / 30) for number in range(10)]
    assert [after - before for before, after in itertools.pairwise(mapped)] == [3000] * 9
    assert mapped[0] == 0
    assert timeline.re_anchored == 0


def test_late_frames_do_not_bend_it() -> None:
    timeline, late = Timeline(), random.Random(3)
    mapped = [timeline.map(number * 3000, 10 + number / 30 + late.uniform(0, 0.3)) for number in range(300)]
    assert mapped == [number * 3000 for number in range(300)]


def test_a_new_connection_goes_on_where_the_clock_is() -> None:
    timeline = Timeline()
    for number in range(30):
        last = timeline.map(number * 3000, 10 + number / 30)
    timeline.restart()
    after = timeline.map(0, 10 + 29 / 30 + 5.0)
    assert abs(after - (last + 5 * CLOCK_RATE)) <= 1


def test_leaps_and_steps_back_never_show() -> None:
    timeline, chance, seconds, before = Timeline(), random.Random(5), 10.0, -1
    for _ in range(500):
        seconds += 1 / 30
        mapped = timeline.map(chance.randrange(-(10**9), 10**9), seconds)
        assert mapped > before
        before = mapped
    assert abs(before / CLOCK_RATE - (seconds - 10)) < 1.0


def test_drift_is_mended() -> None:
    timeline = Timeline()
    for number in range(2000):  # a source whose clock runs 5 % fast
        seconds = 10 + number / 30
        mapped = timeline.map(round(number * 3150), seconds)
    assert abs(mapped / CLOCK_RATE - (seconds - 10)) < 0.6
