"""A live source that reconnects after a loss, such as an unplugged camera."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .errors import SourceError
from .frame import Frame
from .live_source import LiveSource

TRY_SECONDS: Final = 0.5
"""Seconds between two attempts to open it again."""


class Reconnecting:
    """A LiveSource around another one, which is opened again for up to `seconds` when it is lost.

    open_source: opens it; is called once here, so that a source which is missing from the start is an error at once.
    lost: called with the reason of a loss. found: called when it is back.
    sleep: returns True where waiting is to end early and for good (threading.Event.wait does), else None or False.

    pts go on growing over the gap, by the time that it lasted.
    """

    def __init__(
        self,
        open_source: Callable[[], LiveSource],
        seconds: float,
        *,
        lost: Callable[[str], None] = lambda _reason: None,
        found: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], bool | None] = time.sleep,
    ) -> None:
        self._open_source = open_source
        self._seconds = seconds
        self._lost = lost
        self._found = found
        self._clock = clock
        self._sleep = sleep
        self._inner = open_source()
        self._closed = False
        self._offset = 0
        self._last: Frame | None = None
        self._last_read = clock()
        self._take_over()

    def _take_over(self) -> None:
        self.name, self.size = self._inner.name, self._inner.size
        self.rate, self.notes = self._inner.rate, self._inner.notes

    def read(self) -> Frame | None:
        """The next frame; while the source is away, this waits for it. Raises SourceError when it stays away."""
        if self._closed:
            return None
        try:
            frame = self._inner.read()
        except SourceError as error:
            if not self._wait_for_it(error):
                self._closed = True
                return None
            return self.read()
        if frame is not None:
            frame = replace(frame, pts=frame.pts + self._offset)
            self._last, self._last_read = frame, self._clock()
        return frame

    def _wait_for_it(self, error: SourceError) -> bool:
        if self._seconds <= 0:
            raise error
        self._inner.close()
        self._lost(str(error))
        deadline = self._clock() + self._seconds
        while self._clock() < deadline:
            if self._sleep(TRY_SECONDS):
                return False
            try:
                self._inner = self._open_source()
            except SourceError:
                continue
            self._take_over()
            if self._last is not None:
                gap = max(0.0, self._clock() - self._last_read)
                self._offset = self._last.pts + max(1, round(gap / float(self._last.time_base)))
            self._found()
            return True
        raise error

    def close(self) -> None:
        """Release it; the next read gives None."""
        self._closed = True
        self._inner.close()
