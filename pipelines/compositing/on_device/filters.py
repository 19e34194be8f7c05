"""Filters of pictures as OpenCV has them: blurs, dilation, pyramids, the guided filter."""

from functools import cache
from typing import Literal

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

Border = Literal["reflect", "constant", "replicate"]


def gaussian(x: Tensor, sigma: float, border: Border = "reflect") -> Tensor:
    """cv2.GaussianBlur of float32 with a size of (0, 0). x: (..., H, W). border: reflect is OpenCV's own."""
    radius = (round(sigma * 8 + 1) | 1) // 2
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    weights = (offsets.square() * (-0.5 / sigma**2)).exp()
    return separable(x, weights / weights.sum(), border)


def separable(x: Tensor, weights: Tensor, border: Border) -> Tensor:
    """x: (..., H, W), convolved along both sides with (K,) weights that are symmetric."""
    radius = len(weights) // 2
    planes = x.reshape(-1, 1, *x.shape[-2:])
    padded = F.pad(planes, (radius,) * 4, mode=border)
    across = F.conv2d(padded, weights.reshape(1, 1, 1, -1))
    return F.conv2d(across, weights.reshape(1, 1, -1, 1)).reshape(x.shape)


def box(x: Tensor, size: int) -> Tensor:
    """cv2.blur with an odd size. x: (..., H, W)."""
    planes = x.reshape(-1, 1, *x.shape[-2:])
    return F.avg_pool2d(F.pad(planes, (size // 2,) * 4, mode="reflect"), size, 1).reshape(x.shape)


def dilate(mask: Tensor, size: int, *, ellipse: bool = True) -> Tensor:
    """cv2.dilate of (H, W) by an ellipse or a square of that size."""
    planes = mask[None, None]
    if not ellipse:
        return F.max_pool2d(planes, size, 1, size // 2)[0, 0]
    height, half = mask.shape[0], size // 2
    # The ellipse is as many rows, each a stretch about its middle.
    tall = F.pad(planes, (0, 0, half, half), value=-torch.inf)
    rows = [
        F.max_pool2d(tall[:, :, down : down + height], (1, 2 * reach + 1), 1, (0, reach))
        for down, reach in enumerate(_ellipse(size))
    ]
    return torch.stack(rows).amax(0)[0, 0]


def close(mask: Tensor, size: int) -> Tensor:
    """cv2.morphologyEx with MORPH_CLOSE of (H, W) by an ellipse."""
    return -dilate(-dilate(mask, size), size)


@cache
def _ellipse(size: int) -> tuple[int, ...]:
    """Reach of each row of OpenCV's ellipse to both sides."""
    return tuple(int(row.sum()) // 2 for row in cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def half(x: Tensor) -> Tensor:
    """cv2.resize to half the size with INTER_AREA. x: (C, H, W)."""
    return F.avg_pool2d(x[None], 2)[0]


def double(x: Tensor) -> Tensor:
    """cv2.resize to twice the size with INTER_LINEAR. x: (C, H, W)."""
    return resize(x, 2 * x.shape[-1])


def resize(x: Tensor, side: int) -> Tensor:
    """(C, S, S) to another side: bilinear where it grows, means of areas where it shrinks."""
    if side == x.shape[-1]:
        return x
    if side < x.shape[-1]:
        return F.interpolate(x[None], (side, side), mode="area")[0]
    return F.interpolate(x[None], (side, side), mode="bilinear", align_corners=False)[0]


def pyramid_down(x: Tensor) -> Tensor:
    """cv2.pyrDown. x: (C, H, W)."""
    return separable(x, _binomial(x), "reflect")[:, ::2, ::2]


def pyramid_up(x: Tensor, side: int) -> Tensor:
    """cv2.pyrUp to (C, side, side), where the side is twice that of x, (C, H, W), or one less."""
    count, height, width = x.shape
    wide = torch.stack([x, torch.zeros_like(x)], -1).reshape(count, height, 2 * width)
    spread = torch.stack([wide, torch.zeros_like(wide)], -2).reshape(count, 2 * height, 2 * width)
    return separable(spread, 2 * _binomial(x), "reflect")[:, :side, :side]


def _binomial(x: Tensor) -> Tensor:
    # 1, 4, 6, 4, 1 of 16 as a polynomial of the distance: a constant would have to be uploaded.
    distance = torch.arange(-2, 3, device=x.device, dtype=torch.float32).abs()
    return (6 - 1.5 * distance - 0.5 * distance.square()) / 16


def guided(guide: Tensor, mask: Tensor, radius: int, smooth: float) -> Tensor:
    """`head_matte.guided_filter`. guide: (H, W) in 0..255. mask: (C, H, W)."""
    size = 2 * radius + 1
    own, count = guide[None], len(mask)
    means = box(torch.cat([own, own * own, mask, own * mask]), size)
    mean, variance = means[:1], means[1:2] - means[:1].square()
    average = means[2 : 2 + count]
    slope = (means[2 + count :] - mean * average) / (variance + smooth)
    lines = box(torch.cat([slope, average - slope * mean]), size)
    return lines[:count] * own + lines[count:]
