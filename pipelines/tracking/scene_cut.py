"""Scene cut detection from two thumbnails."""

from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from ...stream.frame import Pixels

WIDTH, HEIGHT = 64, 36

MIN_PIXEL_CHANGE: Final = 0.10
MIN_COLOUR_CHANGE: Final = 0.25
"""A cut changes the picture in place (mean absolute difference, 0..1) AND its colours (share of the pixels whose
colour moved to another histogram bin). A moving head or hand does the first alone, a change of light the second."""


def thumbnail(pixels: Pixels) -> Pixels:
    """(36, 64, 3) uint8 summary of a frame of any size, for `is_cut`."""
    height, width = pixels.shape[:2]
    # Every n-th pixel first: averaging all pixels of a large frame costs more and adds little.
    step = max(1, min(height // (2 * HEIGHT), width // (2 * WIDTH)))
    small = np.ascontiguousarray(pixels[::step, ::step])
    return cast("Pixels", cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def colour_histogram(small: Pixels) -> npt.NDArray[np.float64]:
    """(512,) share of the pixels in each of 8x8x8 RGB bins."""
    bins = (small >> 5).astype(np.intp)
    flat = (bins[..., 0] * 64 + bins[..., 1] * 8 + bins[..., 2]).ravel()
    return np.bincount(flat, minlength=512) / flat.size


def changes(before: Pixels, after: Pixels) -> tuple[float, float]:
    """(pixel change, colour change) between two thumbnails, each 0..1."""
    pixel = float(np.abs(before.astype(np.int16) - after.astype(np.int16)).mean() / 255)
    colour = float(np.abs(colour_histogram(before) - colour_histogram(after)).sum() / 2)
    return pixel, colour


def is_cut(before: Pixels, after: Pixels) -> bool:
    """Whether a new scene begins between two consecutive thumbnails."""
    pixel, colour = changes(before, after)
    return pixel > MIN_PIXEL_CHANGE and colour > MIN_COLOUR_CHANGE
