"""The orientation of a stored picture, from the display matrix of its container."""

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np

from .frame import Pixels

_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight right-angled orientations: transpose first, then mirror.

    Attributes:
        transpose: rows and columns change places.
        mirror_x, mirror_y: left and right, top and bottom change places after that.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Self | None:
        """Orientation of nine native int32, [a b u; c d v; x y w]: a point goes to (ax + cy, bx + dy).

        Returns None for an angle that is not a multiple of 90 degrees, and for a matrix that is not one.
        """
        if len(matrix) != 36:
            return None
        a, b, _, c, d, *_ = (value / 65536 for value in struct.unpack("=9i", matrix))
        straight, crossed = min(abs(a), abs(d)), min(abs(b), abs(c))
        if straight > 0 and max(abs(b), abs(c)) <= _TOLERANCE * straight:
            return cls(False, a < 0, d < 0)
        if crossed > 0 and max(abs(a), abs(d)) <= _TOLERANCE * crossed:
            return cls(True, c < 0, b < 0)
        return None

    def apply(self, pixels: Pixels) -> Pixels:
        """Upright contiguous copy of (H, W, 3) pixels; the array itself if it is upright already."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.mirror_x:
            pixels = pixels[:, ::-1]
        if self.mirror_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        return (height, width) if self.transpose else (width, height)
