"""Memory layout of a picture's samples in a buffer without padding, for the pixel formats of pipes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from .errors import SourceError

Family = Literal["yuv", "gray", "rgb"]
Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

CHROMA_SHIFTS = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_PLANAR = re.compile(r"(?P<family>yuvj?|yuva)(?P<chroma>4\d\d)p(?:(?P<bits>9|10|12|14|16)le)?")
_GRAY = re.compile(r"gray(?:(?P<bits>9|10|12|14|16)le)?")
_PLANAR_RGB = re.compile(r"gbr(?P<alpha>a?)p(?:(?P<bits>9|10|12|14|16)le)?")
_PACKED_RGB = frozenset({"rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"})
_PACKED_YUV = {"yuyv422": "yuyv", "uyvy422": "uyvy", "yvyu422": "yvyu"}
_TWO_PLANES = {"nv12": "uv", "nv21": "vu"}
EXAMPLES = "yuv420p, yuv422p, yuv444p, yuv420p10le, gray, nv12, yuyv422, rgb24, bgr24, rgba, gbrp"


@dataclass(frozen=True, slots=True)
class Component:
    """Where one colour's samples lie.

    Attributes:
        plane: its index.
        start, step: in samples, along a row of that plane.
        name: one of y, u, v, r, g, b.
        shift: of width and height against the picture's, as powers of two.
    """

    name: str
    plane: int
    start: int = 0
    step: int = 1
    shift: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """One pixel format. Rows follow each other without padding, and planes follow each other.

    Attributes:
        bits: of a sample; above 8, each takes two bytes, little-endian.
        planes: samples that a pixel's width takes in a row of each plane, and the plane's shift.
    """

    pix_fmt: str
    family: Family
    bits: int
    planes: tuple[tuple[int, tuple[int, int]], ...]
    components: tuple[Component, ...]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 1 if self.bits == 8 else 2

    @property
    def chroma_shift(self) -> tuple[int, int]:
        """Powers of two by which chroma is narrower and lower than luma."""
        return max(component.shift for component in self.components)

    def plane_shapes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        """(rows, bytes of a row) of each plane of a picture of `size` (width, height)."""
        return [
            (_shifted(size[1], shift[1]), _shifted(size[0], shift[0]) * samples * self.sample_bytes)
            for samples, shift in self.planes
        ]

    def picture_bytes(self, size: tuple[int, int]) -> int:
        """Bytes of one picture of `size` (width, height)."""
        return sum(rows * row for rows, row in self.plane_shapes(size))

    def samples(self, data: bytearray, size: tuple[int, int]) -> dict[str, Samples]:
        """Component name -> (rows, columns) view into `data`; writing to it writes there."""
        planes, offset = [], 0
        dtype = np.dtype(np.uint8 if self.bits == 8 else "<u2")
        for rows, row in self.plane_shapes(size):
            planes.append(np.frombuffer(data, dtype, rows * row // dtype.itemsize, offset).reshape(rows, -1))
            offset += rows * row
        views = (
            (c.name, planes[c.plane][:, c.start :: c.step][:, : _shifted(size[0], c.shift[0])]) for c in self.components
        )
        return cast("dict[str, Samples]", dict(views))


def find_layout(pix_fmt: str, *, source: str = "--pix-fmt") -> PixelLayout:
    """The layout of FFmpeg's pixel format of that name. Raises SourceError that names some of those known."""
    layout = layout_of(pix_fmt)
    if layout is None:
        raise SourceError(
            f"{source}: pixel format {pix_fmt!r} is not read from a pipe, expected one such as {EXAMPLES}; "
            "convert it first, for example with ffmpeg's -pix_fmt yuv420p"
        )
    return layout


def layout_of(pix_fmt: str) -> PixelLayout | None:
    """The layout of FFmpeg's pixel format of that name; None for one that is not known."""
    return _planar(pix_fmt) or _packed(pix_fmt)


def _planar(pix_fmt: str) -> PixelLayout | None:
    if match := _PLANAR.fullmatch(pix_fmt):
        shift = CHROMA_SHIFTS.get(match["chroma"])
        if shift is None:
            return None
        shifts = [(0, 0), shift, shift] + [(0, 0)] * (match["family"] == "yuva")
        return _planes(pix_fmt, "yuv", _bits(match["bits"]), "yuv", shifts)
    if match := _GRAY.fullmatch(pix_fmt):
        return _planes(pix_fmt, "gray", _bits(match["bits"]), "y", [(0, 0)])
    if match := _PLANAR_RGB.fullmatch(pix_fmt):
        return _planes(pix_fmt, "rgb", _bits(match["bits"]), "gbr", [(0, 0)] * (3 + bool(match["alpha"])))
    return None


def _packed(pix_fmt: str) -> PixelLayout | None:
    if pix_fmt in _PACKED_RGB:
        order = pix_fmt.removesuffix("24")
        components = tuple(Component(c, 0, order.index(c), len(order)) for c in "rgb")
        return PixelLayout(pix_fmt, "rgb", 8, ((len(order), (0, 0)),), components)
    if order := _PACKED_YUV.get(pix_fmt, ""):
        luma = Component("y", 0, order.index("y"), 2)
        chroma = (Component(c, 0, order.index(c), 4, (1, 0)) for c in "uv")
        return PixelLayout(pix_fmt, "yuv", 8, ((4, (1, 0)),), (luma, *chroma))
    if pix_fmt in _TWO_PLANES:
        order, shift = _TWO_PLANES[pix_fmt], (1, 1)
        chroma = (Component(c, 1, order.index(c), 2, shift) for c in "uv")
        return PixelLayout(pix_fmt, "yuv", 8, ((1, (0, 0)), (2, shift)), (Component("y", 0), *chroma))
    return None


def _planes(pix_fmt: str, family: Family, bits: int, names: str, shifts: Sequence[tuple[int, int]]) -> PixelLayout:
    components = tuple(Component(name, i, shift=shifts[i]) for i, name in enumerate(names))
    return PixelLayout(pix_fmt, family, bits, tuple((1, shift) for shift in shifts), components)


def _bits(text: str | None) -> int:
    return 8 if text is None else int(text)


def _shifted(length: int, shift: int) -> int:
    return -(-length >> shift)
