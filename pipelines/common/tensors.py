"""Conversion of pictures to network tensors and back: the one place that knows the range [-1, 1]."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...stream.frame import Pixels


def to_tensor(pictures: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> Tensor:
    """(B, H, W, 3) in 0..255 -> (B, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def to_pixels(image: Tensor) -> Pixels:
    """(3, H, W) in [-1, 1], clipped -> (H, W, 3) uint8."""
    pixels: Pixels = image.add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    return pixels


def to_levels(images: Tensor) -> npt.NDArray[np.float32]:
    """(B, 3, H, W) in [-1, 1], clipped -> (B, H, W, 3) float32 in 0..255, not rounded."""
    levels = images.float().add(1).mul(127.5).clamp(0, 255).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return np.asarray(levels, np.float32)
