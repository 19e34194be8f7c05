"""The interface of a live source, and the pacer of a source that is made on this machine."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from .frame import Frame

FORGIVEN_SECONDS: Final = 0.5
"""A source that is later than this many seconds restarts its pace instead of sending a burst."""


class LiveSource(Protocol):
    """Frames as they happen.

    name: its name for users. size: (width, height) of its frames in pixels. rate: nominal frames a second.
    notes: sentences about requests that could not be met.
    """

    name: str
    size: tuple[int, int]
    rate: float
    notes: tuple[str, ...]

    def read(self) -> Frame | None:
        """The next frame, waited for; pts grow from one to the next. None if the source has ended.

        Raises SourceError if it is lost. The thread that reads is the one that closes.
        """
        ...

    def close(self) -> None:
        """Release it; a second call does nothing."""
        ...


class Pacer:
    """Holds back until a frame's time has come.

    clock, sleep: seconds; both are arguments, so that tests need no time.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._start: float | None = None

    def wait(self, seconds: float) -> None:
        """Return `seconds` after the first call's time, or at once where that is past."""
        now = self._clock()
        if self._start is None:
            self._start = now - seconds
        ahead = self._start + seconds - now
        if ahead > 0:
            self._sleep(ahead)
        elif ahead < -FORGIVEN_SECONDS:
            self._start = now - seconds
