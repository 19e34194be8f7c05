"""What work has cost so far: a guess at what it will cost, and how busy a lane is."""

import statistics
from collections import defaultdict, deque
from typing import Literal

Lane = Literal["analyse", "draw", "composite", "move"]
KEPT = 9


class Costs:
    """Typical seconds of each kind of work: the median of the last few, so that one stall does not change the guess.

    Before anything was measured the guess is zero: everything is tried once.
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[Lane, int], deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    def add(self, lane: Lane, seconds: float, size: int = 1) -> None:
        """One piece of work was done. size: faces of a batch, for the lane "draw"."""
        self._seconds[lane, size].append(seconds)

    def guess(self, lane: Lane, size: int = 1) -> float:
        """Seconds that the next one of this size will take; sizes not seen yet are scaled from the nearest."""
        sizes = [known for kind, known in self._seconds if kind == lane]
        if not sizes:
            return 0.0
        nearest = min(sizes, key=lambda known: abs(known - size))
        return statistics.median(self._seconds[lane, nearest]) * max(1.0, size / nearest)

    def per_face(self) -> float:
        """Seconds of the device for a face, in the largest batch that was drawn: what many sessions will cost each."""
        sizes = [known for kind, known in self._seconds if kind == "draw"]
        return 0.0 if not sizes else self.guess("draw", max(sizes)) / max(sizes)


class Busy:
    """Share of the last `seconds` that a lane was at work."""

    def __init__(self, seconds: float = 3.0) -> None:
        self._window = seconds
        self._spans: deque[tuple[float, float]] = deque()
        self._first: float | None = None

    def add(self, begin: float, end: float) -> None:
        """It worked from one time to the other."""
        if self._first is None:
            self._first = begin
        self._spans.append((begin, end))
        while self._spans and self._spans[0][1] < end - self._window:
            self._spans.popleft()

    def share(self, now: float, running: float | None = None) -> float:
        """0..1 at this time. running: since when it is at work now, None where it is not."""
        begins = [since for since in (self._first, running) if since is not None]
        if not begins:
            return 0.0
        since = max(now - self._window, min(begins))
        spans = [*self._spans, *([] if running is None else [(running, now)])]
        busy = sum(max(0.0, min(end, now) - max(begin, since)) for begin, end in spans)
        return min(1.0, busy / max(1e-9, now - since))
