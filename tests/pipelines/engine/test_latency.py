"""The latency contract in simulated time: flat age under load, coming back after a stall, order, counts."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.outcome import EDITED, WITH_EDIT
from dynstream.pipelines.editor.face_editor import Edited
from dynstream.pipelines.engine.degradation import QUALITY_LEVELS
from dynstream.pipelines.engine.load import defaults
from dynstream.pipelines.engine.settings import EngineSettings
from dynstream.pipelines.engine.worker_pool import Lane
from dynstream.stream.frame import Frame

from .simulation import COSTS, PIXELS, World

FIXED = EngineSettings(quality_levels=QUALITY_LEVELS[:1], admit_level="full")
"""No degradation: every frame is to be drawn."""


def kinds(world: World, session: object) -> Counter[str]:
    return Counter(shown.outcome.kind for shown in world.shown(session))  # type: ignore[arg-type]


def test_a_fast_device_draws_every_frame_at_once() -> None:
    world = World()
    session = world.open()
    world.feed([session], 50)
    world.workers.run()
    assert kinds(world, session) == {"edited": 50}
    assert [shown.age for shown in world.shown(session)] == pytest.approx([0.014] * 50)
    assert world.order[id(session)] == list(range(50))
    assert world.workers.most == {"analyse": 1, "device": 1, "composite": 1}


@pytest.mark.parametrize("settings", [FIXED, EngineSettings()], ids=["fixed", "degradation"])
def test_the_age_is_flat_on_a_device_twice_as_slow_as_the_input(settings: EngineSettings) -> None:
    world = World(settings, costs=COSTS | {"device": 0.080})
    session = world.open()
    world.feed([session], 10_000)
    world.workers.run()
    shown = world.shown(session)
    ages = np.array([each.age for each in shown])
    assert world.order[id(session)] == list(range(10_000))
    assert len(shown) == 10_000
    assert ages.max() < 0.100
    assert ages[-1000:].max() <= ages[100:1100].max() + 1e-9
    assert ages[-1000:].mean() <= ages[100:1100].mean() + 1e-3
    assert {each.outcome.kind for each in shown[5:]} <= WITH_EDIT
    assert world.engine.stats()["most_under_way"] <= 5
    assert session.stats()["under_way"] == 0


def test_without_the_ladder_every_other_frame_waits_for_its_own_drawing() -> None:
    world = World(FIXED, costs=COSTS | {"device": 0.080})
    session = world.open()
    world.feed([session], 400)
    world.workers.run()
    outcomes = session.stats()["outcomes"]
    assert 400 / 3 - 2 <= outcomes["edited"] <= 400 / 2 + 2  # 84 ms each, and a frame every 40
    assert outcomes["edited: moved, device busy"] == 400 - outcomes["edited"]


def test_looking_twice_as_slow_as_the_input_drops_frames_and_keeps_the_age() -> None:
    world = World(FIXED, costs=COSTS | {"analyse": 0.080})
    session = world.open()
    world.feed([session], 2000)
    world.workers.run()
    outcomes = session.stats()["outcomes"]
    assert outcomes["dropped: a newer frame came"] == pytest.approx(1000, abs=2)
    assert outcomes["edited"] == 2000 - outcomes["dropped: a newer frame came"]
    assert max(shown.age for shown in world.shown(session)) < 0.2
    assert world.order[id(session)] == sorted(world.order[id(session)])


def stalled(lane: Lane, costs: dict[Lane, float]) -> World:
    """A world whose lane stands still for a second, five seconds after the beginning."""

    def cost(kind: Lane, _size: int, now: float) -> float:
        usual = costs[kind]
        return 6.0 - now + usual if kind == lane and now < 6.0 and now + usual > 5.0 else usual

    return World(cost=cost)


@pytest.mark.parametrize("lane", ["analyse", "device", "composite"])
def test_after_a_stall_of_a_second_it_is_back_within_a_second(lane: Lane) -> None:
    world = stalled(lane, {**COSTS, "device": 0.020})
    session = world.open()
    world.feed([session], 300)
    world.workers.run()
    shown = dict(enumerate(world.futures[id(session)]))
    ages = [future.result(0).age for future in shown.values() if not future.cancelled()]
    assert max(ages) <= 0.250 + 1e-9
    assert len(ages) > 250
    later = [shown[number].result(0) for number in range(7 * 25, 300)]
    assert {each.outcome.kind for each in later} <= WITH_EDIT
    assert max(each.age for each in later) < 0.1
    before = [shown[number].result(0) for number in range(4 * 25)]
    assert {each.outcome.kind for each in before} == {"edited"}
    during = [shown[number] for number in range(5 * 25 + 1, 6 * 25 - 8)]
    assert not any(future.result(0).outcome.is_drawn for future in during if not future.cancelled())
    assert world.order[id(session)] == sorted(world.order[id(session)])


def test_during_a_stall_of_the_device_the_last_drawing_is_moved_and_the_reason_counted() -> None:
    world = stalled("device", {**COSTS, "device": 0.020})
    session = world.open()
    world.feed([session], 300)
    world.workers.run()
    outcomes = session.stats()["outcomes"]
    assert outcomes["edited: moved, late before compositing"] >= 1
    assert outcomes["edited: moved, device busy"] >= 10
    assert not any(outcome.startswith("passed") for outcome in outcomes)


def test_during_a_stall_of_the_compositing_the_source_is_shown_at_the_deadline() -> None:
    world = stalled("composite", {**COSTS})
    session = world.open(max_latency_ms=120)
    world.feed([session], 300)
    world.workers.run()
    late = [shown for shown in world.shown(session) if shown.outcome.reason == "late before output"]
    assert late
    assert {shown.outcome.kind for shown in late} == {"passed"}
    assert [shown.age for shown in late] == pytest.approx([0.120] * len(late))


def test_a_device_slower_than_the_contract_still_gives_edited_frames_in_time() -> None:
    """Its drawings come too late for their own frames, and serve those after them."""
    world = World(EngineSettings(), costs=COSTS | {"device": 0.400})
    session = world.open(max_latency_ms=150)
    world.feed([session], 500)
    world.workers.run()
    shown = world.shown(session)
    assert max(each.age for each in shown) <= 0.150 + 1e-9
    assert Counter(each.outcome.kind for each in shown[25:]) == {"edited": 475}
    assert sum(each.batch is not None for each in shown) >= 45, "the drawings that others show are counted, too"
    assert max(each.age for each in shown[100:]) < 0.02
    assert world.engine.stats()["outcomes"]["passed: not drawn yet"] <= 12


def test_a_prediction_goes_before_moving() -> None:
    asked: list[float] = []

    def predict(_editor: object, _state: object, analysis: object, _stages: object) -> object:
        asked.append(analysis.frame.seconds)  # type: ignore[attr-defined]
        return Edited(analysis.frame, EDITED) if len(asked) % 2 else None  # type: ignore[attr-defined]

    world = World(FIXED, costs=COSTS | {"device": 0.400}, predict=predict)
    session = world.open(max_latency_ms=150)
    world.feed([session], 200)
    world.workers.run()
    outcomes = session.stats()["outcomes"]
    late = outcomes["edited: predicted, late before drawing"] + outcomes.get("edited: moved, late before drawing", 0)
    assert late + outcomes.get("edited: predicted, late before compositing", 0) >= len(asked) - 2
    assert outcomes["edited: predicted, late before drawing"] == pytest.approx(len(asked) / 2, abs=2)


def test_the_age_counts_from_the_capture() -> None:
    world = World()
    session = world.open()
    world.workers.now = 10.0
    old = session.submit(Frame(PIXELS, 0, Fraction(1, 25)), captured=9.9)
    world.workers.run()
    assert old.result(0).age == pytest.approx(0.114)
    too_old = session.submit(Frame(PIXELS, 1, Fraction(1, 25)), captured=9.0)
    assert too_old.done()
    assert str(too_old.result(0).outcome) == "passed: late before analysis"


def test_many_sessions_share_a_device_that_is_too_slow_for_them_and_all_stay_in_time() -> None:
    world = World(costs=COSTS | {"device": 0.040}, per_face=0.010)
    sessions = [world.open() for _ in range(8)]
    world.feed(sessions, 500, spread=True)
    world.workers.run()
    for session in sessions:
        assert max(shown.age for shown in world.shown(session)) <= 0.250
        assert kinds(world, session)["passed"] < 20
        assert len(world.shown(session)) == 500
    counts = [session.stats()["edited"] for session in sessions]
    assert max(counts) - min(counts) < 20


def test_the_defaults_of_a_cpu_hold_with_costs_like_those_of_two_cores() -> None:
    """Times of each stage as on two cores that share them: 24 frames/s in, all edited, well inside 250 ms."""
    world = World(defaults("cpu"), costs={"analyse": 0.015, "device": 0.140, "composite": 0.030})
    session = world.open(rate=24)
    world.feed([session], 24 * 60, rate=24)
    world.workers.run()
    shown = world.shown(session)[24:]
    assert {each.outcome.kind for each in shown} <= WITH_EDIT
    assert len(shown) == 24 * 59
    assert np.percentile([each.age for each in shown], 95) <= 0.100
    assert world.engine.stats()["quality_level"] == "quarter"
    assert world.engine.stats()["batches"] == {"1": pytest.approx(24 * 60 / 4, rel=0.02)}
