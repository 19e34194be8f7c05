"""Shared operations on pictures: rounding to bytes, warping and mean squared error."""

from typing import cast

import cv2
import numpy as np

from ...models.arrays import AnyImage, FlowField
from ...stream.frame import Pixels
from .errors import PipelineError


def to_bytes(picture: AnyImage) -> Pixels:
    """Levels in 0..255, rounded and clipped, as uint8 of the same shape."""
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def warp_pixels(before: Pixels, back: FlowField) -> Pixels:
    """The frame before, warped by the flow: bilinear, (H, W, 3) uint8."""
    places = source_places(back)
    return cast(
        "Pixels", cv2.remap(before, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def source_places(back: FlowField) -> FlowField:
    """(H, W, 2): where each pixel comes from."""
    height, width = back.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], -1) + back


def mse(a: Pixels, b: Pixels) -> float:
    """Mean square difference of two pictures.

    Formula: mean((a - b)^2) over pixels and channels, with levels taken to [-1, 1]. Source: RIGID (arXiv 2308.06097),
    table 1, in the range of StyleGAN's pictures. Range: 0..4. Direction: lower is better. Unit: square of [-1, 1].

    Args:
        a, b: uint8 arrays of one shape.

    Raises:
        PipelineError: the shapes differ.
    """
    check_alike(a, b)
    # OpenCV adds the squares in float64, without a copy of either picture in a wider type.
    return float(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size / 127.5**2


def check_alike(a: Pixels, b: Pixels) -> None:
    """Raises PipelineError unless both are uint8 and of one shape."""
    if a.shape != b.shape or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise PipelineError(f"expected two uint8 pictures of one size, got {a.shape} {a.dtype} and {b.shape} {b.dtype}")
