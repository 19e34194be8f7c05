"""How long each stage took and what became of each frame: the numbers behind `--stats`."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

KEPT = 100_000


class Stages:
    """Durations per stage and frames per outcome. The clock is an argument, so that tests need no time."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._totals: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time the body as one pass of a stage."""
        started = self._clock()
        yield
        elapsed = self._clock() - started
        self._totals[stage] += elapsed  # type: ignore[assignment]
        self._counts[stage] += 1
        if len(self._seconds[stage]) < KEPT:  # percentiles of the first hour; memory stays flat
            self._seconds[stage].append(elapsed)

    def summary(self) -> dict[str, dict[str, float]]:
        """stage -> {count, mean_ms, p50_ms, p95_ms}."""
        out = {}
        for stage, values in self._seconds.items():
            p50, p95 = np.percentile(values, [50, 95])
            out[stage] = {
                "count": self._counts[stage],
                "mean_ms": 1e3 * self._totals[stage] / self._counts[stage],
                "p50_ms": 1e3 * float(p50),
                "p95_ms": 1e3 * float(p95),
            }
        return out
