"""Counts and times of one stream, for its client and for the operator."""

import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..common.outcome import Outcome, OutcomeKind

RECEIVED: Final = "received"
STAGES: Final = ("wait", "convert", "edit", "finish", "encode")
MOST_SAMPLES: Final = 2048
SMOOTH_SECONDS: Final = 1.5
"""Seconds over which the delay of the sound follows the picture's."""


class Window:
    """(when, value) of the last seconds; added to on any thread."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)

    def add(self, now: float, value: float) -> None:
        """Note a value."""
        self._samples.append((now, value))

    def since(self, begin: float) -> list[float]:
        """Values from a time on."""
        return [value for when, value in tuple(self._samples) if when >= begin]


def percentile(values: list[float], share: float) -> float | None:
    """The value below which `share` (0..1) of them lie; None of none."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Meters:
    """Of one stream. clock: seconds. told: (kind, name, value) of each sample, for the server's own metrics."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[str, str, float], object] = lambda kind, name, value: None,
    ) -> None:
        self._clock = clock
        self._told = told
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._why: Counter[str] = Counter()
        self._stages = {stage: Window() for stage in STAGES}
        self._ages = Window()
        self._bytes_out = Window()
        self._received = Window()
        self._batches = Window()
        self._latency: tuple[float, float] | None = None
        self.begun = clock()
        self.size: tuple[int, int] | None = None

    def became(self, outcome: Outcome) -> None:
        """The outcome of one frame."""
        with self._lock:
            self._counts[outcome.kind] += 1
            if outcome.kind == OutcomeKind.PASSED:
                self._why[outcome.reason] += 1
        self._told("frames", str(outcome.kind), 1)

    def dropped(self, number: int = 1) -> None:
        """Frames that are not shown."""
        self._count(OutcomeKind.DROPPED, number)

    def received(self, number: int) -> None:
        """Frames that came."""
        self._count(RECEIVED, number)
        if number:
            self._received.add(self._clock(), number)

    def _count(self, name: str, number: int) -> None:
        if number:
            with self._lock:
                self._counts[name] += number
            self._told("frames", str(name), number)

    def coming(self, seconds: float = 1.0) -> float:
        """Frames a second that came lately."""
        return sum(self._received.since(self._clock() - seconds)) / seconds

    def event(self, name: str) -> None:
        """Something that only the operator counts: "lost" or "ice_failed"."""
        self._told("event", name, 1)

    def round_trip(self, seconds: float) -> None:
        """To the client and back, as it is each second."""
        self._told("round_trip", "", seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Time that a stage of STAGES took for a frame."""
        self._stages[name].add(self._clock(), seconds)
        self._told("stage", name, seconds)

    def batch(self, faces: float | None) -> None:
        """Faces that were drawn together."""
        if faces is not None:
            self._batches.add(self._clock(), faces)
            self._told("batch", "", faces)

    def sent(self, arrival: float, size: int, seconds: float) -> None:
        """A frame is encoded: `size` bytes, done at `seconds`."""
        age = max(0.0, seconds - arrival)
        self._ages.add(seconds, age)
        self._bytes_out.add(seconds, size)
        with self._lock:
            self._latency = _follow(self._latency, age, seconds)
        self._told("age", "", age)

    @property
    def latency(self) -> float | None:
        """Smoothed seconds from a frame's arrival to its encoding; None before the first."""
        return None if self._latency is None else self._latency[0]

    @property
    def counts(self) -> dict[str, int]:
        """Frames by the word of their outcome since the beginning, and those received."""
        with self._lock:
            return {str(name): self._counts[name] for name in (*OutcomeKind, RECEIVED)}

    def summary(self, seconds: float) -> dict[str, Any]:
        """The fields of `stats` in docs/protocol.md that are known here, over the last `seconds`."""
        now = self._clock()
        begin = now - seconds
        ages, sizes = self._ages.since(begin), self._bytes_out.since(begin)
        batches = self._batches.since(begin)
        width, height = self.size or (None, None)
        return {
            "seconds": round(now - self.begun, 3),
            "fps_in": round(self.coming(seconds), 2),
            "fps_out": round(len(ages) / seconds, 2),
            "width": width,
            "height": height,
            "age_ms": {"p50": _ms(percentile(ages, 0.5)), "p95": _ms(percentile(ages, 0.95))} if ages else None,
            "stages_ms": self._medians(begin),
            "frames": self.counts,
            "passed_why": dict(self._why),
            "bitrate_out": round(8 * sum(sizes) / seconds),
            "batch": round(statistics.fmean(batches), 2) if batches else None,
        }

    def _medians(self, begin: float) -> Mapping[str, float | None]:
        samples = {name: window.since(begin) for name, window in self._stages.items()}
        return {name: _ms(statistics.median(values)) for name, values in samples.items() if values}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)


def _follow(before: tuple[float, float] | None, value: float, now: float) -> tuple[float, float]:
    if before is None:
        return value, now
    smoothed, when = before
    share = min(1.0, max(0.0, now - when) / SMOOTH_SECONDS)
    return smoothed + (value - smoothed) * share, now
