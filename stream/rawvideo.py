"""Raw video without any header, ffmpeg's `-f rawvideo`, whose format the user gives."""

import io
import re
from collections.abc import Iterator
from fractions import Fraction

from .colour import ColourTags
from .errors import SourceError
from .layout import find_layout
from .picture import AS_SAID, Aside, ColourChoice, Picture, PictureFormat, check_size
from .pipe import PipeWriter, read_whole


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "640x360". Raises SourceError."""
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text, re.ASCII)
    if match is None:
        raise SourceError(f"cannot read the size {text!r}; expected WIDTHxHEIGHT, as in --size 640x360")
    return check_size(int(match[1]), int(match[2]), "--size")


def parse_rate(text: str) -> Fraction:
    """Frames per second: "25", "29.97" or "30000/1001". Raises SourceError."""
    if re.fullmatch(r"\d{1,9}(\.\d{1,9}|/\d{1,9})?", text, re.ASCII):
        try:
            rate = Fraction(text)
        except ZeroDivisionError:
            rate = Fraction(0)
        if rate > 0:
            return rate
    raise SourceError(f"cannot read the rate {text!r}; expected frames per second, as in --rate 25 or 30000/1001")


class RawReader:
    """A PictureSource of pictures that follow each other without any header.

    size: (width, height). pix_fmt: FFmpeg's name. rate: frames per second. Raises SourceError.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        stream: io.BufferedReader,
        *,
        size: tuple[int, int],
        pix_fmt: str,
        rate: Fraction,
        colours: ColourChoice = AS_SAID,
    ) -> None:
        self._stream = stream
        layout = find_layout(pix_fmt)
        tags = colours.tags(ColourTags(), layout, size)
        self.format = PictureFormat(size=size, layout=layout, time_base=1 / rate, rate=rate, tags=tags, siting="left")

    def __iter__(self) -> Iterator[Picture | Aside]:
        size, number = self.format.picture_bytes, 0
        while data := read_whole(self._stream, size):
            if len(data) < size:
                width, height = self.format.size
                raise SourceError(
                    f"raw frame {number + 1} is cut off: {len(data)} of {size} bytes; the {number} frames before it "
                    f"are written; check that the video is {width}x{height} {self.format.layout.pix_fmt}"
                )
            yield Picture(data, number, 1)
            number += 1


class RawWriter:
    """A PictureSink of pictures and nothing else."""

    def __init__(self, output: PipeWriter) -> None:
        self._output = output

    def write(self, item: Picture | Aside) -> None:
        """Write a picture's samples."""
        assert isinstance(item, Picture)
        self._output.write(item.data)

    def close(self) -> None:
        """Nothing ends such a stream."""
