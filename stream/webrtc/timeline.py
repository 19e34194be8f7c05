"""Timestamps that only grow, whatever the source's do."""

from typing import Final

CLOCK_RATE: Final = 90_000
DRIFT_SECONDS: Final = 0.5
"""How far a source's timestamps may leave the clock before they are believed no more."""


class Timeline:
    """Maps a source's pts (1/90000 s) to pts that begin at `begin` and never stand still or run back.

    Steps of the source are kept as they are. Where it leaps, runs back or begins anew (a new connection), the time
    that passed on the clock takes the place of its step.
    """

    def __init__(self, begin: int = 0) -> None:
        self._next = begin
        self._offset: int | None = None
        self._begun: float | None = None
        self.re_anchored = 0

    def restart(self) -> None:
        """The source begins anew: its next pts is any number."""
        self._offset = None

    def map(self, pts: int, seconds: float) -> int:
        """pts: of the source. seconds: when the frame came, on any clock that only grows."""
        if self._begun is None:
            self._begun = seconds - self._next / CLOCK_RATE
        expected = round((seconds - self._begun) * CLOCK_RATE)
        if self._offset is None:
            self._offset = expected - pts
        elif abs(pts + self._offset - expected) > DRIFT_SECONDS * CLOCK_RATE:
            self._offset = expected - pts
            self.re_anchored += 1
        mapped = max(self._next, pts + self._offset)
        self._next = mapped + 1
        return mapped
