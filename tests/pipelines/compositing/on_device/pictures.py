"""Soft pictures as arrays and as tensors."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dynstream.models.arrays import FloatImage, Quad


def soft(size: tuple[int, int], channels: int, *, seed: int, cell: int = 20) -> FloatImage:
    """(H, W, C) or (H, W) float32 in 0..255 without sharp edges. size: (H, W)."""
    cells = (size[0] // cell + 2, size[1] // cell + 2, channels)
    noise = np.random.default_rng(seed).integers(0, 256, cells).astype(np.float32)
    large = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255)
    return np.asarray(large.reshape(*size, channels) if channels > 1 else large.reshape(size), np.float32)


def quad(middle: tuple[float, float], side: float, angle: float) -> Quad:
    """(4, 2): a turned square."""
    right = np.array([np.cos(angle), np.sin(angle)]) * side / 2
    down = np.array([-right[1], right[0]])
    centre = np.array(middle)
    return np.stack([centre - right - down, centre - right + down, centre + right + down, centre + right - down])


def tensor(picture: npt.NDArray[Any]) -> Tensor:
    """Channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, 2, 0) if picture.ndim == 3 else picture))


def array(picture: Tensor) -> npt.NDArray[Any]:
    """Channels last."""
    result: npt.NDArray[Any] = (picture.permute(1, 2, 0) if picture.ndim == 3 else picture).numpy()
    return result
