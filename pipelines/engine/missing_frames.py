"""Frame concealment in the engine: the interface that makes a lost frame, and the work that goes with each."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from ...stream.frame import Frame, Pixels
from ..common.outcome import Outcome, OutcomeKind
from ..common.stage_timing import Stages
from ..editor.face_editor import Edited, FrameAnalysis
from ..inversion.latent_memory import LatentState
from .drawing import ran_out_of_memory
from .frame_concealment import ConcealmentState
from .result_queue import Shown
from .session import Session, Work


class Concealer(Protocol):
    """Makes the picture for a lost frame; `frame_concealment.FrameConcealment` is one."""

    def came(
        self,
        concealment: ConcealmentState | None,
        shown: Frame,
        analysis: FrameAnalysis,
        latents: Mapping[int, LatentState],
    ) -> ConcealmentState:
        """The state after a frame that came. Called in a compositing thread, as `make` is.

        concealment: the state after the frame before. shown: the picture shown for this frame.
        """
        ...

    def make(self, concealment: ConcealmentState, seconds: float) -> tuple[ConcealmentState, Pixels | None]:
        """(next state, the frame at that time of the stream); no frame if the last picture should be held."""
        ...


def note(
    fill: Concealer | None, session: Session, edited: Edited, analysis: FrameAnalysis, stages: Stages
) -> ConcealmentState | None:
    """The concealment state after this frame; None if the session requests no concealment."""
    if fill is None or session.stream.cadence is None:
        return None
    with stages.time("note"):
        return fill.came(session.concealment, edited.frame, analysis, session.memory.latents)


def conceal(
    fill: Concealer | None, work: Work, reason: str, stages: Stages
) -> tuple[ConcealmentState | None, Edited | None]:
    """(next concealment state, the lost frame); no frame if the device runs out of memory."""
    concealment = work.session.concealment
    if fill is None or concealment is None:
        return concealment, None
    try:
        with stages.time("make"):
            concealment, pixels = fill.make(concealment, work.seen.seconds)
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        return concealment, None
    return concealment, None if pixels is None else Edited(
        work.seen.with_pixels(pixels), Outcome(OutcomeKind.CONCEALED, reason)
    )


def missing_work(session: Session, last: Frame, seconds: float, give: Callable[[Shown], object]) -> Work:
    """The work for a frame that is missing at a time of the stream. last: one that came. give: gets the result."""
    frame = Frame(last.pixels, round(seconds / last.time_base), last.time_base)
    future: Future[Shown] = Future()
    future.add_done_callback(partial(_give, give))
    return Work(session, frame, session.shifted(frame), future, missing=seconds)


def _give(give: Callable[[Shown], object], future: "Future[Shown]") -> None:
    if not future.cancelled() and future.exception() is None:
        give(future.result())
