"""Results on their way out of a session: counted, in order, and never delivered while the engine's lock is held."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from ...stream.frame import Frame
from ..common.outcome import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What goes out for a frame.

    Attributes:
        outcome: what became of it.
        age: seconds from capture until it went out.
        batch: faces that were drawn together with this frame's, None where none was drawn for it.
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


Result = Shown | BaseException | None
"""What a future gets: a frame, an error, or, with None, its cancellation."""


class ResultQueue:
    """One session's. lock: the engine's, which guards it."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._waiting: deque[tuple[Future[Shown], Result]] = deque()
        self._delivering = False

    def put(self, future: "Future[Shown]", result: Result) -> None:
        """To be delivered after those that were put before; with the lock held."""
        self._waiting.append((future, result))

    def deliver(self) -> None:
        """Let everything out, unless another thread is at it, which then lets out this, too; without the lock."""
        while True:
            with self._lock:
                if self._delivering or not self._waiting:
                    return
                self._delivering = True
                future, result = self._waiting.popleft()
            try:
                resolve(future, result)
            finally:
                with self._lock:
                    self._delivering = False


def resolve(future: "Future[Shown]", result: Result) -> None:
    """Give a future what it gets."""
    if result is None:
        future.cancel()
        future.set_running_or_notify_cancel()
    elif future.set_running_or_notify_cancel():
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
