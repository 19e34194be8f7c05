"""Down the degradation when the device stays behind, up again when it is calm, without swinging; who is let in."""

from itertools import pairwise

import pytest

from dynstream.pipelines.common.errors import EngineFullError, PipelineError
from dynstream.pipelines.engine.deadlines import Busy, Costs, refusal
from dynstream.pipelines.engine.degradation import QUALITY_LEVELS, DegradationPolicy, DegradationSettings
from dynstream.pipelines.engine.settings import EngineSettings
from dynstream.pipelines.research.bench.stub_editor import StubRenderer

from .simulation import COSTS, World


def run(
    degradation: DegradationPolicy, begin: float, seconds: float, *, behind: float, late: float = 0.0, busy: float = 1.0
) -> float:
    """25 frames a second of which a share is behind, or late; returns the time after them."""
    frames = round(25 * seconds)
    for number in range(frames):
        now = begin + number / 25
        place = (number * 7 % 20 + 0.5) / 20
        degradation.note(now, behind=place < behind, late=place < late)
        degradation.update(now, lambda: busy)
    return begin + frames / 25


def test_it_goes_down_one_rung_a_second_and_no_further_than_needed() -> None:
    degradation = DegradationPolicy()
    now = run(degradation, 0.0, 0.9, behind=1.0)
    assert degradation.quality.name == "full"
    now = run(degradation, now, 1.2, behind=1.0)
    assert degradation.quality.name in ("keyframes", "half")
    now = run(degradation, now, 10.0, behind=1.0)
    assert degradation.quality.name == "quarter"


def test_only_what_cannot_be_shown_in_time_leads_to_passing() -> None:
    degradation = DegradationPolicy(first=3)
    now = run(degradation, 0.0, 5.0, behind=1.0, late=0.5)
    assert degradation.quality.name == "quarter"
    now = run(degradation, now, 2.0, behind=1.0, late=0.8)
    assert degradation.quality.name == "pass"
    run(degradation, now, 3.1, behind=0.0, busy=0.0)
    assert degradation.quality.name == "quarter"


def test_a_few_late_frames_change_nothing() -> None:
    degradation = DegradationPolicy()
    run(degradation, 0.0, 30.0, behind=0.2)
    assert degradation.steps == []


def test_it_goes_up_when_it_is_calm_and_the_device_has_time_for_it() -> None:
    degradation = DegradationPolicy(first=3)
    now = run(degradation, 0.0, 10.0, behind=0.0, busy=0.5)
    assert degradation.quality.name == "quarter"  # twice as much would be too much
    run(degradation, now, 10.0, behind=0.0, busy=0.1)
    assert degradation.quality.name == "full"


def test_a_step_up_that_was_taken_back_makes_it_patient() -> None:
    """A load that fits the one quality level and not the next, which calm alone does not show."""
    degradation = DegradationPolicy(first=1)
    now = 0.0
    for _ in range(3000):
        heavy = degradation.quality.name == "full"
        degradation.note(now, behind=heavy)
        degradation.update(now, lambda: 0.5)
        now += 1 / 25
    ups = [seconds for seconds, name in degradation.steps if name == "full"]
    gaps = [later - earlier for earlier, later in pairwise(ups)]
    assert 3 <= len(ups) <= 7
    assert gaps == sorted(gaps)
    assert gaps[-1] > 30


def test_settings_that_swing_are_refused() -> None:
    with pytest.raises(ValueError, match="calm below behind"):
        DegradationSettings(calm=0.5, behind=0.3)
    with pytest.raises(
        PipelineError, match="unknown quality level 'third'; expected one of full, keyframes, half, quarter, pass"
    ):
        EngineSettings(first_level="third")


def test_on_a_quality_level_frames_are_drawn_and_encoded_as_it_says() -> None:
    seen: list[list[bool]] = []

    class Watching:
        def render(self, jobs: list, memories: list, stages: object) -> list:  # type: ignore[type-arg]
            seen.append([job.encode for job in jobs])
            return StubRenderer().render(jobs, memories, stages)  # type: ignore[arg-type]

    for name, drawn, encoded in (("full", 40, 40), ("keyframes", 40, 20), ("half", 20, 20), ("quarter", 10, 10)):
        seen.clear()
        quality = QUALITY_LEVELS[EngineSettings().level_of(name)]
        world = World(EngineSettings(quality_levels=[quality], first_level=name, admit_level=name), renderer=Watching())
        session = world.open()
        world.feed([session], 40)
        world.workers.run()
        assert len(seen) == pytest.approx(drawn, abs=1)
        assert sum(flag for batch in seen for flag in batch) == pytest.approx(encoded, abs=1)
        assert len(world.shown(session)) == 40
        outcomes = session.stats()["outcomes"]
        if quality.waits:
            assert outcomes == {"edited": 40}
        else:
            assert outcomes["edited: moved, between drawings"] >= 37
            assert outcomes["passed: not drawn yet"] <= 1


def test_an_overloaded_engine_goes_down_and_comes_back() -> None:
    slow = [True]

    def cost(lane: str, _size: int, _now: float) -> float:
        return {"analyse": 0.002, "composite": 0.002, "device": 0.120 if slow[0] else 0.010}[lane]

    world = World(cost=cost)
    session = world.open()
    world.feed([session], 1000)
    world.workers.at(20.0, lambda: slow.clear() or slow.append(False))  # type: ignore[func-returns-value]
    world.workers.run(19.9)
    assert world.engine.stats()["quality_level"] == "quarter"
    assert world.engine.stats()["level"] == 3
    world.workers.run()
    assert world.engine.stats()["quality_level"] == "full"
    names = [name for _, name in world.engine.stats()["steps"]]
    assert len(names) <= 8
    assert {shown.outcome.kind for shown in world.shown(session)[-100:]} == {"edited"}


def test_a_machine_that_cannot_even_look_passes_frames_and_tries_again() -> None:
    world = World(costs={"analyse": 0.300, "device": 0.01, "composite": 0.01})
    session = world.open(max_latency_ms=100)
    world.feed([session], 1000)
    world.workers.run()
    names = [name for _, name in world.engine.stats()["steps"]]
    assert "pass" in names
    assert names.count("pass") <= 5
    outcomes = session.stats()["outcomes"]
    assert outcomes["passed: overloaded"] > 500
    assert max(shown.age for shown in world.shown(session)) <= 0.100 + 1e-9


def test_costs_are_medians_and_scale_with_the_batch() -> None:
    costs = Costs()
    assert costs.guess("draw", 4) == 0.0
    for seconds in (0.01, 0.012, 1.0):
        costs.add("draw", seconds, 2)
    assert costs.guess("draw", 2) == 0.012
    assert costs.guess("draw", 4) == pytest.approx(0.024)
    assert costs.guess("draw", 1) == 0.012
    costs.add("draw", 0.016, 8)
    assert costs.per_face() == pytest.approx(0.002)


def test_busy_is_a_share_of_the_last_seconds() -> None:
    busy = Busy(2.0)
    assert busy.share(5.0) == 0.0
    busy.add(10.0, 10.5)
    assert busy.share(11.0) == pytest.approx(0.5)
    assert busy.share(14.0) == 0.0
    assert busy.share(14.0, running=13.5) == pytest.approx(0.25)


def test_admission_from_measured_cost() -> None:
    settings = EngineSettings()
    costs = Costs()
    assert refusal(costs, [25.0] * 100, 25.0, settings) == ""
    costs.add("draw", 0.040, 4)
    for lane in ("analyse", "composite", "reproject"):
        costs.add(lane, 0.001)  # type: ignore[arg-type]
    # a quarter of the frames at 10 ms a face: 62.5 ms for each second and session
    assert refusal(costs, [25.0] * 13, 25.0, settings) == ""
    reason = refusal(costs, [25.0] * 14, 25.0, settings)
    assert reason.startswith("no room for another session of 25 frames/s beside 14: drawing would take 94 %")
    assert refusal(costs, [], 1000.0, settings) == ""
    costs.add("analyse", 0.2)
    costs.add("analyse", 0.2)
    assert "finding faces" in refusal(costs, [25.0], 25.0, settings)


def test_an_engine_refuses_what_would_break_the_others_contract() -> None:
    world = World(costs=COSTS | {"device": 0.050})
    first = world.open()
    world.feed([first], 50)
    world.workers.run()
    sessions = [world.open()]
    with pytest.raises(EngineFullError, match="close a session, or come with fewer frames a second"):
        sessions.append(world.open(rate=60))
    world.open(live=False)  # takes what is left
    first.close()
    world.open(rate=15)
