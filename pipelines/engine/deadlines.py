"""Measured costs of the stages, the deadline checks that use them, and admission of one more session.

A live frame is shown before it is `max_latency` old: edited if possible, otherwise unedited.
"""

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, Literal

from .scheduled_frame import ScheduledFrame
from .settings import EngineSettings

LATE_ANALYSIS: Final = "late before analysis"
LATE_DRAW: Final = "late before drawing"
LATE_COMPOSITE: Final = "late before compositing"
LATE_SHOW: Final = "late before output"
BETWEEN: Final = "between drawings"
DEVICE_BUSY: Final = "device busy"
OVERLOADED: Final = "overloaded"
BYPASS: Final = "bypass"
NOT_YET: Final = "not drawn yet"
LOST: Final = "lost"
FILLED: Final = "its time was filled"


Lane = Literal["analyse", "draw", "composite", "reproject"]


KEPT = 9


class Costs:
    """Typical seconds of each kind of work: the median of the last few, so one stall does not change the estimate.

    Before the first measurement the estimate is zero, so everything is tried once.
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[Lane, int], deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    def add(self, lane: Lane, seconds: float, size: int = 1) -> None:
        """Add a measurement. size: faces of a batch, for the lane "draw"."""
        self._seconds[lane, size].append(seconds)

    def guess(self, lane: Lane, size: int = 1) -> float:
        """Estimated seconds of the next piece of this size; a size not measured yet is scaled from the nearest."""
        sizes = [known for kind, known in self._seconds if kind == lane]
        if not sizes:
            return 0.0
        nearest = min(sizes, key=lambda known: abs(known - size))
        return statistics.median(self._seconds[lane, nearest]) * max(1.0, size / nearest)

    def per_face(self) -> float:
        """Device seconds per face in the largest batch drawn so far: the cost of each of many sessions."""
        sizes = [known for kind, known in self._seconds if kind == "draw"]
        return 0.0 if not sizes else self.guess("draw", max(sizes)) / max(sizes)


class Busy:
    """Share of the last `seconds` that a lane was at work."""

    def __init__(self, seconds: float = 3.0) -> None:
        self._window = seconds
        self._spans: deque[tuple[float, float]] = deque()
        self._first: float | None = None

    def add(self, begin: float, end: float) -> None:
        """Add a period of work."""
        if self._first is None:
            self._first = begin
        self._spans.append((begin, end))
        while self._spans and self._spans[0][1] < end - self._window:
            self._spans.popleft()

    def share(self, now: float, running: float | None = None) -> float:
        """Share in 0..1 at this time. running: start of the work in progress, None if the lane is idle."""
        begins = [since for since in (self._first, running) if since is not None]
        if not begins:
            return 0.0
        since = max(now - self._window, min(begins))
        spans = [*self._spans, *([] if running is None else [(running, now)])]
        busy = sum(max(0.0, min(end, now) - max(begin, since)) for begin, end in spans)
        return min(1.0, busy / max(1e-9, now - since))


def too_late_to_draw(scheduled: ScheduledFrame, now: float, faces: int, costs: Costs) -> bool:
    """Before batching: whether a frame drawn in a batch of `faces` would be composited after its deadline."""
    return now + costs.guess("draw", faces) + costs.guess("composite") > scheduled.deadline


def too_late_to_composite(scheduled: ScheduledFrame, now: float, costs: Costs) -> bool:
    """Before compositing: whether it would end after the deadline while a reprojection might still be in time."""
    return now + costs.guess("composite") > scheduled.deadline


def conceal_at(scheduled: ScheduledFrame, costs: Costs, spare: float) -> float:
    """The latest time, in seconds, at which to begin reprojecting the last drawing onto the frame."""
    return scheduled.deadline - costs.guess("reproject") - spare


def refusal(costs: Costs, rates: Sequence[float], rate: float, settings: EngineSettings) -> str:
    """Why a session with `rate` frames a second cannot join sessions with `rates`; "" if it can.

    The first session is always admitted: it can only miss its own deadlines. Before the first measurement, every
    session is.
    """
    if not rates:
        return ""
    quality = settings.quality_levels[settings.level_of(settings.admit_level)]
    frames = sum(rates) + rate
    shown = (
        min(costs.guess("composite"), costs.guess("reproject") or costs.guess("composite"))
        if quality.draw_every > 1
        else 0.0
    )
    needs = (
        ("drawing", costs.per_face() * frames / max(1, quality.draw_every), 1),
        ("finding faces", costs.guess("analyse") * frames, settings.analysis_workers),
        ("compositing", (shown or costs.guess("composite")) * frames, settings.composite_workers),
    )
    for what, seconds, workers in needs:
        if seconds > settings.full_load * workers:
            return (
                f"no room for another session of {rate:g} frames/s beside {len(rates)}: {what} would take "
                f"{100 * seconds / workers:.0f} % of the time, of which {100 * settings.full_load:.0f} % may be taken; "
                "close a session, or come with fewer frames a second"
            )
    return ""
