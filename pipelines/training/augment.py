"""What real video does to a face before an encoder sees it."""

import torch
from torch import Tensor
from torch.nn import functional as F


def jitter(
    faces: Tensor, random: torch.Generator, *, shift: float = 0.02, turn: float = 0.03, zoom: float = 0.03
) -> Tensor:
    """Flip half of the faces and move each by an imperfect alignment.

    faces: (B, 3, H, W). shift: standard deviation in sides, turn: in radians, zoom: of the logarithm. Same shape.
    """
    count = faces.shape[0]
    flip = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    angle = torch.randn(count, generator=random) * turn
    scale = torch.exp(torch.randn(count, generator=random) * zoom)
    move = torch.randn(count, 2, generator=random) * 2 * shift
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, move[:, 0]], 1), torch.stack([sin * flip, cos, move[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, list(faces.shape), align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def degrade(faces: Tensor, random: torch.Generator) -> Tensor:
    """Blur and noise on half of the faces each, and coarse steps of colour on a third; same shape.

    faces: (B, 3, H, W) in [-1, 1].
    """
    count, _, height, width = faces.shape
    rows = []
    for face in faces.split(1):
        chance = torch.rand(3, generator=random)
        if chance[0] < 0.5:
            factor = float(torch.rand(1, generator=random)) * 0.6 + 0.35
            small = F.interpolate(face, scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)
            face = F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
        if chance[1] < 0.5:
            noise = torch.randn(face.shape, generator=random) * float(torch.rand(1, generator=random)) * 0.06
            face = face + noise
        if chance[2] < 0.3:
            step = float(torch.rand(1, generator=random)) * 0.08 + 0.02
            face = torch.round(face / step) * step
        rows.append(face)
    return torch.cat(rows) if count else faces


def recolour(faces: Tensor, random: torch.Generator) -> Tensor:
    """Another exposure and white balance, the same for input and target; same shape, clipped to [-1, 1]."""
    count = faces.shape[0]
    gain = torch.exp(
        torch.randn(count, 3, 1, 1, generator=random) * 0.04 + torch.randn(count, 1, 1, 1, generator=random) * 0.12
    )
    return ((faces + 1) * gain - 1).clamp(-1, 1)
