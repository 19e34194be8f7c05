"""The layers of a face on a device, and how they are composited into its frame: `composite.py` and `head.py`."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import Quad
from ...tracking.align import CROP, frame_to_patch
from ..composite import LARGE_CHANGE, MOTION_SECONDS, TOLERANCE
from ..head import BARED, BARED_MARGIN, BOTTOM, FEW_MISSING, NECK, OUTLINE, TURNED_BORDER
from ..head_matte import BORDER
from .colours import grey
from .filters import dilate, gaussian, resize
from .flow import flow
from .sampling import fixed_window, places, sample, unalign, warp, warp_mask

LEAST: Final = 1 / 512
"""Below this share of a mask no byte of the frame changes."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceLayers:
    """`composite.Layers` on a device, channels first: change (3, D, D), keep (S, S), flow (2, S, S), mask (S, S).

    D is the size of the drawings, S or larger.

    Attributes:
        bared, background: (S, S) and (3, S, S); None inside the hull and for hair.
    """

    change: Tensor
    keep: Tensor
    flow: Tensor
    mask: Tensor
    bared: Tensor | None = None
    background: Tensor | None = None

    def fading(self, weight: float) -> "DeviceLayers":
        """The layers of a face that is faded in by `weight`, 0..1."""
        if weight >= 1:
            return self
        return replace(self, mask=self.mask * weight, bared=None if self.bared is None else self.bared * weight)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMotion:
    """`composite.Motion` on a device: flow (2, S, S), keep and agree (S, S), turn ()."""

    flow: Tensor
    keep: Tensor
    agree: Tensor
    turn: Tensor


def measure_motion(
    inversion: Tensor, edited: Tensor, guess: tuple[Tensor, Tensor] | None = None, turn: Tensor | None = None
) -> DeviceMotion:
    """`composite.measure_motion`. inversion, edited: (3, S, S) in 0..255."""
    first, second = (grey(picture.round().clamp(0, 255)) for picture in (edited, inversion))
    there = None if guess is None else torch.stack(guess)
    forward, backward = gaussian(flow(torch.stack([first, second]), torch.stack([second, first]), there), 2.0)
    error = forward + warp(backward, forward)
    agree = (-error.square().sum(0) / (2 * TOLERANCE**2)).exp()
    difference = gaussian(edited - warp(inversion, forward), 1.5)
    alike = (-difference.square().mean(0) / (2 * LARGE_CHANGE**2)).exp()
    return DeviceMotion(forward, gaussian(agree * alike, 2.0), agree, agree.new_zeros(()) if turn is None else turn)


def follow_motion(before: DeviceMotion | None, now: DeviceMotion, elapsed: float) -> DeviceMotion:
    """`composite.follow`."""
    if before is None:
        return now
    share = 1 - math.exp(-max(0.0, elapsed) / MOTION_SECONDS)
    pairs = ((before.flow, now.flow), (before.keep, now.keep), (before.agree, now.agree), (before.turn, now.turn))
    return DeviceMotion(*(torch.lerp(old, new, share) for old, new in pairs))


def detail_layers(inversion: Tensor, edited: Tensor, mask: Tensor, motion: DeviceMotion) -> DeviceLayers:
    """`composite.detail_layers`."""
    forward = motion.flow * mask
    return DeviceLayers(edited - motion.keep * warp(inversion, forward), motion.keep, forward, mask)


def replace_layers(edited: Tensor, mask: Tensor) -> DeviceLayers:
    """`composite.replace_layers`."""
    return DeviceLayers(edited, torch.zeros_like(mask), torch.zeros_like(edited[:2]), mask)


def keep_source(layers: DeviceLayers, own: Tensor) -> DeviceLayers:
    """`composite.keep_source`. own: (S, S)."""
    moved = warp_mask(own, layers.flow)
    change = layers.change * (1 - resize(moved[None], layers.change.shape[-1]))
    return replace(layers, change=change, keep=layers.keep + (1 - layers.keep) * moved)


def sharpened(layers: DeviceLayers, edited: Tensor) -> DeviceLayers:
    """`composite.sharpened`. edited: (3, D, D)."""
    side, size = edited.shape[-1], layers.change.shape[-1]
    if side == size:
        return layers
    fine = edited - resize(resize(edited, size), side)
    return replace(layers, change=resize(layers.change, side) + (1 - resize(layers.keep[None], side)) * fine)


def larger(field: Tensor, side: int) -> Tensor:
    """A field of motion, (2, S, S), for a drawing of another side and in its pixels."""
    return field if side == field.shape[-1] else resize(field, side) * (side / field.shape[-1])


def head_layers(
    inversion: Tensor, edited: Tensor, motion: DeviceMotion, mattes: tuple[Tensor, Tensor, Tensor],
    background: Tensor, front: Tensor, *, chin: Tensor, replace: bool = False,
) -> DeviceLayers:  # fmt: skip
    """`head.head_layers`. mattes: (S, S) each, of the heads of frame, inversion and edit. chin: () row."""
    face, drawn, moved = mattes
    keep, outline = motion.keep, moved
    if replace:
        keep = torch.zeros_like(keep)
    else:
        outline = edited_outline(face, drawn, moved, motion)
    rows = torch.arange(CROP, device=edited.device, dtype=torch.float32)
    shown = (1 - front) * border_fade(rows, BORDER + motion.turn * (TURNED_BORDER - BORDER))
    below = ((rows - chin) / NECK).clamp(0, 1)[:, None]
    lowest = ((CROP - 4 - rows) / BOTTOM).clamp(0, 1)[:, None]
    shown = shown * (1 - motion.turn * below) * lowest
    change = edited - keep * warp(inversion, motion.flow)
    bared = bared_area(face, outline, motion.turn) * shown
    return DeviceLayers(change, keep, motion.flow, outline * shown, bared, background)


def edited_outline(face: Tensor, drawn: Tensor, edited: Tensor, motion: DeviceMotion) -> Tensor:
    """`head.edited_outline`."""
    before = warp_mask(drawn, motion.flow)
    same = (1 - motion.turn * (1 - motion.agree)) * (-(edited - before).square() / (2 * OUTLINE**2)).exp()
    return (edited + gaussian(same, 1.0) * (warp_mask(face, motion.flow) - before)).clamp(0, 1)


def bared_area(face: Tensor, outline: Tensor, turn: Tensor) -> Tensor:
    """`head.bared_area`."""
    low, high = BARED
    gone = ((face - outline - low) / (high - low)).clamp(0, 1)
    few, many = FEW_MISSING
    share = gone.sum() / face.sum().clamp_min(1.0)
    gone = gone * torch.maximum(turn, ((share - few) / (many - few)).clamp(0, 1))
    near = dilate((face > 0.1).float(), 7, ellipse=False)
    return gaussian(dilate(gone, BARED_MARGIN), 2.0) * near * (gone.amax() >= 0.05)


def border_fade(rows: Tensor, width: Tensor | float) -> Tensor:
    """`head_matte.border_fade`. rows: 0, 1, ... CROP - 1. width: rounded to whole pixels."""
    whole = width.round() if isinstance(width, Tensor) else round(width)
    line = (torch.minimum(rows, CROP - 1 - rows) / whole).clamp(0, 1)
    return torch.minimum(line[:, None], line[None])


def hair_layers(change: Tensor, hair: Tensor, shown: Tensor) -> DeviceLayers:
    """`head.hair_layers`."""
    mask = ((hair - 0.3) / 0.6).clamp(0, 1) * shown
    return DeviceLayers(change, torch.ones_like(hair), torch.zeros_like(change[:2]), mask)


def between(first: DeviceLayers | None, second: DeviceLayers | None, share: float) -> DeviceLayers | None:
    """`reproject.between` of one kind of layers. share: 0..1, how far the frame lies from the first to the second."""
    if first is None or second is None:
        if (only := second if first is None else first) is None:
            return None
        return only.fading(share if first is None else 1 - share)
    mask = torch.lerp(first.mask, second.mask, share)
    weight = second.mask * share / mask.clamp_min(1e-6)
    side = max(one.change.shape[-1] for one in (first, second))
    change = torch.lerp(resize(first.change, side), resize(second.change, side), resize(weight[None], side))
    flow, keep = torch.lerp(first.flow, second.flow, weight), torch.lerp(first.keep, second.keep, weight)
    bared, behind = second.bared, second.background
    if first.bared is not None and bared is not None and first.background is not None and behind is not None:
        bared, behind = torch.lerp(first.bared, bared, share), torch.lerp(first.background, behind, share)
    elif first.bared is not None:
        bared, behind = first.bared * (1 - share), first.background
    elif bared is not None:
        bared = bared * share
    return DeviceLayers(change, keep, flow, mask, bared, behind)


def moved_layers(layers: DeviceLayers, field: Tensor) -> DeviceLayers:
    """The layers moved by a field, (2, S, S), as `reproject` does it."""
    kept = warp(torch.cat([layers.keep[None], layers.flow, layers.mask[None]]), field)
    change = warp(layers.change, larger(field, layers.change.shape[-1]))
    bared = None if layers.bared is None else warp_mask(layers.bared, field)
    return DeviceLayers(change, kept[0], kept[1:3], kept[3], bared, layers.background)


def compose(frame: Tensor, quad: Quad, layers: DeviceLayers) -> Tensor:
    """`composite.compose`: the frame (3, H, W) uint8 with one face's layers; outside the mask no byte changes."""
    size = (frame.shape[2], frame.shape[1])
    place = fixed_window(quad, size)
    left, top, width, height = place
    region = frame[:, top : top + height, left : left + width]
    pixels = region.float()
    zero = [layers.mask] if layers.bared is None else [layers.mask, layers.bared]
    masks = unalign(torch.stack(zero), quad, place, outside="zero")
    used, under = masks[:1] > LEAST, pixels
    if layers.background is not None:
        under = pixels + (unalign(layers.background, quad, place) - pixels) * masks[1:]
        used = used | (masks[1:] > LEAST)
    change = unalign(layers.change, quad, place)
    placed = unalign(torch.cat([layers.keep[None], layers.flow]), quad, place)
    keep, across, down = placed[:1], placed[1], placed[2]
    (a, b), (c, d) = np.linalg.inv(frame_to_patch(quad, CROP, (0, 0))[:, :2]).tolist()
    x, y = places(torch.stack([across * a + down * b, across * c + down * d]))
    moved = sample(frame.float(), x + left, y + top, cubic=True).round().clamp(0, 255)
    blended = under + (moved * keep + change - under) * masks[:1]
    result = torch.where(used, blended.round().clamp(0, 255), pixels).to(torch.uint8)
    out = frame.clone()
    out[:, top : top + height, left : left + width] = result
    return out
