"""Times of stages with a clock of our own."""

import threading

import pytest

from dynstream.pipelines.common.outcome import EDITED, NO_FACE
from dynstream.pipelines.common.stage_timing import Stages


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_summary() -> None:
    clock = Clock()
    stages = Stages(clock)
    for milliseconds in (1, 2, 3, 4, 10):
        with stages.time("draw"):
            clock.now += milliseconds / 1000
    with stages.time("track"):
        pass
    draw = stages.summary()["draw"]
    assert draw == pytest.approx({"count": 5, "mean_ms": 4.0, "p50_ms": 3.0, "p95_ms": 8.8})
    assert stages.summary()["track"] == {"count": 1, "mean_ms": 0, "p50_ms": 0, "p95_ms": 0}


def test_stages_may_lie_inside_each_other() -> None:
    clock = Clock()
    stages = Stages(clock)
    with stages.time("outer"):
        clock.now += 1
        with stages.time("inner"):
            clock.now += 2
    assert stages.summary()["outer"]["mean_ms"] == pytest.approx(3000)
    assert stages.summary()["inner"]["mean_ms"] == pytest.approx(2000)


def test_nothing_timed_nothing_said() -> None:
    assert Stages(Clock()).summary() == {}


def test_a_failed_pass_does_not_count() -> None:
    stages = Stages(Clock())
    with pytest.raises(RuntimeError), stages.time("draw"):
        raise RuntimeError
    assert stages.summary() == {}


def test_percentiles_are_of_the_last_passes_but_means_of_all() -> None:
    clock = Clock()
    stages = Stages(clock, kept=3)
    for milliseconds in (1, 1, 1, 5):
        with stages.time("draw"):
            clock.now += milliseconds / 1000
    assert stages.summary()["draw"] == pytest.approx({"count": 4, "mean_ms": 2.0, "p50_ms": 1.0, "p95_ms": 4.6})


def test_passes_of_several_threads_are_all_counted() -> None:
    stages = Stages(Clock())

    def work() -> None:
        for _ in range(2000):
            with stages.time("draw"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.summary()["draw"]["count"] == 8000


def test_outcomes_are_counted() -> None:
    stages = Stages(Clock())
    for outcome in (NO_FACE, EDITED, EDITED):
        stages.became(outcome)
    assert list(stages.outcomes.items()) == [("edited", 2), ("passed: no face", 1)]
