"""A video file as a live source, at its own pace and in a loop."""

import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

from .errors import SourceError
from .frame import Frame
from .live_source import Pacer
from .reader import VideoReader

TIME_BASE: Final = Fraction(1, 90_000)


class FileLoop:
    """A LiveSource that plays a file by its own timestamps and restarts at its end.

    path: any video that VideoReader reads. repeat: False ends after the last frame. clock, sleep: see `Pacer`.

    pts are in 1/90000 s and go on growing from one round to the next. Raises SourceError if it cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        repeat: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path = Path(path)
        self._repeat = repeat
        self._pacer = Pacer(clock, sleep)
        self._open()
        self.name = self._path.name
        self.size = self._reader.size
        self.rate = float(self._reader.rate)
        self.notes = self._reader.notes
        self._round_begins = Fraction(0)
        self._first: Fraction | None = None
        self._last_pts = -1
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame at its time; None after `close`, or at the end without `repeat`."""
        if self._closed:
            return None
        frame = next(self._frames, None)
        if frame is None:
            if not self._repeat:
                return None
            frame = self._begin_again()
        time_of_frame = frame.pts * frame.time_base
        if self._first is None:
            self._first = time_of_frame
        elapsed = self._round_begins + time_of_frame - self._first
        pts = max(round(elapsed / TIME_BASE), self._last_pts + 1)
        self._last_pts = pts
        self._pacer.wait(float(pts * TIME_BASE))
        return Frame(frame.pixels, pts, TIME_BASE)

    def _begin_again(self) -> Frame:
        shown = self._reader.last_duration * self._reader.time_base or 1 / self._reader.rate
        length = max(1, round(shown / TIME_BASE))
        self._reader.close()
        self._open()
        self._round_begins, self._first = (self._last_pts + length) * TIME_BASE, None
        frame = next(self._frames, None)
        if frame is None or frame.size != self.size:
            raise SourceError(f"input {self._path} changed while it was played; start again")
        return frame

    def _open(self) -> None:
        self._reader = VideoReader(self._path)
        self._frames = iter(self._reader)

    def close(self) -> None:
        """Close the file; the next read gives None."""
        self._closed = True
        self._reader.close()
