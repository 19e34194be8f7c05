"""Sessions come, are steered, fail alone and end; nobody else notices."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from dynstream.pipelines.common.errors import (
    DeviceMemoryError,
    EditError,
    EngineError,
    PipelineError,
    SessionClosedError,
)
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.composite_state import CompositeState
from dynstream.pipelines.editor.face_editor import AnalysisState, Edited, FrameAnalysis
from dynstream.pipelines.editor.renderer import FaceJob, Rendered
from dynstream.pipelines.edits.edit import Edits
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.engine.settings import EngineSettings, SessionSpec
from dynstream.pipelines.inversion.latent_memory import LatentState
from dynstream.pipelines.research.bench.stub_editor import StubEditor, StubRenderer
from dynstream.pipelines.tracking.face_selection import Place
from dynstream.stream.frame import Frame

from ..fakes import DIRECTIONS
from .simulation import COSTS, World

WIDE = EngineSettings(analysis_workers=8, composite_workers=8)


class Picky(StubRenderer):
    """Draws unless a face of the time `bad` is among them; runs out of memory above `most` faces."""

    def __init__(self, bad: float = -1.0, most: int = 1000, error: type[Exception] = ValueError) -> None:
        super().__init__()
        self.bad, self.most, self.error = bad, most, error

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        if any(job.seconds == self.bad for job in jobs):
            self.sizes.append(len(jobs))
            raise self.error("this face cannot be drawn")
        if len(jobs) > self.most:
            self.sizes.append(len(jobs))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().render(jobs, memories, stages)


def test_an_error_in_a_model_ends_the_session_it_belongs_to_and_the_others_go_on() -> None:
    world = World(WIDE, renderer=Picky(bad=7.0))
    sessions = [world.open() for _ in range(3)]
    world.submit(sessions[0], 0)
    culprit = world.submit(sessions[1], 7, rate=1)
    world.submit(sessions[2], 2)
    later = world.submit(sessions[1], 8, rate=1)
    world.workers.run()
    assert world.renderer.sizes == [3, 1, 1, 1]
    for future in (culprit, later):
        with pytest.raises(ValueError, match="this face cannot be drawn"):
            future.result(0)
    assert sessions[1].closed
    assert isinstance(sessions[1].error, ValueError)
    with pytest.raises(SessionClosedError, match=r"ended with an error \(this face cannot be drawn\); open"):
        world.submit(sessions[1], 9)
    for session in (sessions[0], sessions[2]):
        world.submit(session, 3)
    world.workers.run()
    assert [session.stats()["outcomes"] for session in (sessions[0], sessions[2])] == [{"edited": 2}] * 2
    assert world.engine.stats()["sessions"] == 2
    assert world.engine.stats()["outcomes"] == {"edited": 4, "dropped: session failed": 2}


def test_where_memory_runs_out_the_batch_is_split_and_stays_smaller_and_the_sessions_are_told() -> None:
    world = World(WIDE, renderer=Picky(most=3))
    sessions = [world.open() for _ in range(8)]
    for session in sessions:
        world.submit(session, 0)
    world.workers.run()
    assert world.renderer.sizes == [8, 4, 2, 2, 4, 2, 2]
    assert all(session.stats()["outcomes"] == {"edited": 1} for session in sessions)
    assert world.engine.stats()["max_batch"] == 2
    assert all("at most 2 faces are drawn at once" in session.notes[0] for session in sessions)
    world.renderer.sizes.clear()
    for session in sessions:
        world.submit(session, 1)
    world.workers.run()
    assert world.renderer.sizes == [2, 2, 2, 2]
    assert all(len(session.notes) == 1 for session in sessions)


def test_a_single_frame_without_memory_ends_its_session_with_words_that_help() -> None:
    world = World(WIDE, renderer=Picky(most=3), editors=lambda spec, _: StubEditor(spec.edits, faces=5))
    session = world.open()
    future = world.submit(session, 0)
    world.workers.run()
    with pytest.raises(DeviceMemoryError, match=r"too little memory to draw 5 faces at once.*--faces 1"):
        future.result(0)


class Failing(StubEditor):
    """Fails in one stage at one time."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        if self.stage == "analyse" and frame.pts == 3:
            raise RuntimeError("cannot analyse")
        return super().analyse(state, frame, stages)

    def composite(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        stages: Stages,
        **show: bool,
    ) -> tuple[dict[int, CompositeState], Edited]:
        if self.stage == "composite" and analysis.frame.pts == 3:
            raise RuntimeError("cannot composite")
        return super().composite(state, analysis, rendered, stages, **show)

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        if self.stage == "carry":
            raise RuntimeError("cannot carry")
        return super().reproject(state, analysis, stages)


@pytest.mark.parametrize("stage", ["analyse", "composite", "carry"])
def test_an_error_in_a_stage_ends_the_session(stage: str) -> None:
    made = iter([Failing(stage), StubEditor()])
    slow = {"device": 0.1} if stage == "carry" else {}
    world = World(WIDE, costs=COSTS | slow, editors=lambda *_: next(made))  # type: ignore[operator]
    failing, other = world.open(), world.open()
    for number in range(6):
        world.workers.at(number / 25, lambda number=number: world.submit(other, number))  # type: ignore[misc]
        world.workers.at(number / 25, lambda number=number: failing.closed or world.submit(failing, number))  # type: ignore[misc]
    world.workers.run()
    assert str(failing.error) == f"cannot {stage}"
    errors = [future.exception(0) for future in world.futures[id(failing)]]
    assert errors[-1] is failing.error
    assert len(world.shown(other)) == 6
    assert world.workers.running == {"analyse": 0, "device": 0, "composite": 0}


def test_closing_cancels_what_is_under_way_and_the_engine_goes_on() -> None:
    world = World(WIDE)
    session, other = world.open(), world.open()
    futures = [world.submit(session, 0), world.submit(other, 0)]
    world.workers.run(0.003)
    session.close()
    session.close()
    assert futures[0].cancelled()
    with pytest.raises(SessionClosedError, match="the session was closed; open another one"):
        world.submit(session, 1)
    with pytest.raises(SessionClosedError):
        session.set({"smile": 1})
    world.workers.run()
    assert str(futures[1].result(0).outcome) == "edited"
    world.engine.close()
    with pytest.raises(EngineError, match="the engine is closed"):
        world.open()


def test_a_file_that_waits_for_room_hears_of_the_end() -> None:
    world = World()
    session = world.open(live=False)
    for number in range(4):
        world.submit(session, number)
    world.workers.at(0.001, session.close)
    with pytest.raises(SessionClosedError):
        world.submit(session, 4)


def test_bypass_shows_the_source_at_once_in_order_and_costs_nothing() -> None:
    world = World()
    session = world.open()
    world.submit(session, 0)
    session.bypass = True
    passed = [world.submit(session, number) for number in (1, 2)]
    assert not passed[0].done()  # the first frame goes out first
    world.workers.run()
    assert world.order[id(session)] == [0, 1, 2]
    assert [str(future.result(0).outcome) for future in passed] == ["unchanged: bypass"] * 2
    later = world.submit(session, 3)
    assert later.done()
    assert later.result(0).age == 0
    session.bypass = False
    world.submit(session, 4)
    world.workers.run()
    assert str(world.shown(session)[-1].outcome) == "edited"
    assert world.renderer.sizes == [1, 1]


def test_a_callback_may_submit_the_next_frame() -> None:
    world = World()
    session = world.open()

    def again(_future: Any) -> None:
        if session.submitted < 20:
            world.submit(session, session.submitted).add_done_callback(again)

    world.submit(session, 0).add_done_callback(again)
    world.workers.run()
    assert world.order[id(session)] == list(range(20))


def test_a_future_that_its_owner_cancels_does_no_harm() -> None:
    world = World()
    session = world.open()
    first, second = world.submit(session, 0), None
    assert first.cancel()
    world.workers.run()
    second = world.submit(session, 1)
    world.workers.run()
    assert str(second.result(0).outcome) == "edited"


class Recording(StubEditor):
    """Keeps the strengths that each frame was looked at with."""

    def __init__(self, edits: Edits, mode: str, faces: str) -> None:
        super().__init__(edits)
        self.mode, self.choice = mode, faces
        self.seen: list[dict[str, float]] = []

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        begin = frame.seconds if state.begin is None else state.begin
        self.seen.append({spec.name: spec.strength(frame.seconds - begin) for spec in self.edits.specs})
        return super().analyse(state, frame, stages)


def recording() -> tuple[World, list[Recording]]:
    made: list[Recording] = []

    def make(spec: SessionSpec, before: object) -> Recording:
        assert before is (made[-1] if made else None)
        made.append(Recording(spec.edits, spec.mode, spec.faces))
        return made[-1]

    return World(editors=make), made


def test_edits_change_from_the_next_frame_on_and_ramp_from_where_they_are() -> None:
    world, made = recording()
    session = world.open(edits=Edits((parse_edit("smile=1"),), DIRECTIONS))
    for number in range(30):
        if number == 5:
            session.set({"smile": 3.0, "age": -1.0}, ramp_ms=400)
        if number == 10:
            session.set({"smile": 0.0}, ramp_ms=200)
        if number == 20:
            session.set({"age": 0.5}, replace=True)
            assert session.strengths == {"age": 0.5}
        world.submit(session, number)
        world.workers.run()
    smile, age = ([seen.get(name, 0.0) for seen in made[0].seen] for name in ("smile", "age"))
    assert smile[:6] == pytest.approx([1.0] * 6)
    assert smile[5:11] == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
    assert smile[10:17] == pytest.approx([2.0, 1.6, 1.2, 0.8, 0.4, 0.0, 0.0], abs=1e-9)
    assert age[5:17] == pytest.approx([-0.1 * step for step in range(11)] + [-1.0])
    assert (smile[20], age[20]) == (0.0, 0.5)
    assert session.strengths == {"age": 0.5, "smile": 0.0}


def test_an_unknown_edit_is_refused_where_it_is_asked_for() -> None:
    world, _ = recording()
    session = world.open(edits=Edits((), DIRECTIONS))
    with pytest.raises(EditError, match="did you mean 'smile'"):
        session.set({"smille": 1.0})
    world.submit(session, 0)
    world.workers.run()
    assert str(world.shown(session)[0].outcome) == "edited"


def test_mode_faces_and_latency_change_while_it_runs() -> None:
    world, made = recording()
    session = world.open(edits=Edits((), DIRECTIONS))
    session.mode = "replace"  # type: ignore[assignment]
    session.faces = "all"
    session.max_latency_ms = 90
    assert (made[-1].mode, made[-1].choice) == ("replace", "all")
    assert (session.mode, session.faces, session.max_latency_ms) == ("replace", "all", 90)
    world.submit(session, 0)
    world.workers.run()
    assert [len(one.seen) for one in made] == [0, 0, 1]
    session.choose_face(0.25, 0.5)
    assert session.spec.place == Place(0.25, 0.5, 1)
    session.choose_face(0.25, 0.5)
    assert session.spec.place == Place(0.25, 0.5, 2)
    session.mode = "detail"
    assert session.spec.place is not None
    session.faces = "all"
    assert session.spec.place is None
    with pytest.raises(PipelineError, match=r"a place in 0\.\.1"):
        session.choose_face(1.5, 0.0)
    with pytest.raises(EditError, match="unknown mode 'paint'"):
        session.mode = "paint"  # type: ignore[assignment]
    with pytest.raises(PipelineError, match="cannot be kept"):
        session.max_latency_ms = 1
    with pytest.raises(PipelineError, match="cannot be kept"):
        world.open(max_latency_ms=float("nan"))
    with pytest.raises(PipelineError, match="frames a second"):
        world.open(rate=0)
