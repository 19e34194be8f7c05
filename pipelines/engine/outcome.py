"""What a session shows for a frame, and counts of it."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...stream.frame import Frame
from ..common.outcome import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What goes out for a frame.

    outcome: what became of it. age: seconds from capture until it went out. batch: faces that were drawn together with
    this frame's, None where none was drawn for it.
    """

    frame: Frame
    outcome: Outcome
    age: float
    batch: int | None = None


class Tally:
    """Outcomes and ages of what was shown. kept: of how many frames percentiles of age are taken."""

    def __init__(self, kept: int = 2000) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._ages: deque[float] = deque(maxlen=kept)

    def add(self, outcome: Outcome, age: float | None = None) -> None:
        """A frame went out, or was dropped and has no age."""
        self.outcomes[outcome] += 1
        if age is not None:
            self._ages.append(age)

    def as_dict(self) -> dict[str, int]:
        """Counts by the outcome's text, most frequent first."""
        return {str(outcome): count for outcome, count in self.outcomes.most_common()}

    def edited(self) -> int:
        """Frames with an edit on them."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.has_edit)

    def ages_ms(self) -> Mapping[str, float | None]:
        """p50, p95 and most of the last frames, in milliseconds; None before the first."""
        if not self._ages:
            return {"p50": None, "p95": None, "most": None}
        ages = 1e3 * np.array(self._ages)
        p50, p95 = np.percentile(ages, [50, 95])
        return {"p50": float(p50), "p95": float(p95), "most": float(ages.max())}
