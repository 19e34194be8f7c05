"""The background behind a head on a device: `compositing/background.py` in torch.

The camera's motion is that of the whole background, found by Lucas and Kanade's equations over all of its pixels at
once, in place of single corners.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import Matrix, Quad
from ...common.graphs import Graphs, Results
from ...tracking.align import CROP, side
from ..background import AROUND, CELLS, MARGIN, MOST_MOTION, SECONDS, STILL, crop_to_plate, holds
from .colours import grey
from .filters import dilate, gaussian, pyramid_down, pyramid_up
from .flow import slopes
from .sampling import affine, sample

LEVELS: Final = 3
STEPS: Final = 4
FEW: Final = 200.0
"""Pixels of background seen twice, below which nothing shows a motion."""
TEXTURE: Final = 4.0
"""Mean squared slope below which a wall has no marks that show a motion."""


@dataclass(frozen=True, slots=True, eq=False)
class DevicePlate:
    """`background.Plate` on a device: pixels (3, h, w) in 0..255; seen and still (h, w), 0 or 1; grey (h, w)."""

    pixels: Tensor
    seen: Tensor
    grey: Tensor
    still: Tensor
    left: float
    top: float
    scale: float

    @property
    def side(self) -> int:
        """Of the plate, in its own pixels."""
        return self.seen.shape[0]


def update(
    before: DevicePlate | None, frame: Tensor, quad: Quad, head: Tensor, elapsed: float, graphs: Graphs
) -> DevicePlate:
    """`background.update`. frame: (3, H, W) uint8. head: (S, S)."""
    kept = None
    if before is not None and elapsed >= 0 and holds(before.left, before.top, before.scale, before.side, quad):
        kept = before
    base = kept or _begin(frame, quad)
    size = (base.side, base.side)
    to_frame = np.array([[1 / base.scale, 0, base.left], [0, 1 / base.scale, base.top]])
    source, matrix = frame.float(), to_frame
    if base.scale < 1:  # means of areas, as shrinking needs
        factor = math.ceil(1 / base.scale)
        fine = _finer(matrix, factor)
        wide = affine(source, fine, (base.side * factor, base.side * factor), cubic=False, outside="edge")
        now = F.avg_pool2d(wide, factor)
    else:
        now = affine(source, matrix, size, cubic=False, outside="edge")
    own, free = grey(now), _free(head, quad, base)
    pixels, seen = base.pixels, base.seen
    if kept is not None:
        motion, lost = graphs.run(_camera_motion, base.grey, own, base.still * free)
        pixels, seen = _shifted(pixels, motion), _shifted(seen[None], motion)[0].round() * (1 - lost)
    share = 1 - math.exp(-max(0.0, elapsed) / SECONDS)
    weight = torch.where(seen > 0, share, 1.0) * free
    return DevicePlate(
        (pixels + (now - pixels) * weight).round(), torch.maximum(seen, free), own, free, base.left, base.top,
        base.scale,
    )  # fmt: skip


def behind(plate: DevicePlate | None, quad: Quad, face: Tensor, head: Tensor) -> Tensor:
    """`background.behind`: (3, S, S). face: (3, S, S). head: (S, S)."""
    weight = 1 - _grown(head)
    picture = face * weight
    if plate is not None:
        matrix = crop_to_plate(plate.left, plate.top, plate.scale, quad)
        both = torch.cat([plate.pixels, plate.seen[None]])
        known = affine(both, matrix, (CROP, CROP), cubic=False, outside="edge")
        inside = affine(plate.seen[None], matrix, (CROP, CROP), cubic=False, outside="zero")[0].round()
        more = (1 - weight) * gaussian(inside, 1.5).square()
        picture, weight = picture + known[:3] * more, weight + more
    return push_pull(picture, weight)


def push_pull(picture: Tensor, weight: Tensor) -> Tensor:
    """`background.push_pull`. picture: (3, S, S), already times its weight, (S, S)."""
    levels = [torch.cat([picture, weight[None]])]
    while levels[-1].shape[-1] > 4:
        levels.append(pyramid_down(levels[-1]))
    filled = levels[-1][:3] / levels[-1][3:].clamp_min(1e-6)
    for level in reversed(levels[:-1]):
        coarse = pyramid_up(filled, level.shape[-1])
        share = level[3:]
        filled = coarse + (level[:3] / share.clamp_min(1e-6) - coarse) * (2 * share).clamp(0, 1)
    return filled


def _begin(frame: Tensor, quad: Quad) -> DevicePlate:
    middle, long = quad.mean(axis=0), AROUND * float(np.ptp(quad, axis=0).max())
    scale = min(1.0, CELLS / max(long, 1e-6), CROP * AROUND / max(side(quad), 1e-6))
    cells = max(8, round(long * scale))
    nothing = torch.zeros(cells, cells, device=frame.device)
    left, top = (middle - long / 2).tolist()
    return DevicePlate(nothing.expand(3, -1, -1), nothing, nothing, nothing, left, top, scale)


def _finer(matrix: Matrix, factor: int) -> Matrix:
    """The matrix for `factor` times as many pixels a side, whose means lie where the coarse ones do."""
    shift = 0.5 / factor - 0.5
    return np.column_stack([matrix[:, :2] / factor, matrix[:, 2] + matrix[:, :2] @ np.array([shift, shift])])


def _free(head: Tensor, quad: Quad, plate: DevicePlate) -> Tensor:
    """(h, w) 0 or 1: where the plate sees background now, which is known inside the crop only."""
    free = F.pad((_grown(head) < 0.02).float()[1:-1, 1:-1], (1, 1, 1, 1))
    matrix = crop_to_plate(plate.left, plate.top, plate.scale, quad)
    linear = np.linalg.inv(matrix[:, :2])
    inverse = np.column_stack([linear, -linear @ matrix[:, 2]])
    return affine(free[None], inverse, (plate.side, plate.side), cubic=False, outside="zero")[0].round()


def _grown(head: Tensor) -> Tensor:
    return gaussian(dilate((head > 0.1).float(), MARGIN), 1.0)


def _camera_motion(before: Tensor, now: Tensor, still: Tensor) -> Results:
    """((2,) plate pixels that the background has moved by, () 1 where it has moved too far)."""
    pairs = [torch.stack([before, now, still])]
    while len(pairs) < LEVELS:
        pairs.append(pyramid_down(pairs[-1]))
    motion = before.new_zeros(2)
    for level, (old, new, weight) in enumerate(reversed(pairs)):
        if level:
            motion = 2 * motion
        for _step in range(STEPS):
            moved = _shifted(old[None], motion)[0]
            (across,), (down,) = slopes(moved[None])
            missed = moved - new
            products = torch.stack([across * across, across * down, down * down, across * missed, down * missed])
            xx, xy, yy, x, y = (products * weight).sum((1, 2)).unbind()
            xx, yy = xx + 1, yy + 1
            scale = 1 / (xx * yy - xy * xy)
            motion = motion + (torch.stack([yy * x - xy * y, xx * y - xy * x]) * scale).clamp(-2, 2)
    count = still.sum()
    shown = (count >= FEW) & (torch.minimum(xx, yy) >= TEXTURE * count) & (torch.hypot(*motion.unbind()) >= STILL)
    motion = motion * shown
    return motion, (motion.abs().amax() > MOST_MOTION).float()


def _shifted(picture: Tensor, motion: Tensor) -> Tensor:
    """(C, h, w) moved by (2,) pixels, edges repeated."""
    height, width = picture.shape[1:]
    columns = torch.arange(width, device=picture.device, dtype=torch.float32)
    rows = torch.arange(height, device=picture.device, dtype=torch.float32)[:, None]
    x, y = (columns - motion[0]).expand(height, width), (rows - motion[1]).expand(height, width)
    return sample(picture, x, y)
