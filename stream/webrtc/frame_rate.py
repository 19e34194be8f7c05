"""The frame rate that an encoder gets: the true one, in few steps."""

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 2.0
OFF: Final = 1.33
"""A rate that is wrong by less is left as it is."""

HOLD_SECONDS: Final = 4.0


class FrameRateHold:
    """Frames a second by the frames' own times; begins at `expected`."""

    def __init__(self, expected: float) -> None:
        self.held = expected
        self._times: deque[float] = deque()
        self._changed: float | None = None

    def step(self, seconds: float) -> bool:
        """Note a frame's time. Returns whether `held` moved: the rate has been another for a while."""
        if self._times and seconds <= self._times[-1]:
            self._times.clear()
        self._times.append(seconds)
        if self._changed is None:
            self._changed = seconds - HOLD_SECONDS
        span = seconds - self._times[0]
        if span < WINDOW_SECONDS:
            return False
        true = (len(self._times) - 1) / span
        while seconds - self._times[0] > WINDOW_SECONDS:
            self._times.popleft()
        if 1 / OFF < true / self.held < OFF or seconds - self._changed < HOLD_SECONDS:
            return False
        self.held, self._changed = true, seconds
        return True
