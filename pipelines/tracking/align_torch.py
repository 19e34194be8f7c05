"""The crop and its inverse as differentiable torch functions, equal to those of `align`.

For training and for optimization through the alignment; frames in play use `align`, which is faster.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from ...models.faces.patch import patch_to_frame, refine, supersampling
from .align import CROP, Quad, frame_to_patch, shrink_samples, window


def crop_tensor(images: torch.Tensor, quads: list[Quad], size: int = CROP) -> torch.Tensor:
    """(B, C, size, size) crops of (B, C, H, W) float images, one quad each; gradients flow to the images.

    Same samples as `align.crop`, without its rounding to whole numbers.
    """
    matrices = [patch_to_frame(quad, size) for quad in quads]
    factor = max(supersampling(matrix) for matrix in matrices)
    fine = sample(
        images,
        [refine(matrix, factor) for matrix in matrices],
        (size * factor, size * factor),
        mode="bicubic",
        padding="reflection",
    )
    return F.avg_pool2d(fine, factor)


def unalign_tensor(
    patches: torch.Tensor,
    quads: list[Quad],
    frame_size: tuple[int, int],
    *,
    outside: Literal["edge", "zero"] = "edge",
) -> torch.Tensor:
    """(B, C, H, W) frames that hold the (B, C, S, S) crops in place; gradients flow to the crops.

    frame_size: (width, height). Zero outside each quad's window; inside it as `align.unalign`.
    """
    if patches.shape[2] != patches.shape[3]:
        raise ValueError(f"expected square crops, got {tuple(patches.shape)}")
    width, height = frame_size
    frames = []
    for patch, quad in zip(patches, quads, strict=True):
        left, top, right, bottom = window(quad, frame_size)
        if right == left or bottom == top:
            frames.append(patch.new_zeros(patch.shape[0], height, width) + 0 * patch.sum())
            continue
        inverse = frame_to_patch(quad, patch.shape[1], (left, top))
        factor = shrink_samples(inverse)
        values = sample(
            patch[None],
            [refine(inverse, factor)],
            ((bottom - top) * factor, (right - left) * factor),
            mode="bicubic" if outside == "edge" else "bilinear",
            padding="border" if outside == "edge" else "zeros",
        )
        values = F.avg_pool2d(values, factor)[0]
        frames.append(F.pad(values, (left, width - right, top, height - bottom)))
    return torch.stack(frames)


def sample(
    images: torch.Tensor,
    matrices: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]],
    shape: tuple[int, int],
    *,
    mode: Literal["bilinear", "bicubic"],
    padding: Literal["zeros", "border", "reflection"],
) -> torch.Tensor:
    """(B, C, *shape): `images` read at matrix @ (x, y, 1) for each target pixel (x, y).

    With `align_corners=True` grid_sample's -1 and 1 are the border pixels' centres, so its reflection is
    OpenCV's BORDER_REFLECT_101.
    """
    height, width = images.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(shape[0], dtype=torch.float64), torch.arange(shape[1], dtype=torch.float64), indexing="ij"
    )
    targets = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    sources = torch.einsum("bij,hwj->bhwi", torch.from_numpy(np.stack(matrices)), targets)
    extent = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float64)
    grid = (2 * sources / extent - 1).to(images)
    return F.grid_sample(images, grid, mode=mode, padding_mode=padding, align_corners=True)
