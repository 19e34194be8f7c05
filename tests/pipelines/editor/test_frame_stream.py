"""Stages side by side: the same frames as one after the other, drawings carried between, and how it ends."""

import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dynstream.pipelines.common.ahead import Ahead
from dynstream.pipelines.common.outcome import EDITED
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor import frame_stream
from dynstream.pipelines.editor.draw_schedule import MOST_FRAMES, scheduled
from dynstream.pipelines.editor.face_editor import AnalysisState, SessionState
from dynstream.pipelines.editor.frame_stream import edit_frames
from dynstream.pipelines.motion.keyframes import Every
from dynstream.stream.frame import Frame

from ..fakes import editor, scene

MILLISECONDS = Fraction(1, 1000)
STILL = [scene()] * 12
MOVING = [scene((96 + 2 * i, 60)) for i in range(12)]


def frames_of(pictures: list[Any], step: int = 40) -> list[Frame]:
    return [Frame(pixels, step * i, MILLISECONDS) for i, pixels in enumerate(pictures)]


def edited(pictures: list[Any], every: Every = 1, edit: str = "smile=1") -> tuple[list[Any], Stages]:
    stages = Stages()
    return list(edit_frames(frames_of(pictures), editor(edit), stages, draw_every=every)), stages


def test_every_frame_drawn_is_the_same_as_one_after_the_other() -> None:
    one, state = editor("smile=1"), SessionState()
    expected = []
    for frame in frames_of(MOVING):
        state, result = one.step(state, frame, Stages())
        expected.append(result)
    found, stages = edited(MOVING)
    assert stages.calls["drawn"] == len(MOVING)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.frame.pts, mine.outcome) == (theirs.frame.pts, theirs.outcome)
        assert np.array_equal(mine.frame.pixels, theirs.frame.pixels)


@pytest.mark.parametrize(("every", "drawn"), [(1, 12), (3, 5), (4, 4), (50, 2), ("auto", 3)])
def test_drawings_are_carried_between(every: Every, drawn: int) -> None:
    """The first and the last frame are drawn in any case, and what is carried is like what would be drawn."""
    found, stages = edited(MOVING, every)
    expected, _ = edited(MOVING)
    assert stages.calls["drawn"] == drawn
    assert [result.frame.pts for result in found] == [40 * i for i in range(12)]
    assert all(result.outcome == EDITED for result in found)
    for mine, theirs, source in zip(found, expected, MOVING, strict=True):
        changed = (theirs.frame.pixels != source).any(axis=2)
        error = np.abs(mine.frame.pixels.astype(int) - theirs.frame.pixels)
        assert error[changed].mean() < 0.2 * np.abs(theirs.frame.pixels.astype(int) - source)[changed].mean()


def test_nothing_is_carried_across_a_change_of_faces() -> None:
    """On both sides of a face that goes or comes frames are drawn; without one nothing is."""
    gone = [*STILL, *[scene(None)] * 40, *STILL]
    one, stages = editor("smile=1"), Stages()
    plan = list(scheduled(_analysed(one, gone), 5))
    shown = [bool(frame.jobs) for frame, _ in plan]
    for i in range(1, len(plan)):
        if shown[i] != shown[i - 1]:
            assert plan[i - 1][1]
            assert plan[i][1]
    found, stages = edited(gone, 5)
    assert len(found) == len(gone)
    assert np.array_equal(found[40].frame.pixels, gone[40])
    assert stages.calls["drawn"] < sum(shown)


def _analysed(one: Any, pictures: list[Any]) -> Iterator[Any]:
    state = AnalysisState()
    for frame in frames_of(pictures):
        state, analysis = one.analyse(state, frame, Stages())
        yield analysis


def test_a_piece_draws_the_frames_that_the_whole_draws_once_a_second_has_begun() -> None:
    one = editor("smile=1")
    pictures = [scene()] * 70  # 2.8 s

    def drawn(first: int) -> set[int]:
        state, analyses = AnalysisState(), []
        for frame in frames_of(pictures)[first:]:
            state, analysis = one.analyse(state, frame, Stages())
            analyses.append(analysis)
        return {frame.frame.pts for frame, draw in scheduled(analyses, "auto") if draw and frame.frame.seconds >= 1}

    whole = drawn(0)
    assert {1000, 2000} <= whole
    assert all(drawn(first) == whole for first in (3, 10, 17, 24))


@pytest.mark.parametrize(("step", "most"), [(10, MOST_FRAMES), (40, 7), (200, 2), (300, 1)])
def test_auto_draws_from_time_to_time(step: int, most: int) -> None:
    """A face at rest: at most so many frames, or a quarter of a second."""
    one, state, analyses = editor("smile=1"), AnalysisState(), []
    for frame in frames_of(STILL * 3, step):
        state, analysis = one.analyse(state, frame, Stages())
        analyses.append(analysis)
    drawn = [i for i, (_, draw) in enumerate(scheduled(analyses, "auto")) if draw]
    assert max(np.diff(drawn)) == most


def test_auto_draws_where_light_changes() -> None:
    darker = [np.asarray(scene() * share, np.uint8) for share in (1, 1, 1, 0.9, 0.9, 0.9)]
    plan = [draw for _, draw in scheduled(_analysed(editor("smile=1"), darker), "auto")]
    assert plan == [True, False, False, True, False, True]


def test_an_error_comes_after_the_frames_before_it() -> None:
    def frames() -> Iterator[Frame]:
        yield from frames_of(STILL)[:7]
        raise OSError("cut off")

    results = edit_frames(frames(), editor("smile=1"), Stages(), draw_every=4)
    found = [next(results).frame.pts for _ in range(7)]
    with pytest.raises(OSError, match="cut off"):
        next(results)
    assert found == [40 * i for i in range(7)]


def test_who_stops_reading_leaves_no_thread() -> None:
    before = threading.active_count()
    results = edit_frames(frames_of(STILL * 3), editor("smile=1"), Stages())
    assert next(results).outcome == EDITED
    assert threading.active_count() == before + 4
    results.close()
    assert threading.active_count() == before


def test_an_input_that_never_comes_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynstream.pipelines.common.ahead.LAST_SECONDS", 0.01)
    never = threading.Event()

    def frames() -> Iterator[Frame]:
        yield from frames_of(STILL)[:3]
        never.wait(60)

    results = edit_frames(frames(), editor("smile=1"), Stages())
    next(results)
    results.close()
    never.set()


def test_ahead_is_bounded() -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            if i == 3:
                enough.set()
            yield i

    ahead = Ahead(items(), "test")
    rest = iter(ahead)
    assert next(rest) == 0
    assert enough.wait(60)
    assert len(made) <= 5
    assert list(rest) == list(range(1, 100))
    ahead.join()


def test_the_names_of_its_threads_are_those_of_its_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    class Named(Ahead[Any]):
        def __init__(self, items: Any, name: str) -> None:
            names.append(name)
            super().__init__(items, name)

    monkeypatch.setattr(frame_stream, "Ahead", Named)
    edited(STILL[:2])
    assert names == ["edit-read", "edit-analyse", "edit-draw", "edit-composite"]
