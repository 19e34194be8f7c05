"""Edit a stream of frames with its stages side by side, each in a thread of its own; frames stay in order."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

from ...stream.frame import Frame
from ..common.ahead import Ahead
from ..common.stage_timing import Stages
from ..motion.keyframes import Every
from .composite_state import CompositeState
from .draw_schedule import scheduled
from .face_editor import AnalysisState, Edited, FaceEditor, FrameAnalysis, SessionState
from .renderer import Rendered

Drawing = tuple[FrameAnalysis, list[Rendered] | None]


def edit_frames(
    frames: Iterable[Frame],
    editor: FaceEditor,
    stages: Stages,
    *,
    draw_every: Every = 1,
    finish: Callable[[Frame, Edited], Edited] = lambda _source, edited: edited,
    state: SessionState | None = None,
) -> Generator[Edited, None, None]:
    """Every frame, edited, in order: the state, `SessionState()` at first, goes on as with `FaceEditor.step`.

    While a frame is composited, the next is drawn, the one after it is looked at and another is read. draw_every: see
    `draw_schedule.scheduled`; frames between two drawings come from both, so that the result runs behind by as many
    frames. finish: what is done last with each frame and its edit, in order. Errors of the frames and of the editor are
    raised where the frame would have come, after all before it.
    """
    state = state or SessionState()
    read = Ahead(_read(frames, stages), "edit-read")
    planned = Ahead(scheduled(_analysed(read, editor, stages, state.analysis), draw_every), "edit-analyse")
    drawn = Ahead(_drawn(planned, editor, stages, state), "edit-draw")
    composited = Ahead(_composited(drawn, editor, stages, state, finish), "edit-composite")
    steps = (read, planned, drawn, composited)
    try:
        yield from composited
    finally:
        for step in steps:
            step.cancel()
        for step in steps:
            step.join()


def _read(frames: Iterable[Frame], stages: Stages) -> Iterator[Frame]:
    rest = iter(frames)
    while True:
        with stages.time("decode"):
            frame = next(rest, None)
        if frame is None:
            return
        yield frame


def _analysed(
    frames: Iterable[Frame], editor: FaceEditor, stages: Stages, state: AnalysisState
) -> Iterator[FrameAnalysis]:
    for frame in frames:
        state, analysis = editor.analyse(state, frame, stages)
        yield analysis


def _drawn(
    planned: Iterable[tuple[FrameAnalysis, bool]], editor: FaceEditor, stages: Stages, state: SessionState
) -> Iterator[Drawing]:
    latents = state.latents
    for analysis, draw in planned:
        if not draw:
            yield analysis, None
            continue
        rendered = editor.renderer.render(analysis.jobs, analysis.memories(latents), stages)
        latents = analysis.remember(latents, rendered)
        yield analysis, rendered


def _composited(
    drawings: Iterable[Drawing],
    editor: FaceEditor,
    stages: Stages,
    state: SessionState,
    finish: Callable[[Frame, Edited], Edited],
) -> Iterator[Edited]:
    before: Mapping[int, CompositeState] = state.composites
    waiting: list[FrameAnalysis] = []
    for analysis, rendered in drawings:
        if rendered is None:
            waiting.append(analysis)
            continue
        after, edited = editor.composite(before, analysis, rendered, stages)
        for between in waiting:
            before, carried = editor.carry(before, between, after, stages)
            yield finish(between.frame, carried)
        waiting.clear()
        before = after
        yield finish(analysis.frame, edited)
