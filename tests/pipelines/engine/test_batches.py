"""What is drawn together, and when: a frame of each session, full or window over, oldest first; files wait."""

from fractions import Fraction

import pytest

from dynstream.pipelines.engine.scheduled_frame import ScheduledFrame, Stream, choose, due
from dynstream.pipelines.engine.settings import EngineSettings
from dynstream.pipelines.research.bench.stub_editor import StubEditor
from dynstream.stream.frame import Frame

from .simulation import COSTS, PIXELS, World


def scheduled(stream: Stream, number: int, deadline: float, faces: int = 1, queued: float = 0.0) -> ScheduledFrame:
    return ScheduledFrame(stream, number, 0.0, deadline, faces=faces, queued=queued)


def streams(count: int, *, live: bool = True) -> list[Stream]:
    return [Stream(live, 0.25) for _ in range(count)]


def test_a_batch_holds_one_frame_of_each_stream_the_oldest_deadline_first() -> None:
    a, b, c = streams(3)
    ready = [scheduled(a, 0, 0.5), scheduled(a, 1, 0.6), scheduled(b, 7, 0.2), scheduled(c, 3, 0.4)]
    assert [(one.stream, one.number) for one in choose(ready, 16)] == [(b, 7), (c, 3), (a, 0)]


def test_a_batch_holds_no_more_faces_than_it_may_but_a_single_frame_may() -> None:
    a, b, c = streams(3)
    ready = [scheduled(a, 0, 0.1, faces=2), scheduled(b, 0, 0.2, faces=3), scheduled(c, 0, 0.3)]
    assert [one.stream for one in choose(ready, 4)] == [a]
    assert [one.stream for one in choose(ready, 5)] == [a, b]
    assert [one.stream for one in choose(ready, 1)] == [a]


def test_live_frames_go_before_files_and_not_with_them() -> None:
    live, file = Stream(True, 0.25), Stream(False, 0.25)
    assert [one.stream for one in choose([scheduled(file, 0, float("inf")), scheduled(live, 0, 0.3)], 16)] == [live]


def test_a_batch_is_due_when_it_is_full_or_its_window_over() -> None:
    a, b = streams(2)
    half = [scheduled(a, 0, 0.5, queued=1.0)]
    assert due(half, [a, b], 16, 0.004) == pytest.approx(1.004)
    assert due(half, [a, b], 1, 0.004) == 1.0
    assert due([*half, scheduled(b, 0, 0.5, queued=1.002)], [a, b], 16, 0.004) == 1.0
    b.bypass = True
    assert due(half, [a, b], 16, 0.004) == 1.0


def test_an_alone_session_never_waits_for_a_window() -> None:
    world = World()
    session = world.open()
    world.submit(session, 0)
    world.workers.run()
    assert world.shown(session)[0].age == pytest.approx(0.014)


def test_what_comes_within_the_window_is_drawn_together() -> None:
    world = World()
    sessions = [world.open() for _ in range(4)]
    for place, session in enumerate(sessions[:3]):
        world.workers.at(0.001 * place, lambda session=session: world.submit(session, 0))  # type: ignore[misc]
    world.workers.run()
    assert world.renderer.sizes == [3]
    assert world.shown(sessions[0])[0].age == pytest.approx(0.018)  # the window of 4 ms, for the fourth session


def test_a_batch_is_pushed_at_once_when_every_session_is_in() -> None:
    world = World(EngineSettings(analysis_workers=4, composite_workers=4))
    sessions = [world.open() for _ in range(4)]
    for session in sessions:
        world.submit(session, 0)
    world.workers.run()
    assert world.renderer.sizes == [4]
    assert [world.shown(session)[0].age for session in sessions] == pytest.approx([0.014] * 4)


def test_a_batch_is_pushed_when_it_is_full() -> None:
    world = World(EngineSettings(max_batch=2, analysis_workers=8))
    sessions = [world.open() for _ in range(5)]
    for session in sessions:
        world.submit(session, 0)
    world.workers.run()
    assert world.renderer.sizes == [2, 2, 1]


def test_faces_count_and_not_frames() -> None:
    world = World(
        EngineSettings(max_batch=4, analysis_workers=8), editors=lambda spec, _: StubEditor(spec.edits, faces=3)
    )
    sessions = [world.open() for _ in range(2)]
    for session in sessions:
        world.submit(session, 0)
    world.workers.run()
    assert world.renderer.sizes == [3, 3]


def test_the_lanes_hold_no_more_work_than_they_have_workers() -> None:
    world = World(
        EngineSettings(analysis_workers=3, composite_workers=2),
        costs={"analyse": 0.01, "device": 0.01, "composite": 0.02},
    )
    sessions = [world.open() for _ in range(6)]
    world.feed(sessions, 50)
    world.workers.run()
    assert world.workers.most["analyse"] == 3
    assert world.workers.most["device"] == 1
    assert world.workers.most["composite"] == 2


def test_a_file_is_never_dropped_and_never_waits_for_a_window() -> None:
    world = World(costs=COSTS | {"device": 0.500})
    session = world.open(live=False)
    for number in range(40):
        world.submit(session, number)
        assert session.stats()["under_way"] <= world.engine.settings.patient_flight
    world.workers.run()
    assert world.order[id(session)] == list(range(40))
    assert session.stats()["outcomes"] == {"edited": 40}
    assert world.workers.now == pytest.approx(40 * 0.5 + 0.004, abs=0.01)


def test_stages_of_a_file_overlap() -> None:
    world = World(costs={"analyse": 0.010, "device": 0.010, "composite": 0.010})
    session = world.open(live=False)
    for number in range(30):
        world.submit(session, number)
    world.workers.run()
    assert world.workers.now == pytest.approx(0.010 * 32)


def test_a_file_beside_a_live_stream_gets_what_is_left_and_the_live_stream_stays_in_time() -> None:
    world = World(costs=COSTS | {"device": 0.015})
    live, file = world.open(), world.open(live=False)
    world.feed([live], 100)
    for number in range(60):
        world.submit(file, number)
    world.workers.run()
    assert world.order[id(file)] == list(range(60))
    assert file.stats()["outcomes"] == {"edited": 60}
    assert live.stats()["edited"] == 100
    assert max(shown.age for shown in world.shown(live)) < 0.060


def test_a_live_frame_carries_its_own_time_and_a_file_too() -> None:
    world = World()
    session = world.open()
    future = session.submit(Frame(PIXELS, 17, Fraction(1, 30)))
    world.workers.run()
    assert (future.result(0).frame.pts, future.result(0).frame.time_base) == (17, Fraction(1, 30))
