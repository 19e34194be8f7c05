"""Hysteresis between the target bit rate and the encoder's: few, large steps.

A receiver's estimate (REMB) changes all the time. aiortc creates the encoder again for each change of more than 10 %,
and each new encoder begins with a key frame, so a poor line would get bursts.
"""

from typing import Final

FALL: Final = 0.85
RISE: Final = 1.25
FALL_SECONDS: Final = 1.0
RISE_SECONDS: Final = 8.0


class RateHold:
    """Bit rates in bit/s within `low` and `high`; begins at `start`."""

    def __init__(self, start: int, low: int, high: int) -> None:
        if not 0 < low <= start <= high:
            raise ValueError(f"expected 0 < low <= start <= high, got {low}, {start}, {high}")
        self._low, self._high = low, high
        self.wanted = self.held = start
        self._changed = 0.0

    def want(self, rate: int) -> None:
        """Set the receiver's estimate."""
        self.wanted = max(self._low, min(rate, self._high))

    def step(self, now: float) -> bool:
        """Move `held` to `wanted` where that is due: down quickly, up slowly. Returns whether it moved."""
        since = now - self._changed
        falls = self.wanted < FALL * self.held and since >= FALL_SECONDS
        rises = self.wanted > RISE * self.held and since >= RISE_SECONDS
        if not (falls or rises):
            return False
        self.held, self._changed = self.wanted, now
        return True
