"""What a live source promises, and how one that is made on this machine keeps its pace."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from .frame import Frame

FORGIVEN_SECONDS: Final = 0.5
"""A source that is later than this starts its pace anew, rather than send a burst to catch up."""


class LiveSource(Protocol):
    """Frames as they happen.

    name: what a user calls it. size: (width, height) of its frames in pixels. rate: frames a second that it means to
    give. notes: sentences about what could not be had as asked.
    """

    name: str
    size: tuple[int, int]
    rate: float
    notes: tuple[str, ...]

    def read(self) -> Frame | None:
        """The next frame, waited for; pts grow from one to the next. None where the source has ended.

        Raises SourceError where it is lost. The thread that reads is the one that closes.
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
