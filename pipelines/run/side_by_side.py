"""A video of a source and its edited result side by side, with the source's sound."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...stream.errors import SourceError
from ...stream.frame import Frame, Pixels
from ...stream.reader import VideoReader
from ...stream.writer import VideoWriter
from ..common.annotate import write_words
from .transcode import SAID, Seal

CRF = 20.0
PRESET = "veryfast"


class SideBySideReader(VideoReader):
    """Frames of `path` with the frame of `result` that belongs to each on their right, at the source's times.

    It is a reader of twice the width, so a VideoWriter copies the source's sound. Raises SourceError unless both videos
    have one size and one number of frames.
    """

    def __init__(self, path: Path, result: Path, labels: tuple[str, str] = ("", "")) -> None:
        super().__init__(path)
        try:
            self._result = VideoReader(result)
        except BaseException:
            super().close()
            raise
        self._labels = labels
        if self._result.size != self.size:
            self.close()
            raise SourceError(
                f"{result} is {self._result.size[0]}x{self._result.size[1]} and {path} {self.size[0]}x{self.size[1]}; "
                "expected two videos of one size"
            )
        self.size = (2 * self.size[0], self.size[1])

    def __iter__(self) -> Iterator[Frame]:
        partners = iter(self._result)
        for frame in super().__iter__():
            partner = next(partners, None)
            if partner is None:
                raise SourceError(f"{self._result.path} ends before {self.path}; expected as many frames in both")
            yield frame.with_pixels(self._beside(frame.pixels, partner.pixels))

    def _beside(self, left: Pixels, right: Pixels) -> Pixels:
        both = np.concatenate([left, right], axis=1)
        height = max(8, left.shape[0] // 28)
        for index, label in enumerate(self._labels):
            if label:
                write_words(both, label, index * left.shape[1] + height, 2 * height, height=height)
        return both

    def close(self) -> None:
        """Release both videos."""
        super().close()
        self._result.close()


def write_side_by_side(
    source: Path,
    result: Path,
    target: Path,
    *,
    labels: tuple[str, str] = ("source", "edited"),
    overwrite: bool = False,
    seal: Seal | None = None,
    progress: Callable[[int], None] = lambda _frames: None,
) -> int:
    """Write the video and return its number of frames; `progress` is called with the frames done so far.

    seal: see `VideoWriter`.

    Raises SourceError and SinkError; the target then is as it was before.
    """
    with (
        SideBySideReader(source, result, labels) as reader,
        VideoWriter(target, reader, crf=CRF, preset=PRESET, overwrite=overwrite, seal=seal, said=SAID) as writer,
    ):
        for frame in reader:
            writer.write(frame)
            progress(writer.frames_written)
    return writer.frames_written
