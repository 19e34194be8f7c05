"""The engine with its own threads, real stages and fake or real networks: the pixels of `FaceEditor.step`."""

from collections.abc import Sequence

import numpy as np
import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import StateError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import Edited, FaceEditor, SessionState
from dynstream.pipelines.editor.load import load_renderer
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.load import editors
from dynstream.pipelines.engine.session import Session
from dynstream.pipelines.engine.settings import EngineSettings, SessionSpec
from dynstream.pipelines.tracking.backends import load_backend
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.drawn_face import draw_face
from dynstream.stream.frame import Frame, Pixels

from .. import fakes
from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, edits, scene

SECONDS = 300.0
"""Long enough for any machine; nothing waits that long unless it is stuck."""


def renderer() -> Renderer:
    return Renderer(LevelEncoder(), LevelGenerator())  # type: ignore[arg-type]


def engine(settings: EngineSettings | None = None, networks: Renderer | None = None) -> Engine:
    networks = networks or renderer()
    # The clock stands still: nothing is ever late, and a batch waits for every session, on any machine.
    return Engine(networks, editors(networks, OvalBackend, None), settings, clock=lambda: 0.0)


def reference(items: Sequence[Frame], *texts: str, of: FaceEditor | None = None, **options: object) -> list[Edited]:
    editor = of or fakes.editor(*texts, **options)
    state, stages, results = SessionState(), Stages(), []
    for item in items:
        state, edited = editor.step(state, item, stages)
        results.append(edited)
    return results


def run(session: Session, items: Sequence[Frame]) -> list[Edited]:
    futures = [session.submit(item) for item in items]
    shown = [future.result(SECONDS) for future in futures]
    return [Edited(one.frame, one.outcome) for one in shown]


def same(results: Sequence[Edited], expected: Sequence[Edited]) -> None:
    assert [one.outcome for one in results] == [one.outcome for one in expected]
    for result, wanted in zip(results, expected, strict=True):
        assert (result.frame.pts, result.frame.time_base) == (wanted.frame.pts, wanted.frame.time_base)
        np.testing.assert_array_equal(result.frame.pixels, wanted.frame.pixels)


COMING_AND_GOING = (
    [scene((90 + i, 60)) for i in range(6)] + [scene(None)] * 12 + [scene((95, 58), background=(150, 30, 160))] * 12
)


@pytest.mark.parametrize("mode", ["detail", "replace"])
def test_a_file_gets_the_pixels_of_the_editor_itself(mode: str) -> None:
    items = fakes.frames(COMING_AND_GOING)
    with engine() as at:
        session = at.open(SessionSpec(edits=edits("smile=0:1@0.3s"), mode=mode, live=False))  # type: ignore[arg-type]
        same(run(session, items), reference(items, "smile=0:1@0.3s", mode=mode))
        assert session.stats()["outcomes"]["edited"] > 10


def test_streams_in_one_batch_get_what_each_gets_alone() -> None:
    clips = [fakes.frames([scene((85 + 3 * place + i, 60)) for i in range(10)]) for place in range(3)]
    texts = ["smile=1", "age=2", "smile=0.5"]
    with engine() as at:
        sessions = [at.open(SessionSpec(edits=edits(text), live=False)) for text in texts]
        futures = [[session.submit(clip[i]) for session, clip in zip(sessions, clips, strict=True)] for i in range(10)]
        results = [[future.result(SECONDS) for future in row] for row in futures]
        assert at.stats()["batches"] == {"3": 10}
    for place, (clip, text) in enumerate(zip(clips, texts, strict=True)):
        same([Edited(row[place].frame, row[place].outcome) for row in results], reference(clip, text))


def test_a_live_frame_is_the_same_where_there_is_time() -> None:
    items = fakes.frames([scene((90 + i, 60)) for i in range(5)])
    with engine() as at:
        session = at.open(SessionSpec(edits=edits("smile=1"), max_latency_ms=60_000))
        results = [session.submit(item).result(SECONDS) for item in items]
        same([Edited(one.frame, one.outcome) for one in results], reference(items, "smile=1"))


def test_frames_between_drawings_show_the_edit_where_the_face_is_now() -> None:
    settings = EngineSettings(
        quality_levels=[EngineSettings().quality_levels[3]], first_level="quarter", admit_level="quarter"
    )
    items = fakes.frames([scene((70 + 4 * i, 60)) for i in range(12)])
    with engine(settings) as at:
        session = at.open(SessionSpec(edits=edits("smile=2"), max_latency_ms=60_000))
        first = session.submit(items[0]).result(SECONDS)
        while not session.memory.composites:  # its drawing comes after it was shown
            first = session.submit(items[0]).result(SECONDS)
        results = [session.submit(item).result(SECONDS) for item in items[1:]]
    assert first.frame.size == items[0].size
    assert {one.outcome.kind for one in results} == {"edited"}
    assert not all(one.outcome.is_drawn for one in results)
    for number, (one, item) in enumerate(zip(results, items[1:], strict=True), start=1):
        face = (slice(50, 80), slice(55 + 4 * number, 86 + 4 * number))
        grown = (one.frame.pixels[face].astype(float) - item.pixels[face]).mean()
        assert grown > 5
        np.testing.assert_array_equal(one.frame.pixels[:30, :30], item.pixels[:30, :30])


def test_a_snapshot_goes_on_as_if_nothing_had_happened() -> None:
    items = fakes.frames([scene((90 + i, 60)) for i in range(12)])
    text = "smile=0:1@0.4s"
    with engine() as at:
        before = at.open(SessionSpec(edits=edits(text), live=False))
        first = run(before, items[:6])
        data = before.snapshot()
        after = at.open(SessionSpec(edits=edits(), mode="replace", live=False))
        after.restore(data)
        before.close()
        second = run(after, items[6:])
        assert after.mode == "detail"
        assert after.snapshot() != data
    same(first + second, reference(items, text))


def test_a_source_that_begins_anew_goes_on_after_a_snapshot() -> None:
    items = fakes.frames([scene((90 + i, 60)) for i in range(12)], first_pts=100)
    anew = [Frame(item.pixels, number, item.time_base) for number, item in enumerate(items[6:])]
    with engine() as at:
        before = at.open(SessionSpec(edits=edits("smile=1"), live=False, rate=25))
        run(before, items[:6])
        after = at.open(SessionSpec(edits=edits(), live=False, rate=25))
        before.close()
        after.restore(before.snapshot())
        second = run(after, anew)
    expected = reference(items, "smile=1")[6:]
    for one, wanted, item in zip(second, expected, anew, strict=True):
        np.testing.assert_array_equal(one.frame.pixels, wanted.frame.pixels)
        assert one.frame.pts == item.pts


def test_what_is_no_snapshot_is_refused() -> None:
    with engine() as at:
        session = at.open(SessionSpec(edits=edits("smile=1")))
        with pytest.raises(StateError, match=r"cannot be read|not a saved state"):
            session.restore(b"hello")
        session.submit(fakes.frames([scene()])[0]).result(SECONDS)


def test_closing_the_engine_ends_its_threads_and_sessions() -> None:
    at = engine()
    session = at.open(SessionSpec(edits=edits("smile=1"), live=False))
    futures = [session.submit(item) for item in fakes.frames([scene()] * 4)]
    at.close()
    at.close()
    assert all(future.done() for future in futures)
    assert session.closed


def portraits() -> list[Pixels]:
    return [draw_face(x=300.0 + 5 * i, angle=2.0 * i, smile=0.1 * i) for i in range(3)]


def test_real_networks_give_a_batch_what_they_give_one_by_one(zoo: Zoo) -> None:
    """Two streams side by side against each alone, at 1e-4 of the range (-1..1), and a byte in the frame."""
    from dynstream.models.directions.directions import load_directions
    from dynstream.pipelines.edits.edit import Edits
    from dynstream.pipelines.edits.parsing import parse_edit

    networks = load_renderer(zoo)
    backend = load_backend("mesh", zoo)
    clips = [fakes.frames(portraits()), fakes.frames(portraits()[::-1])]
    wanted = [Edits((parse_edit(text),), load_directions()) for text in ("smile=2", "age=1")]
    expected = []
    for clip, chosen in zip(clips, wanted, strict=True):
        expected.append(reference(clip, of=FaceEditor(Tracker(backend), networks, chosen)))
    drawn: list[np.ndarray] = []

    class Keeping:
        def render(self, jobs: list, memories: list, stages: Stages) -> list:  # type: ignore[type-arg]
            together = networks.render(jobs, memories, stages)
            alone = [networks.render([job], [memory], stages)[0] for job, memory in zip(jobs, memories, strict=True)]
            assert len(jobs) == 2
            for one, other in zip(together, alone, strict=True):
                drawn.append(np.abs(one.edited - other.edited).max() / 127.5)
                drawn.append(np.abs(one.inverted - other.inverted).max() / 127.5)
            return alone

    with Engine(Keeping(), editors(networks, lambda: load_backend("mesh", zoo)), clock=lambda: 0.0) as at:
        sessions = [at.open(SessionSpec(edits=chosen, live=False)) for chosen in wanted]
        futures = [[s.submit(clip[i]) for s, clip in zip(sessions, clips, strict=True)] for i in range(3)]
        results = [[future.result(SECONDS) for future in row] for row in futures]
    assert len(drawn) == 12
    assert max(drawn) < 1e-4
    for place in range(2):
        same([Edited(row[place].frame, row[place].outcome) for row in results], expected[place])
        assert str(results[0][place].outcome) == "edited"
