"""Rolling statistics: the rate and the values of an event over the last seconds."""

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np


class RollingStatistics:
    """Values of the last `window` seconds, from any thread; memory is bounded by `most` values."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, window: float = 3.0, most: int = 1000) -> None:
        self._clock = clock
        self._window = window
        self._values: deque[tuple[float, float]] = deque(maxlen=most)
        self._last: float | None = None
        self._lock = threading.Lock()

    def add(self, value: float = 0.0) -> None:
        """Add an event that happens now."""
        with self._lock:
            self._last = self._clock()
            self._values.append((self._last, value))

    def since(self) -> float | None:
        """Seconds since the last event; None before the first."""
        return None if self._last is None else self._clock() - self._last

    def rate(self) -> float:
        """Events per second, from the first to the last within the window; 0 with fewer than two."""
        times = [seconds for seconds, _ in self._within()]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def percentiles(self, *percents: float) -> list[float] | None:
        """Percentiles of the values within the window, all at one time; None without values."""
        values = [value for _, value in self._within()]
        return [float(value) for value in np.percentile(values, percents)] if values else None

    def _within(self) -> list[tuple[float, float]]:
        with self._lock:
            begin = self._clock() - self._window
            while self._values and self._values[0][0] < begin:
                self._values.popleft()
            return list(self._values)
