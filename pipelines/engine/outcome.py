"""What a session shows for a frame, and counts of it."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ...stream.frame import Frame

EDITED: Final = frozenset({"edited", "faded", "moved", "predicted", "blended"})
"""Kinds of outcome that show an edit made for this very frame's face, drawn for it, moved onto it or made from such."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What goes out for a frame.

    outcome: its kind, and after a colon the reason. "edited": drawn for this frame. "faded: REASON": the same, partly
    shown. "moved: REASON": drawn for an earlier frame and moved onto this one by its landmarks. "predicted: REASON":
    drawn from a guess. "blended: in between": made from the frames before and after. "passed: REASON": the source.
    age: seconds from capture until it went out. batch: faces that were drawn together with this frame's, None where
    none was drawn for it.
    """

    frame: Frame
    outcome: str
    age: float
    batch: int | None = None

    @property
    def kind(self) -> str:
        """The outcome without its reason."""
        return self.outcome.partition(":")[0]

    @property
    def reason(self) -> str:
        """Why it is not simply edited, "" where it is."""
        return self.outcome.partition(": ")[2]


class Tally:
    """Outcomes and ages of what was shown. kept: of how many frames percentiles of age are taken."""

    def __init__(self, kept: int = 2000) -> None:
        self.outcomes: Counter[str] = Counter()
        self._ages: deque[float] = deque(maxlen=kept)

    def add(self, outcome: str, age: float | None = None) -> None:
        """A frame went out, or was dropped and has no age."""
        self.outcomes[outcome] += 1
        if age is not None:
            self._ages.append(age)

    def edited(self) -> int:
        """Frames with an edit on them; see EDITED."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.partition(":")[0] in EDITED)

    def ages_ms(self) -> Mapping[str, float | None]:
        """p50, p95 and most of the last frames, in milliseconds; None before the first."""
        if not self._ages:
            return {"p50": None, "p95": None, "most": None}
        ages = 1e3 * np.array(self._ages)
        p50, p95 = np.percentile(ages, [50, 95])
        return {"p50": float(p50), "p95": float(p95), "most": float(ages.max())}
