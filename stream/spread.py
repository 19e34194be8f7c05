"""A reader of frames spread over a video file, which decodes only key frames if possible."""

import os
from collections.abc import Iterator
from fractions import Fraction

import av

from .frame import Frame
from .reader import VideoReader


class SpreadReader(VideoReader):
    """A `VideoReader` that can jump: `spread` gives frames from all over the file instead of each.

    They come without their originals, since many are in memory at a time.
    """

    def spread(self, count: int) -> Iterator[Frame]:
        """Up to `count` frames in order of time, about evenly spread; each frame once.

        Of each of `count` equal parts it is the last key frame before the part's middle, where each part has one of
        its own. A file with fewer key frames is decoded from beginning to end for the frames at the middles, and one
        that cannot be searched, too. Raises ValueError for a count below one.
        """
        if count < 1:
            raise ValueError(f"expected one frame or more, got {count}")
        middles = self._middles(count)
        jumps = self._jumps(middles) if middles else None
        if jumps is not None:
            yield from jumps
            return
        with SpreadReader(self.path) as reader:
            yield from _nearest(reader, middles, count)

    def _next(self) -> Frame | None:
        frame = super()._next()
        return None if frame is None else Frame(frame.pixels, frame.pts, frame.time_base)

    def _middles(self, count: int) -> list[Fraction]:
        if self.duration is None:
            return []
        start = self.first_pts * self.time_base
        return [start + self.duration * (2 * part + 1) / (2 * count) for part in range(count)]

    def _jumps(self, middles: list[Fraction]) -> list[Frame] | None:
        """A key frame for each middle; None where two middles share one, or the file cannot be searched."""
        frames: list[Frame] = []
        for middle in middles:
            try:
                self._container.seek(round((middle + self.clock.origin) / self.time_base), stream=self._stream)
                self._first = None
                self._decoded = self._decode()
                frame = self._next()
            except (av.FFmpegError, OSError):
                return None
            if frame is None or (frames and frame.pts <= frames[-1].pts):
                return None
            frames.append(frame)
        return frames


def _nearest(reader: VideoReader, middles: list[Fraction], count: int) -> Iterator[Frame]:
    """The frame that is shown at each middle; without middles, frames thinned out until `count` are left."""
    if not middles:
        yield from _thinned(reader, count)
        return
    last: Frame | None = None
    waiting = list(middles)
    for frame in reader:
        if last is not None and waiting and frame.seconds > waiting[0]:
            while waiting and frame.seconds > waiting[0]:
                waiting.pop(0)
            yield last
        last = frame
        if not waiting:
            return
    if last is not None and waiting:
        yield last


def _thinned(reader: VideoReader, count: int) -> Iterator[Frame]:
    every, kept = 1, list[Frame]()
    for number, frame in enumerate(reader):
        if number % every == 0:
            kept.append(frame)
        if len(kept) == 2 * count:
            kept, every = kept[::2], 2 * every
    step = max(1, -(-len(kept) // count))
    yield from kept[::step]


def spread_frames(path: str | os.PathLike[str], count: int) -> list[Frame]:
    """`SpreadReader.spread` of a file, all at once. Raises SourceError."""
    with SpreadReader(path) as reader:
        return list(reader.spread(count))
