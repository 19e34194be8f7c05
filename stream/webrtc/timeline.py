"""A timeline that maps a source's timestamps to strictly increasing ones."""

from typing import Final

CLOCK_RATE: Final = 90_000
DRIFT_SECONDS: Final = 0.5
"""Largest difference in seconds between a source's timestamps and the clock; beyond it the clock is used."""


class Timeline:
    """Maps a source's pts (1/90000 s) to pts that begin at `begin` and never stand still or run back.

    Steps of the source are unchanged. If it jumps, goes backwards or restarts (a new connection), the time that passed
    on the clock replaces its step.
    """

    def __init__(self, begin: int = 0) -> None:
        self._next = begin
        self._offset: int | None = None
        self._begun: float | None = None
        self.re_anchored = 0

    def restart(self) -> None:
        """Prepare for a restarted source, whose next pts may be any number."""
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
