"""A fixed part of an FFHQ-aligned face at a scorer's input size, differentiable.

FFHQ alignment puts the eyes and the mouth of every face in nearly the same place. So a scorer with an alignment of
its own can see such a face through one fixed box, without landmarks, and its gradient stays simple.
"""

import torch
from torch import Tensor

from ..errors import ShapeError

# left, top, right, bottom as fractions of the square's side.
Box = tuple[float, float, float, float]

SMALLEST_SIDE = 64


def crop_box(x: Tensor, box: Box, size: int) -> Tensor:
    """Resamples a box of square images.

    A triangle filter as wide as an output pixel where the image shrinks: plain bilinear sampling would alias there,
    and scores would then depend on the sharpness of the crop.

    Args:
        x: (B, 3, S, S) float, aligned as FFHQ; S of at least 64.
        box: which part of it, inside the image.
        size: side of the result.

    Returns:
        (B, 3, size, size).

    Raises:
        ShapeError: not square RGB, or too small.
    """
    if x.dim() != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3] or x.shape[3] < SMALLEST_SIDE:
        raise ShapeError(
            f"the FFHQ crop got {tuple(x.shape)}, expected (B, 3, S, S) with S of at least {SMALLEST_SIDE}"
        )
    left, top, right, bottom = box
    return _resampling(top, bottom, size, x) @ x @ _resampling(left, right, size, x).T


def _resampling(start: float, end: float, size: int, like: Tensor) -> Tensor:
    """(size, S) weights that resample the stretch from `start` to `end` of a side of S pixels."""
    side = like.shape[-1]
    scale = (end - start) * side / size
    centres = start * side + (torch.arange(size, device=like.device) + 0.5) * scale
    pixels = torch.arange(side, device=like.device) + 0.5
    weights = (1 - (pixels - centres[:, None]).abs() / max(scale, 1.0)).clamp_min(0)
    return (weights / weights.sum(1, keepdim=True)).to(like.dtype)
