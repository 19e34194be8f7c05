"""The outcome of a frame: one table of words, for engine, server, page, metrics and `--stats`."""

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    """What is shown for a frame."""

    EDITED = "edited"
    """The edit: drawn for this frame, or for an earlier one and moved, or made from two edited frames."""
    FADED = "faded"
    """The same, partly faded out."""
    CONCEALED = "concealed"
    """A picture made for a frame that did not arrive."""
    PASSED = "passed"
    """The source, though an edit was asked for."""
    UNCHANGED = "unchanged"
    """The source, as nothing was asked for."""
    DROPPED = "dropped"
    """Nothing: what was shown before stays."""


WITH_EDIT = frozenset({OutcomeKind.EDITED, OutcomeKind.FADED, OutcomeKind.CONCEALED})
"""Kinds whose pixels differ from the source's."""


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

    @property
    def is_drawn(self) -> bool:
        """Whether the edit was drawn for this very frame."""
        return self.kind == OutcomeKind.FADED or self == EDITED


def moved(reason: str) -> Outcome:
    """An edit that was drawn for an earlier frame and moved onto this one. reason: why this one was not drawn."""
    return Outcome(OutcomeKind.EDITED, f"moved, {reason}")


EDITED = Outcome(OutcomeKind.EDITED)
HELD = Outcome(OutcomeKind.EDITED, "held, no face")
"""Of a portrait whose driver is away."""
NO_FACE = Outcome(OutcomeKind.PASSED, "no face")
NO_EDIT = Outcome(OutcomeKind.UNCHANGED, "no edit at this time")
