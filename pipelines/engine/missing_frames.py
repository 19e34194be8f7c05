"""What an engine does about frames that do not come: whom it asks for them, and the work that goes with each."""

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
    """What is shown at the time of a frame that did not come; `dynamics.lost.FrameConcealment` is one."""

    def came(
        self,
        concealment: ConcealmentState | None,
        shown: Frame,
        analysis: FrameAnalysis,
        latents: Mapping[int, LatentState],
    ) -> ConcealmentState:
        """After a frame that came. Called in a thread of the finish lane, as `make` is.

        concealment: what this gave for the frame before. shown: what was shown for this one.
        """
        ...

    def make(self, concealment: ConcealmentState, seconds: float) -> tuple[ConcealmentState, Pixels | None]:
        """The frame of that time in the stream; None where what was shown last is better held."""
        ...


def note(
    fill: Concealer | None, session: Session, edited: Edited, analysis: FrameAnalysis, stages: Stages
) -> ConcealmentState | None:
    """What a lost frame would be made from after this one; None where none is wanted."""
    if fill is None or session.stream.cadence is None:
        return None
    with stages.time("note"):
        return fill.came(session.concealment, edited.frame, analysis, session.memory.latents)


def make(
    fill: Concealer | None, work: Work, reason: str, stages: Stages
) -> tuple[ConcealmentState | None, Edited | None]:
    """(what the next would be made from, the frame that is missing); no frame where the device has no memory for it."""
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
        work.seen.with_pixels(pixels), Outcome(OutcomeKind.PREDICTED, reason)
    )


def missing_work(session: Session, last: Frame, seconds: float, give: Callable[[Shown], object]) -> Work:
    """For a frame that is missing at a time of the stream. last: one that came. give: gets what is made."""
    frame = Frame(last.pixels, round(seconds / last.time_base), last.time_base)
    future: Future[Shown] = Future()
    future.add_done_callback(partial(_give, give))
    return Work(session, frame, session.shifted(frame), future, missing=seconds)


def _give(give: Callable[[Shown], object], future: "Future[Shown]") -> None:
    if not future.cancelled() and future.exception() is None:
        give(future.result())
