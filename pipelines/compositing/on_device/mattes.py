"""The head matte on a device: `head_matte.py` and `shape_match.py` in torch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.faces.matte import HEAD, REGIONS, HeadMatte
from ...tracking.align import CROP
from ..head_matte import _RADIUS, _SMOOTH, CHANGED, DRAWN_SECONDS, FRONT, FRONT_SECONDS, LEAST_CERTAIN, SECONDS
from ..shape_match import CELL, LARGEST, REACH, REST, WIDE_REACH
from .colours import grey
from .filters import box, close, dilate, double, gaussian, guided
from .sampling import warp


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMatte:
    """`head_matte.SteadyMatte` on a device.

    Attributes:
        pair: (2, S, S), of the head and of its hair.
        front: (S, S), things in front.
        grey: (S, S) in 0..255, the crop that it is of.
        points: (N, 2) landmarks in crop pixels.
    """

    pair: Tensor
    front: Tensor
    grey: Tensor
    points: Tensor


def measure_mattes(network: HeadMatte, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """((B, 2, S, S) mattes of (B, 3, S, S) pictures, (S, S) what is in front in the first), in one pass."""
    shares = network.regions(pictures.div(127.5).sub(1).contiguous(memory_format=torch.channels_last))
    head = torch.stack([shares[:, REGIONS.index(name)] for name in (*HEAD, "neck")]).sum(0)
    hair = shares[:, REGIONS.index("hair")]
    sharp = ((double(torch.stack([head, hair], 1).flatten(0, 1)) - 0.25) / 0.5).clamp(0, 1).unflatten(0, (-1, 2))
    fine = [
        guided(grey(picture.round().clamp(0, 255)), own, _RADIUS, _SMOOTH).clamp(0, 1)
        for picture, own in zip(pictures, sharp, strict=True)
    ]
    return torch.stack(fine), in_front(shares[0])


def measure_front(network: HeadMatte, face: Tensor) -> Tensor:
    """`head_matte.measure_front`. face: (3, S, S)."""
    return in_front(network.regions(face[None].div(127.5).sub(1).contiguous(memory_format=torch.channels_last))[0])


def in_front(shares: Tensor) -> Tensor:
    """(S, S): what is in front of a head. shares: (8, S / 2, S / 2) of one picture."""
    low, high = FRONT
    front = REGIONS.index("front")
    sure = ((double(shares[front : front + 1])[0] - low) / (high - low)).clamp(0, 1)
    return gaussian(dilate(close(sure, 9), 11), 1.0)


def follow_front(before: Tensor | None, now: Tensor, elapsed: float) -> Tensor:
    """`head_matte.follow_front`."""
    if before is None or elapsed < 0:
        return now
    return torch.maximum(now, before * math.exp(-elapsed / FRONT_SECONDS))


def follow(
    before: DeviceMatte | None, now: Tensor, front: Tensor, face: Tensor, points: Tensor, elapsed: float
) -> DeviceMatte:
    """`head_matte.follow`. now: (2, S, S). face: (3, S, S). points: (N, 2)."""
    own = grey(face)
    if before is None or before.points.shape != points.shape or elapsed < 0:
        return DeviceMatte(now, front, own, points)
    moved = warp(torch.cat([before.grey[None], before.pair]), displacement(points, before.points))
    difference = box((moved[0] - own).abs(), 5)
    kept = math.exp(-elapsed / SECONDS) * (-(difference / CHANGED).square()).exp()
    return DeviceMatte(now + kept * (moved[1:] - now), follow_front(before.front, front, elapsed), own, points)


def follow_drawn(before: Tensor | None, now: Tensor, elapsed: float) -> Tensor:
    """`head_matte.follow_drawn`, of (2, 2, S, S): the inversion's and the edit's."""
    if before is None or elapsed < 0:
        return now
    return torch.lerp(before, now, 1 - math.exp(-elapsed / DRAWN_SECONDS))


def certain(matte: DeviceMatte, hull: Tensor) -> Tensor:
    """`head_matte.certain`: () 1 or 0."""
    inside = (hull > 0.5).float()
    found = (torch.maximum(matte.pair[0], matte.front) * inside).sum()
    return ((inside.sum() > 0) & (found >= LEAST_CERTAIN * inside.sum())).float()


def displacement(face: Tensor, drawn: Tensor) -> Tensor:
    """`shape_match.displacement`: landmarks (N, 2) twice -> (2, S, S)."""
    smooth = _gathered(face, drawn, LARGEST, ((REACH, 1.0),))
    return double(smooth[:2] / (smooth[2:] + REST))


def wide_displacement(face: Tensor, drawn: Tensor) -> Tensor:
    """`shape_match.wide_displacement`."""
    smooth = _gathered(face, drawn, CROP, WIDE_REACH)
    return double(smooth[:2] / (smooth[2:] + 1e-6))


def _gathered(face: Tensor, drawn: Tensor, largest: float, reaches: tuple[tuple[float, float], ...]) -> Tensor:
    """(3, S / CELL, S / CELL): weighted sums of the landmarks' displacements, and of the weights."""
    size = CROP // CELL
    difference, cells = drawn - face, (face / CELL).floor().long()
    used = (difference.abs().amax(1) <= largest) & ((cells >= 0) & (cells < size)).all(1)
    place = (cells[:, 1] * size + cells[:, 0]).clamp(0, size * size - 1)
    values = F.pad(difference, (0, 1), value=1.0) * used[:, None]
    sums = values.new_zeros(size * size, 3).index_add(0, place, values).T.reshape(3, size, size)
    rows = [weight * gaussian(sums, reach / CELL, "constant") for reach, weight in reaches]
    return torch.stack(rows).sum(0)
