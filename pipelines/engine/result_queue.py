"""The result queue of a session: counts results and delivers them in order, never while the engine's lock is held."""

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
    """The result shown for a frame.

    Attributes:
        outcome: what is shown, and why.
        age: seconds from capture until it went out.
        batch: faces in the batch that drew this frame's, None if none was drawn for it.
    """

    frame: Frame
    outcome: Outcome
    age: float
    batch: int | None = None


class Tally:
    """Outcomes and ages of shown frames. kept: number of latest frames for the percentiles of age."""

    def __init__(self, kept: int = 2000) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._ages: deque[float] = deque(maxlen=kept)

    def add(self, outcome: Outcome, age: float | None = None) -> None:
        """Count a frame that went out, or one that was dropped and has no age."""
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
"""Result of a future: a frame, an error, or None for cancellation."""


class ResultQueue:
    """The results of one session. lock: the engine's, which guards the queue."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._waiting: deque[tuple[Future[Shown], Result]] = deque()
        self._delivering = False

    def put(self, future: "Future[Shown]", result: Result) -> None:
        """Add a result after those put before; with the lock held."""
        self._waiting.append((future, result))

    def deliver(self) -> None:
        """Deliver all results, unless another thread is doing so, which then delivers these too; without the lock."""
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
    """Set the result, the error or the cancellation of a future."""
    if result is None:
        future.cancel()
        future.set_running_or_notify_cancel()
    elif future.set_running_or_notify_cancel():
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
