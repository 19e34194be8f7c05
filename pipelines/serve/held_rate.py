"""The frame rate that the server holds for a stream: asked of the camera before pictures pass unedited."""

import time
from collections.abc import Callable
from typing import Final

LEAST_RATE: Final = 5.0
"""Frames a second below which no camera is asked to go."""

LATE, CALM = 0.1, 0.02
"""Shares of late frames above which the rate falls, and below which it may rise again."""

FOLLOW: Final = 0.1
"""Weight of each frame in the average share of late ones."""

DOWN, UP = 0.75, 1.15
SETTLE_SECONDS: Final = 1.5
CALM_SECONDS: Final = 8.0
MOST_CALM_SECONDS: Final = 120.0
SLACK: Final = 1.1
"""How much faster than asked a camera may be before frames are left out."""


class HeldRate:
    """Of one stream. highest: frames a second that the device has for it now, may change. clock: seconds.

    A rise after which frames are late again doubles the wait before the next one.
    """

    def __init__(self, highest: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._highest = highest
        self._clock = clock
        self._own = highest()
        self._late = 0.0
        self._changed = self._calm_since = clock()
        self._wait = CALM_SECONDS
        self._rose = False
        self._credit = 1.0
        self._last: float | None = None

    @property
    def rate(self) -> float:
        """Frames a second to ask for."""
        return min(self._own, self._highest())

    def takes(self, seconds: float) -> bool:
        """Whether the frame that came at this time is worked on; those above the rate are left out evenly."""
        if self._last is not None:
            self._credit = min(2.0, self._credit + (seconds - self._last) * self.rate * SLACK)
        self._last = seconds
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def note(self, late: bool, coming: float) -> None:
        """A frame is shown. late: unedited for lack of time. coming: frames a second that come now."""
        now = self._clock()
        self._late += FOLLOW * (late - self._late)
        if self._late > CALM:
            self._calm_since = now
        if self._late > LATE and now - self._changed > SETTLE_SECONDS and self.rate > LEAST_RATE:
            if self._rose:
                self._wait = min(MOST_CALM_SECONDS, 2 * self._wait)
            self._change(max(LEAST_RATE, DOWN * min(self.rate, coming or self.rate)), rose=False)
        elif now - max(self._calm_since, self._changed) > self._wait and self._own < self._highest():
            self._change(min(self._highest(), UP * self._own), rose=True)

    def _change(self, rate: float, *, rose: bool) -> None:
        self._own, self._rose, self._changed, self._late = rate, rose, self._clock(), 0.0
