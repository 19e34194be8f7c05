"""The interface of a live stream's edit, and ramps of its edits to new strengths."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol, TypeVar

from ...stream.frame import Frame
from ..common.outcome import Outcome
from .edit import Edits, EditSpec


class EditedFrame(Protocol):
    """The result for a frame; `face_editor.Edited` and `result_queue.Shown` are such."""

    @property
    def frame(self) -> Frame:
        """The edited frame, with the time of the one that was given."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What is shown, and why."""
        ...


Result = TypeVar("Result", bound=EditedFrame)


class Editing(Protocol[Result]):
    """The edit of one stream of frames: the part of `engine.session.Session` that a live run uses."""

    def submit(self, frame: Frame, captured: float | None = None) -> "Future[Result]":
        """Submit a frame. Frames are submitted in order, and their futures are done in order.

        captured: time of capture in seconds of time.monotonic. The future is cancelled if a newer frame replaces it.
        """
        ...

    def set(self, strengths: Mapping[str, float], ramp_ms: float = 0.0) -> None:
        """Move edits to new strengths within `ramp_ms`, from the next frame on; others stay.

        Raises EditError for a name that is not known.
        """
        ...

    def conceal_missing(self, give: Callable[[Result], object]) -> bool:
        """Conceal missing frames, if possible; see `engine.session.Session.conceal_missing`."""
        ...

    def calibrate(self) -> None:
        """Of a portrait's driver: what it does now is at rest. Elsewhere nothing."""
        ...

    def close(self) -> None:
        """End it and cancel the frames under way. A second call does nothing."""
        ...


def ramped(edits: Edits, strengths: Mapping[str, float], seconds: float, ramp_ms: float) -> Edits:
    """The edits with a linear ramp from their strengths at `seconds`, in the stream's time, to new ones.

    strengths: of the edits that change; the others stay as they are. Raises EditError for an unknown name.
    """
    specs = {spec.name: spec for spec in edits.specs}
    until = seconds + ramp_ms / 1000
    for name, strength in strengths.items():
        start = specs[name].strength(seconds) if name in specs else 0.0
        specs[name] = EditSpec(name, start, float(strength), seconds, until)
    rest = tuple(spec for spec in specs.values() if spec.name in strengths or spec.start or spec.end)
    return replace(edits, specs=rest)
