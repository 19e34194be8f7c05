"""How many control messages a session may send, over all its channels and HTTP."""

import time
from collections.abc import Callable


class Allowance:
    """Messages a second, with a burst of twice as many (a token bucket). clock: seconds."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left = 2 * rate
        self._when = clock()

    def take(self) -> bool:
        """Whether one more is allowed."""
        now = self._clock()
        self._left = min(2 * self._rate, self._left + (now - self._when) * self._rate)
        self._when = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
