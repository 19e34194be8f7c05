"""The cadence of a live stream: when its next frame is due, and which frames are missing."""

import statistics
from collections import deque
from collections.abc import Sequence
from typing import Final

from ..inversion.latent_memory import GAP_SECONDS

KNOWN_STEPS: Final = 16
LEAST_STEPS: Final = 8
"""Steps that are needed before the cadence is known."""
EVEN: Final = 0.2
"""A step belongs to the cadence if it differs from the usual step by at most this share of it."""
REST_SECONDS: Final = 2.0
"""Seconds without concealment after a frame that took longer to make than a frame lasts."""


class Cadence:
    """The cadence of one stream. Times of frames are seconds of the stream, `now` is of the engine's clock.

    A frame is missing when it is half a step late, or later than nine in ten recent frames. Missing frames are
    concealed until `latent_memory.GAP_SECONDS` after the last frame that came. None is concealed where steps differ, or
    where making a frame takes longer than a frame lasts.
    """

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=KNOWN_STEPS)
        self._late: deque[float] = deque(maxlen=KNOWN_STEPS)
        self._came: tuple[float, float] | None = None
        self._missed = 0
        self._filled: list[float] = []
        self._rest_until = float("-inf")

    @property
    def step(self) -> float | None:
        """The cadence, in seconds from frame to frame; None if the stream has no even cadence."""
        if len(self._steps) < LEAST_STEPS:
            return None
        usual = statistics.median(self._steps)
        even = sum(abs(step - usual) <= EVEN * usual for step in self._steps)
        return usual if 2 * even > len(self._steps) else None

    def came(self, now: float, seconds: float) -> bool:
        """Note a frame that came; False if its time is filled already, and the frame must not be shown as well."""
        before, step = self._came, self.step
        self._came = now, seconds
        if before is None or seconds <= before[1]:
            self._steps.clear()  # the source started again
            self._late.clear()
            self._filled.clear()
            self._missed = 0
            return True
        ahead = seconds - before[1]
        self._steps.append(ahead)
        self._late.append(max(0.0, now - before[0] - ahead))
        # A made frame replaces the frame nearest to its time, so the output has no more frames than the cadence.
        reach = 0.0 if step is None else step / 2
        filled = any(seconds < time + reach for time in self._filled)
        self._filled = [time for time in self._filled if time > seconds + reach]
        self._missed = round((max(self._filled) - seconds) / step) if self._filled and step else 0
        return not filled

    def due(self) -> float | None:
        """When the next frame will be missing if it does not come; None while no frame is expected."""
        step = self.step
        if step is None or self._came is None or (self._missed + 1) * step > GAP_SECONDS + 1e-6:
            return None
        return self._came[0] + (self._missed + 1) * step + max(step / 2, _most(self._late))

    def miss(self, now: float) -> float | None:
        """The time of the frame that is missing by now, or None if it is not concealed; the next one is then expected.

        The time counts as filled until `unfill` is called.
        """
        step = self.step
        if step is None or self._came is None:
            return None
        self._missed += 1
        if now < self._rest_until:
            return None
        seconds = self._came[1] + self._missed * step
        self._filled.append(seconds)
        return seconds

    def unfill(self, seconds: float) -> None:
        """Note that nothing was shown for a missing frame."""
        if seconds in self._filled:
            self._filled.remove(seconds)

    def took(self, now: float, seconds: float) -> None:
        """Note how many seconds it took to make a frame."""
        if self.step is None or seconds > self.step:
            self._rest_until = now + REST_SECONDS


def _most(values: Sequence[float]) -> float:
    """The value that nine in ten do not exceed."""
    return sorted(values)[int(0.9 * (len(values) - 1))] if values else 0.0
