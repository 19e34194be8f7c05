"""Sampling of pictures as OpenCV does it: the FFHQ crop, its inverse, and warping by a flow."""

from typing import Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import Matrix, Quad
from ....models.faces.patch import patch_to_frame, refine, supersampling
from ...tracking.align import CROP, frame_to_patch, shrink_samples, window

Outside = Literal["edge", "mirror", "zero"]
PADDING: Final[dict[Outside, str]] = {"edge": "border", "mirror": "reflection", "zero": "zeros"}
WINDOW: Final = 128
"""Sides of a frame's window are multiples of it, so that a face that moves does not change a shape."""


def sample(picture: Tensor, x: Tensor, y: Tensor, *, cubic: bool = False, outside: Outside = "edge") -> Tensor:
    """cv2.remap. picture: (C, H, W) float32. x, y: (h, w) places in pixels -> (C, h, w)."""
    height, width = picture.shape[1:]
    across, down = x * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1
    return F.grid_sample(
        picture[None], torch.stack([across, down], -1)[None], mode="bicubic" if cubic else "bilinear",
        padding_mode=PADDING[outside], align_corners=True,
    )[0]  # fmt: skip


def affine(picture: Tensor, matrix: Matrix, size: tuple[int, int], *, cubic: bool, outside: Outside) -> Tensor:
    """cv2.warpAffine with WARP_INVERSE_MAP. matrix: (2, 3), result to source. size: (width, height) of the result."""
    columns = torch.arange(size[0], device=picture.device, dtype=torch.float32)
    rows = torch.arange(size[1], device=picture.device, dtype=torch.float32)[:, None]
    (a, b, c), (d, e, f) = matrix.tolist()
    return sample(picture, columns * a + rows * b + c, columns * d + rows * e + f, cubic=cubic, outside=outside)


def crop(frame: Tensor, quad: Quad, size: int = CROP) -> Tensor:
    """`tracking.align.crop`. frame: (3, H, W) uint8 -> (3, size, size) float32, whole numbers in 0..255."""
    matrix = patch_to_frame(quad, size)
    factor = supersampling(matrix)
    fine = affine(frame.float(), refine(matrix, factor), (size * factor, size * factor), cubic=True, outside="mirror")
    return F.avg_pool2d(fine.round().clamp(0, 255), factor).round()


def unalign(patch: Tensor, quad: Quad, place: tuple[int, int, int, int], *, outside: Outside = "edge") -> Tensor:
    """`tracking.align.unalign`: a crop, (C, S, S), in a window of its frame, (left, top, width, height)."""
    left, top, width, height = place
    inverse = frame_to_patch(quad, patch.shape[1], (left, top))
    factor = shrink_samples(inverse)
    values = affine(
        patch, refine(inverse, factor), (width * factor, height * factor), cubic=outside == "edge", outside=outside
    )
    return F.avg_pool2d(values, factor) if factor > 1 else values


def fixed_window(quad: Quad, frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a window around a crop, inside the frame, whose size hardly ever changes.

    Its sides are those of the crop's diagonal, as a face may turn, rounded up to `WINDOW`. It is moved inwards at the
    frame's border, not cut.
    """
    left, top, right, bottom = window(quad, frame_size)
    diagonal = float(np.hypot(*(quad[2] - quad[0])))
    sides = []
    for wanted, most in zip((right - left, bottom - top), frame_size, strict=True):
        side = WINDOW * int(np.ceil(max(wanted, diagonal + 2) / WINDOW))
        sides.append(min(side, most))
    middle = quad.mean(axis=0)
    first = [
        int(np.clip(round(at - side / 2), 0, most - side))
        for at, side, most in zip(middle, sides, frame_size, strict=True)
    ]
    return first[0], first[1], sides[0], sides[1]


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """`composite.warp`: (C, S, S) sampled at x + flow(x), edges repeated. flow: (2, S, S)."""
    x, y = places(flow)
    return sample(picture, x, y)


def warp_mask(mask: Tensor, flow: Tensor) -> Tensor:
    """As `warp`, of one plane (S, S)."""
    return warp(mask[None], flow)[0]


def places(flow: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y): where each pixel comes from. flow: (2, H, W)."""
    height, width = flow.shape[1:]
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    return columns + flow[0], rows + flow[1]
