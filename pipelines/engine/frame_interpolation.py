"""Live frame interpolation: pictures between two frames are made from both and shown in even steps.

Interpolation needs the second frame: warped along the flow between the two, pictures are some 4 dB nearer to the truth
than extrapolated from the first alone (docs/engine.md). A frame therefore waits until the pictures before it are shown:
at twice the rate, half the time from frame to frame.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from ...stream.frame import Frame, Pixels
from ..common.outcome import WITH_EDIT, Outcome, OutcomeKind
from ..common.stage_timing import Stages
from ..inversion.latent_memory import GAP_SECONDS
from ..motion.motion_blend import Seen, evenly_between
from ..tracking.scene_cut import is_cut, thumbnail
from .result_queue import Result, ResultQueue, Shown, resolve

IN_BETWEEN: Final = "in between"
MOST_SLOTS: Final = 4
REST_SECONDS: Final = 2.0
"""Seconds without interpolation after the last LOOKED_AT steps, or fewer, took longer than LOOKED_AT steps last."""
LOOKED_AT: Final = 8
FINEST: Final = Fraction(1, 90_000)
"""A time base that is fine enough for a picture between two frames."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Due:
    """A picture that waits for its time.

    Attributes:
        since: when the frame came.
        future: the frame's; None for an interpolated picture.
    """

    seconds: float
    since: float
    shown: Shown
    future: "Future[Shown] | None" = None


class InterpolatingQueue(ResultQueue):
    """A result queue with a thread of its own, from `begin` until the session has ended and all is delivered.

    rate: target pictures a second; none is made if frames come at two thirds of it or more. latency: gives the age in
    seconds at which a frame must be shown; a frame that would get older does not wait.
    ended: whether no more results come. lock: the engine's. stages: gets the time of the interpolation.
    """

    def __init__(
        self,
        lock: threading.Condition,
        rate: float,
        *,
        latency: Callable[[], float],
        ended: Callable[[], bool],
        stages: Stages,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(lock)
        self._rate, self._latency, self._ended = rate, latency, ended
        self._stages, self._clock = stages, clock
        self._give: Callable[[Shown], object] | None = None
        self._line: deque[_Due] = deque()
        self._last: Shown | None = None
        self._rest_until = float("-inf")
        self._used: deque[float] = deque(maxlen=LOOKED_AT)
        self._came = threading.Event()

    def begin(self, give: Callable[[Shown], object], *, thread: bool = True) -> None:
        """Start to give interpolated pictures, in order with the futures. thread: False leaves `step` to the caller."""
        self._give = give
        if thread:
            threading.Thread(target=self._run, name="engine-in-between", daemon=True).start()

    def deliver(self) -> None:
        """Deliver all results, each at its time; returns at once."""
        if self._give is None:
            super().deliver()
        else:
            self._came.set()

    def _run(self) -> None:
        while self.step():
            pass

    def step(self, timeout: float | None = None) -> bool:
        """Show what is due, or what comes within `timeout` seconds; False when nothing more will come."""
        self._came.clear()
        with self._lock:
            waiting, ended = bool(self._waiting), self._ended()
        if waiting:
            while self._line:  # the next frame is here: the time of the rest has passed
                self._show(self._line.popleft(), late=True)
            with self._lock:
                future, result = self._waiting.popleft()
            self._take(future, result)
        elif self._line:
            left = self._line[0].seconds - self._clock()
            if left <= 0 or ended:
                self._show(self._line.popleft(), late=False)
            else:
                self._came.wait(left if timeout is None else min(left, timeout))
        elif ended:
            return False
        else:
            self._came.wait(timeout)
        return True

    def _take(self, future: "Future[Shown]", result: Result) -> None:
        if not isinstance(result, Shown):
            resolve(future, result)
            return
        began, last, self._last = self._clock(), self._last, result
        slots = 1 if last is None else self._slots(last, result, began)
        if last is None or slots == 1:
            self._show(_Due(began, began, result, future), late=False)
            return
        step = (result.frame.seconds - last.frame.seconds) / slots
        made = self._make(last, result, slots)
        for number, shown in enumerate(made):
            self._line.append(_Due(began + number * step, began, shown))
        self._line.append(_Due(began + len(made) * step, began, result, future))
        if made:
            self._used.append((self._clock() - began) / (step * len(made)))
            if sum(self._used) > LOOKED_AT:
                self._rest_until = self._clock() + REST_SECONDS
                self._used.clear()

    def _make(self, last: Shown, shown: Shown, slots: int) -> list[Shown]:
        try:
            with self._stages.time(IN_BETWEEN):
                return make(last, shown, slots)
        except Exception:  # the frames themselves are shown all the same
            log.exception("no pictures are made between frames any more")
            self._rest_until = float("inf")
            return []

    def _slots(self, last: Shown, shown: Shown, now: float) -> int:
        """Pictures in the time from one frame to the next, including the next frame."""
        step = shown.frame.seconds - last.frame.seconds
        if now < self._rest_until or not 0 < step <= GAP_SECONDS:
            return 1
        slots = slots_of(step, self._rate)
        return slots if slots > 1 and shown.age + step * (slots - 1) / slots <= self._latency() else 1

    def _show(self, due: _Due, *, late: bool) -> None:
        shown = replace(due.shown, age=due.shown.age + self._clock() - due.since)
        if due.future is not None:
            resolve(due.future, shown)
        elif not late and self._give is not None:
            self._give(shown)


def slots_of(step: float, rate: float) -> int:
    """Number of pictures nearest to `rate` in the `step` seconds from a frame to the next, including the next frame."""
    return min(MOST_SLOTS, max(1, round(step * rate)))


def make(one: Shown, other: Shown, slots: int) -> list[Shown]:
    """The `slots - 1` pictures between two frames at even steps; none across a cut, or if the sizes differ."""
    first, last = (Seen(shown.frame.pixels, shown.frame.seconds) for shown in (one, other))
    if first.pixels.shape != last.pixels.shape or is_cut(thumbnail(first.pixels), thumbnail(last.pixels)):
        return []
    pictures = evenly_between(first, last, slots)
    return [_made(one, other, number / slots, pixels) for number, pixels in enumerate(pictures, 1)]


def _made(one: Shown, other: Shown, share: float, pixels: Pixels) -> Shown:
    begin, end = one.frame.seconds, other.frame.seconds
    base = min(other.frame.time_base, FINEST)
    kinds = {one.outcome.kind, other.outcome.kind}
    kind = OutcomeKind.EDITED if kinds <= WITH_EDIT else OutcomeKind.PASSED
    kind = OutcomeKind.UNCHANGED if kinds == {OutcomeKind.UNCHANGED} else kind
    frame = Frame(pixels, round((begin + share * (end - begin)) / base), base)
    return Shown(frame, Outcome(kind, IN_BETWEEN), other.age)
