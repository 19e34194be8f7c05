"""Frames that do not come: when they are missed, what is shown in their time, and how many."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.pipelines.common.errors import SessionClosedError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import FaceEditor, FrameAnalysis, SessionState
from dynstream.pipelines.editor.keyframed_renderer import KeyframedRenderer
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine.cadence import LEAST_STEPS, REST_SECONDS, Cadence
from dynstream.pipelines.engine.frame_concealment import ConcealmentState, FrameConcealment
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.engine.session import Session
from dynstream.pipelines.engine.settings import SessionSpec
from dynstream.pipelines.engine.worker_pool import Lane
from dynstream.pipelines.inversion.latent_memory import GAP_SECONDS, LatentState
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame, Pixels

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, edits, frames, scene
from .simulation import COSTS, PIXELS, World

STEP = 1 / 25
MOST = round(GAP_SECONDS / STEP)


class Fives:
    """A Concealer whose pictures are all fives; it records the times asked for. seconds: that making takes."""

    def __init__(self, *, hold: bool = False, seconds: float = COSTS["composite"]) -> None:
        self.hold = hold
        self.seconds = seconds
        self.making = False
        self.came_at: list[float] = []
        self.made_at: list[float] = []

    def came(
        self,
        concealment: ConcealmentState | None,
        shown: Frame,
        analysis: FrameAnalysis,
        latents: Mapping[int, LatentState],
    ) -> ConcealmentState:
        self.came_at.append(analysis.frame.seconds)
        return ConcealmentState(shown.pixels, shown.seconds, shown.seconds)

    def make(self, concealment: ConcealmentState, seconds: float) -> tuple[ConcealmentState, Pixels | None]:
        self.made_at.append(seconds)
        self.making = True
        return replace(concealment, seconds=seconds), None if self.hold else np.full_like(concealment.last, 5)


class Story:
    """A session of 25 frames a second in simulated time, and all that was shown for it, in order."""

    def __init__(self, fill: Fives | None = None, *, wants: bool = True) -> None:
        self.fill = fill or Fives()
        self.world = World(cost=self.cost, fill=self.fill)
        self.session: Session = self.world.open()
        self.shown: list[tuple[int, str]] = []
        if wants:
            assert self.session.conceal_missing(self.note)

    def cost(self, lane: Lane, _size: int, _now: float) -> float:
        making, self.fill.making = self.fill.making, False
        return self.fill.seconds if making else COSTS[lane]

    def note(self, shown: Shown) -> None:
        self.shown.append((shown.frame.pts, str(shown.outcome)))

    def submit(self, number: int) -> None:
        def done(future: "Future[Shown]") -> None:
            if not future.cancelled():
                self.note(future.result())

        self.world.submit(self.session, number).add_done_callback(done)

    def feed(self, frames: int, lost: set[int] = frozenset(), late: Mapping[int, float] = {}) -> None:  # type: ignore[assignment]
        """late: seconds after its time at which a frame comes."""
        for number in set(range(frames)) - lost:
            self.world.workers.at(number * STEP + late.get(number, 0.0), lambda number=number: self.submit(number))  # type: ignore[misc]
        self.world.workers.run((frames - 0.5) * STEP)

    def made(self) -> list[int]:
        return [pts for pts, outcome in self.shown if outcome == "concealed: lost"]


def test_a_lost_frame_is_made_at_its_time_and_counted() -> None:
    story = Story()
    story.feed(40, {20, 30, 31})
    assert story.made() == [20, 30, 31]
    assert [pts for pts, _ in story.shown] == list(range(40))
    assert story.session.stats()["outcomes"] == {"edited": 37, "concealed: lost": 3}
    assert story.fill.made_at == pytest.approx([20 * STEP, 30 * STEP, 31 * STEP])
    assert story.session.stats()["edited"] == 40
    assert story.session.submitted == 37


def test_nothing_is_made_where_nobody_wants_it_or_the_engine_cannot() -> None:
    story = Story(wants=False)
    story.feed(40, {20})
    assert story.fill.came_at == []
    assert story.session.stats()["outcomes"] == {"edited": 39}
    assert not World().open().conceal_missing(story.note)
    assert not World(fill=Fives()).open(live=False).conceal_missing(story.note)


def test_a_long_hole_is_filled_for_a_while_alone() -> None:
    story = Story()
    story.feed(60, set(range(20, 50)))
    assert story.made() == list(range(20, 20 + MOST))
    assert [pts for pts, _ in story.shown] == [*range(20 + MOST), *range(50, 60)]


def test_a_source_that_has_ended_is_not_carried_on_for_ever() -> None:
    story = Story()
    story.feed(20)
    story.world.workers.run()
    assert story.made() == list(range(20, 20 + MOST))
    assert story.world.workers.now < 20 * STEP + 2 * GAP_SECONDS


def test_a_frame_that_comes_after_its_time_was_filled_is_dropped() -> None:
    story = Story()
    story.feed(40, late={20: 0.9 * STEP, 25: 0.3 * STEP})
    assert story.made() == [20]
    assert [pts for pts, _ in story.shown] == list(range(40))
    assert story.session.stats()["outcomes"]["dropped: its time was filled"] == 1


def test_a_frame_that_was_held_instead_is_shown_when_it_comes() -> None:
    story = Story(Fives(hold=True))
    story.feed(40, late={20: 0.6 * STEP})
    assert story.made() == []
    assert story.session.stats()["outcomes"] == {"edited": 40, "dropped: lost": 1}


def test_a_burst_after_a_stall_shows_no_more_than_the_cadence() -> None:
    story = Story()
    story.feed(60, late={number: (26 - number) * STEP for number in range(20, 26)})
    numbers = [pts for pts, _ in story.shown]
    assert numbers == sorted(set(numbers))
    assert set(story.made()) <= set(range(20, 27))
    assert len(numbers) <= 60


def test_where_making_takes_longer_than_a_frame_it_rests() -> None:
    lost = {20, 24, 28, 32}
    story = Story(Fives(seconds=1.5 * STEP))
    story.feed(40, lost)
    assert story.fill.made_at == pytest.approx([20 * STEP])
    assert story.made() == [20]
    story = Story(Fives(seconds=0.5 * STEP))
    story.feed(40, lost)
    assert len(story.fill.made_at) == 4


def test_a_device_without_memory_holds_and_a_model_that_fails_ends_its_session() -> None:
    class Failing(Fives):
        error: Exception = MemoryError("out of memory")

        def make(self, concealment: ConcealmentState, seconds: float) -> tuple[ConcealmentState, Pixels | None]:
            raise self.error

    story = Story(Failing())
    story.feed(40, {20})
    assert story.session.stats()["outcomes"] == {"edited": 39, "dropped: lost": 1}
    failing = Failing()
    failing.error = RuntimeError("the network failed")
    story = Story(failing)
    with pytest.raises(SessionClosedError, match="the network failed"):
        story.feed(40, {20})


def test_what_passes_is_not_filled_and_the_end_leaves_nothing_open() -> None:
    story = Story()
    story.session.bypass = True
    story.feed(40, {20, 21})
    assert story.session.stats()["outcomes"] == {"unchanged: bypass": 38}
    story = Story()
    story.feed(20)
    story.world.workers.run(20 * STEP + 0.5 * STEP + 1e-4)  # one is being made
    story.session.close()
    story.world.workers.run()
    assert story.made() == []
    assert set(story.session.stats()["outcomes"]) == {"edited"}


def fed(*steps: float) -> Cadence:
    """One frame after the other, each at its own time."""
    cadence, now = Cadence(), 0.0
    for step in (0.0, *steps):
        now += step
        assert cadence.came(now, now)
    return cadence


def test_no_cadence_is_seen_too_early_or_where_there_is_none() -> None:
    assert fed(*[STEP] * (LEAST_STEPS - 1)).due() is None
    assert fed(*[STEP] * LEAST_STEPS).due() == pytest.approx((LEAST_STEPS + 1.5) * STEP)
    uneven = [0.02, 0.2, 0.05, 0.11, 0.31, 0.01, 0.08, 0.15]
    assert fed(*uneven * 2).due() is None
    assert fed(*[STEP, STEP, 2 * STEP] * 6).step == pytest.approx(STEP)
    assert fed(*[1.1 * GAP_SECONDS] * 16).due() is None


def test_frames_that_come_unevenly_are_given_more_time() -> None:
    cadence = Cadence()
    for number in range(20):
        cadence.came(number * STEP + (0.9 * STEP if number % 2 else 0.0), number * STEP)
    due = cadence.due()
    assert due is not None
    assert due == pytest.approx((19 + 0.9 + 1 + 0.9) * STEP)


def test_a_source_that_begins_anew_is_learned_anew() -> None:
    cadence = fed(*[STEP] * 20)
    due = cadence.due()
    assert due is not None
    assert cadence.miss(due) == pytest.approx(21 * STEP)
    assert cadence.came(due, 0.0)
    assert cadence.due() is None
    assert cadence.miss(due) is None


def test_rest_ends() -> None:
    cadence = fed(*[STEP] * 20)
    cadence.took(1.0, 2 * STEP)
    assert cadence.miss(1.0 + REST_SECONDS / 2) is None
    assert cadence.miss(1.0 + REST_SECONDS) == pytest.approx(22 * STEP)


def test_made_frames_keep_the_unit_of_the_source() -> None:
    story = Story()
    for number in range(20):
        frame = Frame(PIXELS, 3600 * number, Fraction(1, 90_000))
        story.world.workers.at(number * STEP, partial(story.session.submit, frame))
    story.world.workers.run(21.9 * STEP)
    assert story.made() == [3600 * 20, 3600 * 21]


def test_the_real_editor_and_the_real_maker_fill_a_hole_nearer_than_the_last_picture() -> None:
    model = MotionModel(leading=2).requires_grad_(False)
    renderer = KeyframedRenderer(Renderer(LevelEncoder(), LevelGenerator()), model, 1)  # type: ignore[arg-type]

    def editor(spec: SessionSpec, _before: object) -> FaceEditor:
        return FaceEditor(Tracker(OvalBackend()), renderer, spec.edits, matte=None)

    world = World(renderer=renderer, editors=editor, fill=FrameConcealment(renderer.renderer.generator, model))
    session = world.open(edits=edits("smile=1"))
    shown: dict[int, Shown] = {}
    assert session.conceal_missing(lambda made: shown.update({made.frame.pts: made}))
    clip = frames([scene((60 + 3 * number, 60)) for number in range(12)])
    for frame in clip[:10] + clip[11:]:

        def come(frame: Frame = frame) -> None:
            session.submit(frame).add_done_callback(lambda done: shown.update({frame.pts: done.result()}))

        world.workers.at(frame.seconds, come)
    world.workers.run(11.9 * STEP)
    assert sorted(shown) == list(range(12))
    assert str(shown[10].outcome) == "concealed: lost"
    assert {str(each.outcome) for pts, each in shown.items() if pts != 10} == {"edited"}
    state = SessionState()
    for frame in clip[:11]:
        state, truth = editor(session.spec, None).step(state, frame, Stages())

    def apart(pts: int) -> float:
        return float(np.abs(shown[pts].frame.pixels.astype(int) - truth.frame.pixels).mean())

    assert apart(10) < 0.6 * apart(9)
