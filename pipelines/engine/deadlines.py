"""What work has cost so far, when a frame is too late for it, and whether one more session finds room.

A live frame is shown before it is `max_latency` old, edited if that is possible, else not.
"""

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, Literal

from .scheduled_frame import ScheduledFrame
from .settings import EngineSettings

LATE_ANALYSIS: Final = "late before looking"
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


def too_late_to_draw(scheduled: ScheduledFrame, now: float, faces: int, costs: Costs) -> bool:
    """Before batching: whether a frame drawn in a batch of so many faces would be composited after its deadline."""
    return now + costs.guess("draw", faces) + costs.guess("composite") > scheduled.deadline


def too_late_to_composite(scheduled: ScheduledFrame, now: float, costs: Costs) -> bool:
    """Before compositing: whether it would end after the deadline, while moving what is there might not."""
    return now + costs.guess("composite") > scheduled.deadline


def conceal_at(scheduled: ScheduledFrame, costs: Costs, spare: float) -> float:
    """The last moment to begin with moving what was drawn before onto the frame, in seconds."""
    return scheduled.deadline - costs.guess("move") - spare


def refusal(costs: Costs, rates: Sequence[float], rate: float, settings: EngineSettings) -> str:
    """Why a session with `rate` frames a second finds no room beside those with `rates`; "" where it does.

    The first session is always let in: it can break nobody's contract but its own. Before anything was measured, all
    are.
    """
    if not rates:
        return ""
    quality = settings.quality_levels[settings.level_of(settings.admit_level)]
    frames = sum(rates) + rate
    shown = (
        min(costs.guess("composite"), costs.guess("move") or costs.guess("composite"))
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
