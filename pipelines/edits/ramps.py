"""The edit of one live stream behind a small interface, and how its edits move to new strengths."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol, TypeVar

from ...stream.frame import Frame
from ..common.outcome import Outcome
from .edit import Edits, EditSpec


class EditedFrame(Protocol):
    """What comes out for a frame: `face_editor.Edited` and `engine.outcome.Shown` are such."""

    @property
    def frame(self) -> Frame:
        """The edited frame, with the time of the one that was given."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        ...


Result = TypeVar("Result", bound=EditedFrame)


class Editing(Protocol[Result]):
    """One stream of frames, edited: what a live run needs of `engine.session.Session`."""

    def submit(self, frame: Frame, captured: float | None = None) -> "Future[Result]":
        """Begin with a frame; frames are given in order, and their futures done in order.

        captured: when it was, seconds of time.monotonic. The future is cancelled where a newer frame took its place.
        """
        ...

    def set(self, strengths: Mapping[str, float], ramp_ms: float = 0.0) -> None:
        """Move edits to new strengths within `ramp_ms`, from the next frame on; others stay.

        Raises EditError for a name that is not known.
        """
        ...

    def conceal_missing(self, give: Callable[[Result], object]) -> bool:
        """Make frames that do not come, where that is possible; see `engine.session.Session.conceal_missing`."""
        ...

    def close(self) -> None:
        """No more frames; those that were begun are cancelled. A second call does nothing."""
        ...


def ramped(edits: Edits, strengths: Mapping[str, float], seconds: float, ramp_ms: float) -> Edits:
    """The edits on their way to new strengths: from what they are at `seconds`, in the stream's time, evenly.

    strengths: of those that change; the others go on as they were. Raises EditError for an unknown name.
    """
    specs = {spec.name: spec for spec in edits.specs}
    until = seconds + ramp_ms / 1000
    for name, strength in strengths.items():
        start = specs[name].strength(seconds) if name in specs else 0.0
        specs[name] = EditSpec(name, start, float(strength), seconds, until)
    rest = tuple(spec for spec in specs.values() if spec.name in strengths or spec.start or spec.end)
    return replace(edits, specs=rest)
