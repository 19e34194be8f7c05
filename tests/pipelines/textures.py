"""Pictures that flow can follow: noise of three sizes, smooth at every scale."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Pixels = npt.NDArray[np.uint8]


def texture(seed: int, size: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) RGB in [-1, 1] for a size of (H, W)."""
    random = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, *size)
    for cells in (6, 16, 40):
        noise = torch.rand(1, 3, cells, cells, generator=random)
        picture += F.interpolate(noise, size, mode="bicubic", align_corners=False)
    return (picture / 1.5 - 1).clamp(-1, 1)


def pixels(x: Tensor) -> Pixels:
    """(1, 3, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    levels = ((x[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().numpy()


def moving(
    count: int, size: tuple[int, int] = (96, 128), step: tuple[int, int] = (2, -1), seed: int = 0
) -> list[Pixels]:
    """A texture that moves by `step` (right, down) pixels from frame to frame, `count` frames of (H, W)."""
    height, width = size
    right, down = step
    span = (height + abs(down) * count, width + abs(right) * count)
    whole = pixels(texture(seed, span))
    frames = []
    for index in range(count):
        top = (span[0] - height if down > 0 else 0) - down * index
        left = (span[1] - width if right > 0 else 0) - right * index
        frames.append(np.ascontiguousarray(whole[top : top + height, left : left + width]))
    return frames
