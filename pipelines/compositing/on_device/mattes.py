"""The head matte on a device: `head_matte.py` and `shape_match.py` in torch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.faces.matte import HEAD, REGIONS, HeadMatte
from ...tracking.align import CROP
from ..foreign import BESIDE, FAR, FREEDOM, MOST, NEAR, NEXT_TO_FRONT, SEARCH, SURE, TO_PLANES, WORST
from ..head_matte import (
    _RADIUS,
    _SMOOTH,
    CHANGED,
    DRAWN_SECONDS,
    EDGE,
    FRONT,
    FRONT_SECONDS,
    LEAST_CERTAIN,
    LIPS,
    SECONDS,
)
from ..shape_match import CELL, LARGEST, REACH, REST, WIDE_REACH
from .colours import grey
from .filters import box, close, dilate, double, gaussian, guided, half
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


def measure_mattes(
    network: HeadMatte, pictures: Tensor, hull: Tensor | None = None, mouth: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """((B, 2, S, S) mattes of (B, 3, S, S) pictures, (S, S) what is in front in the first), in one pass.

    hull, mouth: (S, S), of the face, where the second picture is its inversion.
    """
    shares = network.regions(pictures.div(127.5).sub(1).contiguous(memory_format=torch.channels_last))
    head = torch.stack([shares[:, REGIONS.index(name)] for name in (*HEAD, "neck")]).sum(0)
    hair = shares[:, REGIONS.index("hair")]
    sharp = ((double(torch.stack([head, hair], 1).flatten(0, 1)) - 0.25) / 0.5).clamp(0, 1).unflatten(0, (-1, 2))
    fine = [
        guided(grey(picture.round().clamp(0, 255)), own, _RADIUS, _SMOOTH).clamp(0, 1)
        for picture, own in zip(pictures, sharp, strict=True)
    ]
    if hull is None or mouth is None:
        return torch.stack(fine), in_front(shares[0])
    return torch.stack(fine), in_front(shares[0], foreign(pictures[0], pictures[1], shares[0], hull, mouth))


def measure_front(network: HeadMatte, face: Tensor, drawn: Tensor, hull: Tensor, mouth: Tensor) -> Tensor:
    """`head_matte.measure_front`. face, drawn: (3, S, S). hull, mouth: (S, S)."""
    shares = network.regions(face[None].div(127.5).sub(1).contiguous(memory_format=torch.channels_last))[0]
    return in_front(shares, foreign(face, drawn, shares, hull, mouth))


def foreign(face: Tensor, drawn: Tensor, shares: Tensor, hull: Tensor, mouth: Tensor) -> Tensor:
    """(S / 2, S / 2): `foreign.foreign` with the masks that `head_matte` gives it. shares: (8, S / 2, S / 2)."""
    smaller = half(torch.stack([hull, mouth]))
    own = (EDGE * smaller[0]).clamp(max=1)
    free = torch.maximum(shares[REGIONS.index("hair")], dilate(smaller[1], LIPS, ellipse=False))
    first, second = (_planes(half(picture.clamp(0, 255))) for picture in (face, drawn))
    around, cells = F.pad(second[None], (SEARCH,) * 4, mode="replicate")[0], first.shape[-1]
    places = [(top, left) for top in range(0, 2 * SEARCH + 1, 2) for left in range(0, 2 * SEARCH + 1, 2)]
    there = torch.stack([around[:, top : top + cells, left : left + cells] for top, left in places])
    nearest = (there - first).abs().sum(1).clamp(max=255).amin(0)
    apart = nearest * (own > 0) - FREEDOM * free
    sure = ((apart - NEAR) / FAR).clamp(0, MOST) * own
    low, high = SURE
    share = shares[REGIONS.index("front")]
    beside = ((dilate(share + sure, BESIDE) - low) / (high - low)).clamp(0, 1)
    more = (2 * (apart - NEXT_TO_FRONT) / FAR).clamp(0, MOST) * own
    unfit = (sure > MOST / 2).sum() > WORST * (own > 0.5).sum()
    return torch.maximum(sure, more * beside).masked_fill(unfit, 0)


def _planes(small: Tensor) -> Tensor:
    planes = [small[0] * red + small[1] * green + small[2] * blue + more for red, green, blue, more in TO_PLANES]
    return torch.stack(planes).clamp(0, 255).round()


def in_front(shares: Tensor, more: Tensor | float = 0.0) -> Tensor:
    """(S, S): what is in front of a head. shares: (8, S / 2, S / 2) of one picture. more: (S / 2, S / 2), see
    `foreign`.
    """
    low, high = FRONT
    share = shares[REGIONS.index("front")] + more
    sure = ((double(share[None])[0] - low) / (high - low)).clamp(0, 1)
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
