"""GStreamer's video in the terms of `stream`: what caps say, and planes whose rows are padded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ...stream.colour import FULL, LIMITED, UNSPECIFIED, ColourTags
from ...stream.errors import SourceError
from ...stream.layout import find_layout
from ...stream.picture import AS_SAID, PictureFormat, Siting, check_size

FORMATS = {"I420": "yuv420p", "NV12": "nv12", "RGB": "rgb24"}
"""GStreamer's format -> FFmpeg's."""
NANOSECOND = Fraction(1, 10**9)
USUAL_RATE = Fraction(30)
"""Frames per second where caps say 0/1, a rate that varies."""
_RANGES = {1: FULL, 2: LIMITED}
_SITED_NOWHERE, _SITED_ACROSS, _SITED_DOWN = 1, 2, 4


def picture_format(
    *,
    format: str,
    size: tuple[int, int],
    rate: tuple[int, int],
    tags: tuple[int, int, int],
    range: int,
    chroma_site: int,
) -> PictureFormat:
    """The format of a stream's pictures; times are nanoseconds.

    format: a key of FORMATS. size: (width, height). rate: numerator and denominator. tags: primaries, transfer and
    matrix as code points of ITU-T H.273, 0 where caps say nothing. range, chroma_site: values of GstVideoColorRange
    and GstVideoChromaSite. Raises SourceError.
    """
    layout = find_layout(FORMATS[format], source="the caps")
    primaries, transfer, matrix = (code or UNSPECIFIED for code in tags)
    said = ColourTags(primaries, transfer, matrix, _RANGES.get(range, 0))
    return PictureFormat(
        size=check_size(*size, "the caps say a picture"),
        layout=layout,
        time_base=NANOSECOND,
        rate=Fraction(*rate) if all(rate) else USUAL_RATE,
        tags=AS_SAID.tags(said, layout, size),
        siting=_siting(chroma_site),
    )


def _siting(site: int) -> Siting:
    if site & _SITED_ACROSS:
        return "topleft" if site & _SITED_DOWN else "left"
    return "center" if site & _SITED_NOWHERE else "left"  # as video has it, where caps say nothing


@dataclass(frozen=True, slots=True)
class PlanePlace:
    """Where a plane lies in a buffer.

    Attributes:
        offset: of its first row.
        stride: from one row to the next; both in bytes.
    """

    offset: int
    stride: int


def read_planes(buffer: memoryview, format: PictureFormat, places: Sequence[PlanePlace]) -> bytearray:
    """The picture in a buffer, as `Picture` has it. Raises SourceError where the buffer is too small for it."""
    data = bytearray(format.picture_bytes)
    for padded, plane in _pairs(buffer, data, format, places):
        plane[...] = padded
    return data


def write_planes(data: bytearray, buffer: memoryview, format: PictureFormat, places: Sequence[PlanePlace]) -> None:
    """Write a picture into a buffer; the padding of its rows stays."""
    for padded, plane in _pairs(buffer, data, format, places):
        padded[...] = plane


def _pairs(
    buffer: memoryview, data: bytearray, format: PictureFormat, places: Sequence[PlanePlace]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """Views of each plane, (rows, bytes of a row): in the buffer, in the data."""
    start = 0
    for place, (rows, row) in zip(places, format.layout.plane_shapes(format.size), strict=True):
        try:
            padded = np.ndarray((rows, row), np.uint8, buffer, place.offset, (place.stride, 1))
        except (TypeError, ValueError) as error:
            width, height = format.size
            raise SourceError(
                f"a buffer of {len(buffer)} bytes is no {width}x{height} {format.layout.pix_fmt} picture with a plane "
                f"at {place.offset} and {place.stride} bytes a row; put a videoconvert before dynstream"
            ) from error
        yield padded, np.frombuffer(data, np.uint8, rows * row, start).reshape(rows, row)
        start += rows * row
