"""The one datum that flows through a stream: a picture and when to show it."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One video frame, upright, as every stage sees it.

    pixels: (H, W, 3) uint8 RGB, full range.
    pts: presentation time in units of `time_base`, as the source gave it.
    time_base: seconds per unit of `pts`, above zero.

    Raises ValueError where shape, dtype or time base are not these.
    """

    pixels: Pixels
    pts: int
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"expected (H, W, 3) uint8 pixels, got {self.pixels.shape} {self.pixels.dtype}")
        if self.time_base <= 0:
            raise ValueError(f"expected a time base above zero, got {self.time_base}")

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def with_pixels(self, pixels: Pixels) -> "Frame":
        """The same moment with another picture."""
        return replace(self, pixels=pixels)

    def __repr__(self) -> str:
        width, height = self.size
        return f"Frame({width}x{height}, pts={self.pts}, seconds={self.seconds:.3f})"
