"""Durations of stages and outcomes of frames: the numbers behind `--stats`."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .outcome import Outcome

KEPT = 100_000


class Stages:
    """Durations per stage and frames per outcome. The clock is an argument, so that tests need no time.

    Several threads may time at once. kept: number of a stage's latest passes for its percentiles.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=kept))
        self._totals: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._outcomes: Counter[Outcome] = Counter()
        self.calls: Counter[str] = Counter()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time the body as one pass of a stage."""
        started = self._clock()
        yield
        elapsed = self._clock() - started
        with self._lock:
            self._totals[stage] += elapsed  # type: ignore[assignment]
            self._counts[stage] += 1
            self._seconds[stage].append(elapsed)

    def count(self, what: str, number: int) -> None:
        """Add to `calls`, the counts of calls by name."""
        with self._lock:
            self.calls[what] += number

    def became(self, outcome: Outcome) -> None:
        """Count the outcome of one frame."""
        self._outcomes[outcome] += 1

    @property
    def outcomes(self) -> dict[str, int]:
        """Frames by the text of their outcome, most frequent first."""
        return {str(outcome): count for outcome, count in self._outcomes.most_common()}

    def summary(self) -> dict[str, dict[str, float]]:
        """stage -> {count, mean_ms, p50_ms, p95_ms}."""
        with self._lock:
            measured = {stage: np.array(values) for stage, values in self._seconds.items()}
            counts, totals = dict(self._counts), dict(self._totals)
        out = {}
        for stage, values in measured.items():
            p50, p95 = np.percentile(values, [50, 95])
            out[stage] = {
                "count": counts[stage],
                "mean_ms": 1e3 * totals[stage] / counts[stage],
                "p50_ms": 1e3 * float(p50),
                "p95_ms": 1e3 * float(p95),
            }
        return out
