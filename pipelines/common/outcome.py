"""The outcome of a frame: one table of kinds, for the editor, the engine, the server and every count of frames."""

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    """What is shown for a frame, from best to worst in the order of their names."""

    EDITED = "edited"
    """An edit that was drawn for this very frame."""
    FADED = "faded"
    """The same, partly faded out."""
    MOVED = "moved"
    """An edit that was drawn for an earlier frame and reprojected onto this one."""
    PREDICTED = "predicted"
    """An edit that was drawn from predicted codes."""
    BLENDED = "blended"
    """A picture between two edited frames, made from both."""
    PASSED = "passed"
    """The source."""
    HELD = "held"
    """Nothing: what was shown before stays."""
    DROPPED = "dropped"
    """Nothing: the frame was left out."""
    CLOSED = "closed"
    """Nothing: its session was closed."""
    FAILED = "failed"
    """Nothing: its session ended with an error."""


WITH_EDIT = frozenset(
    {OutcomeKind.EDITED, OutcomeKind.FADED, OutcomeKind.MOVED, OutcomeKind.PREDICTED, OutcomeKind.BLENDED}
)
"""Kinds that show an edit made for this frame's face."""


@dataclass(frozen=True, slots=True, order=True)
class Outcome:
    """The outcome of a frame. `str` gives "kind" or "kind: reason", as in statistics and JSON.

    Attributes:
        kind: what is shown.
        reason: why it is not simply edited; "" without a reason.
    """

    kind: OutcomeKind
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else str(self.kind)

    @property
    def has_edit(self) -> bool:
        """Whether an edit is shown."""
        return self.kind in WITH_EDIT


EDITED = Outcome(OutcomeKind.EDITED)
NO_FACE = Outcome(OutcomeKind.PASSED, "no face")
NO_EDIT = Outcome(OutcomeKind.PASSED, "no edit at this time")
