"""A video frame: a picture and its presentation time."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import FrameError

if TYPE_CHECKING:
    from av import VideoFrame

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The decoded source of a file's frame.

    Attributes:
        samples: as the decoder gave them; read-only by convention.
        pixels: (H, W, 3) uint8 RGB made of them, of that size.
        codec: FFmpeg's name of what they were decoded from; "" if it is not known.
    """

    samples: "VideoFrame"
    pixels: Pixels
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One video frame, upright, as every stage sees it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, full range.
        pts: presentation time in units of `time_base`, as the source gave it.
        time_base: seconds per unit of `pts`, above zero.
        original: what it was made from, of the same size; None if it was drawn, turned or scaled, and in live
            streams.

    Raises:
        FrameError: a ValueError, where shape, dtype or time base are not these.
    """

    pixels: Pixels
    pts: int
    time_base: Fraction
    original: Original | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise FrameError(f"expected (H, W, 3) uint8 pixels, got {self.pixels.shape} {self.pixels.dtype}")
        if self.time_base <= 0:
            raise FrameError(f"expected a time base above zero, got {self.time_base}")
        if self.original is not None and self.original.pixels.shape != self.pixels.shape:
            raise FrameError(f"expected pixels of the original's {self.original.pixels.shape}, got {self.pixels.shape}")

    @property
    def seconds(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def with_pixels(self, pixels: Pixels) -> "Frame":
        """The same moment with another picture; its original is forgotten where that has another size."""
        original = self.original if pixels.shape == self.pixels.shape else None
        return replace(self, pixels=pixels, original=original)

    def __repr__(self) -> str:
        width, height = self.size
        return f"Frame({width}x{height}, pts={self.pts}, seconds={self.seconds:.3f})"
