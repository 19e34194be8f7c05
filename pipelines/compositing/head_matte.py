"""The head matte of a face: what each part of its crop shows, sharp at edges of the picture and steady over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.arrays import FloatImage, Mask, Pixels, Points
from ...models.faces.matte import HEAD, REGIONS, HeadMatte
from ..common.image_ops import to_bytes
from ..common.tensors import to_tensor
from ..tracking.align import CROP
from .composite import warp
from .foreign import foreign
from .shape_match import displacement

BORDER: Final = 12
"""Crop pixels over which a matte fades at the crop's border."""
SECONDS: Final = 0.1
"""Time constant of the average over time, where the picture does not change."""
FRONT: Final = (0.15, 0.35)
"""Share of the region `front` from which on a place is covered, not at all and wholly."""
FRONT_SECONDS: Final = 0.15
EDGE: Final = 4.0
"""How much steeper the hull's soft edge is where colours are judged: what changes a little is judged, too."""
LIPS: Final = 5
"""Cells by which the inside of a mouth is grown there."""
DRAWN_SECONDS: Final = 0.3
"""Time constant of the mattes of drawn faces."""
CHANGED: Final = 12.0
"""Of 255: a change of brightness from which on the matte of now counts alone."""
LEAST_CERTAIN: Final = 0.6
"""Share of the face's hull that must be head, or something in front, for a matte to be used."""
_RADIUS, _SMOOTH = 6, 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """What a crop shows; each (S, S) float32 in 0..1.

    Attributes:
        head: skin of the face, hair, ears, glasses and neck.
        hair: of them the hair.
    """

    head: Mask
    hair: Mask


@dataclass(frozen=True, slots=True, eq=False)
class SteadyMatte:
    """The matte of a frame's face over time.

    Attributes:
        matte: the average.
        front: (S, S) float32 in 0..1, things in front that are not the head's own.
        grey: (S, S) uint8, the crop that it is of.
        points: (N, 2) landmarks in crop pixels.
    """

    matte: Matte
    front: Mask
    grey: Pixels
    points: Points


def measure_mattes(
    network: HeadMatte, pictures: Sequence[FloatImage], face: tuple[Mask, Mask] | None = None
) -> tuple[list[Matte], Mask]:
    """(the mattes of (256, 256, 3) pictures in 0..255, what is in front in the first), in one pass of the network.

    The first picture is of the frame; in drawings nothing is in front. face: (S, S) in 0..1 each, the hull, where the
    second picture, the inversion, shows what of the first is `foreign`, and the inside of the mouth; None if there is
    no such picture.
    """
    shares = _shares(network, np.stack(pictures))
    mattes = [_matte(picture, own) for picture, own in zip(pictures, shares, strict=True)]
    return mattes, _front(shares[0], None if face is None else (pictures[0], pictures[1], *face))


def measure_front(network: HeadMatte, face: Pixels, drawn: FloatImage, hull: Mask, mouth: Mask) -> Mask:
    """(S, S) in 0..1: things in front of a face that are not its own.

    face: (256, 256, 3) uint8. drawn: (256, 256, 3), its inversion. hull, mouth: (S, S) in 0..1, of the face
    and of the inside of its mouth.
    """
    return _front(_shares(network, face[None])[0], (face, drawn, hull, mouth))


def _shares(network: HeadMatte, pictures: Pixels | FloatImage) -> Tensor:
    with torch.inference_mode():
        return network.regions(to_tensor(pictures).contiguous(memory_format=torch.channels_last))


def _matte(picture: FloatImage, shares: Tensor) -> Matte:
    parts = {name: shares[index].numpy() for index, name in enumerate(REGIONS)}
    head = _large(parts["neck"] + np.sum([parts[name] for name in HEAD], axis=0))
    both = np.stack([_sharp(head), _sharp(_large(parts["hair"]))], axis=2)
    fine = np.clip(guided_filter(grey_of(to_bytes(picture)).astype(np.float32), both), 0, 1)
    return Matte(fine[..., 0], fine[..., 1])


def follow_front(before: Mask | None, now: Mask, elapsed: float) -> Mask:
    """What is in front is there at once, and is let go over time: letters that flicker in the matte stay whole."""
    if before is None or elapsed < 0:
        return now
    return np.asarray(np.maximum(now, before * np.float32(np.exp(-elapsed / FRONT_SECONDS))), dtype=np.float32)


def _front(shares: Tensor, compared: tuple[Pixels | FloatImage, FloatImage, Mask, Mask] | None) -> Mask:
    low, high = FRONT
    share = shares[REGIONS.index("front")].numpy()
    if compared is not None:
        face, drawn, *masks = compared
        hull, mouth = (cv2.resize(mask, share.shape, interpolation=cv2.INTER_AREA) for mask in masks)
        own = np.asarray(np.minimum(1, EDGE * hull), np.float32)
        free = np.maximum(shares[REGIONS.index("hair")].numpy(), cv2.dilate(mouth, np.ones((LIPS, LIPS), np.uint8)))
        share = share + foreign(face, drawn, share, own, free)
    sure = np.clip((_large(share) - low) / (high - low), 0, 1)
    whole = cv2.morphologyEx(sure, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    grown = cv2.dilate(whole, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 1.0), dtype=np.float32)


def follow(
    before: SteadyMatte | None, now: Matte, front: Mask, face: Pixels, points: Points, elapsed: float
) -> SteadyMatte:
    """The average over time. The last one is moved along with the face's landmarks, and given up where the picture
    changes. face: (S, S, 3) uint8, the crop. points: (N, 2) in crop pixels.
    """
    grey = grey_of(face)
    if before is None or before.points.shape != points.shape or elapsed < 0:
        return SteadyMatte(now, front, grey, points)
    field = displacement(points, before.points)
    old = np.stack([before.grey.astype(np.float32), before.matte.head, before.matte.hair], axis=2)
    moved = warp(old, field)
    difference = cv2.blur(np.abs(moved[..., 0] - grey), (5, 5))
    kept = np.float32(np.exp(-elapsed / SECONDS)) * np.exp(-np.square(difference / CHANGED))
    head, hair = (
        new + kept * (last - new)
        for new, last in zip((now.head, now.hair), np.moveaxis(moved[..., 1:], 2, 0), strict=True)
    )
    return SteadyMatte(Matte(head, hair), follow_front(before.front, front, elapsed), grey, points)


def follow_drawn(before: tuple[Matte, Matte] | None, now: tuple[Matte, Matte], elapsed: float) -> tuple[Matte, Matte]:
    """The average over time of the mattes of the inversion and of the edit, which change slowly in the crop."""
    if before is None or elapsed < 0:
        return now
    share = np.float32(1 - np.exp(-elapsed / DRAWN_SECONDS))
    inversion, edit = (
        Matte(old.head + share * (new.head - old.head), old.hair + share * (new.hair - old.hair))
        for old, new in zip(before, now, strict=True)
    )
    return inversion, edit


def certain(steady: SteadyMatte, hull: Mask) -> bool:
    """Whether the matte finds a head, or something in front of it, where the landmarks see a face.

    hull: (S, S), the mask of the face's hull.
    """
    inside = hull > 0.5
    if not inside.any():
        return False
    found = np.maximum(steady.matte.head, steady.front)[inside].mean()
    return bool(found >= LEAST_CERTAIN)


def guided_filter(guide: Mask, mask: FloatImage, radius: int = _RADIUS, smooth: float = _SMOOTH) -> FloatImage:
    """Move a mask's edges onto those of a picture (He, Sun, Tang, "Guided Image Filtering", eq. 5, 6, 8).

    guide: (S, S) float32 in 0..255. mask: (S, S, C). radius: of the windows. smooth: variance of the guide below which
    it counts as flat.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    own = guide[..., None]
    means = cv2.blur(np.concatenate([own, own * own, mask, own * mask], axis=2), size)
    count = mask.shape[2]
    mean, variance = means[..., :1], means[..., 1:2] - means[..., :1] ** 2
    average = means[..., 2 : 2 + count]
    slope = (means[..., 2 + count :] - mean * average) / (variance + smooth)
    lines = cv2.blur(np.concatenate([slope, average - slope * mean], axis=2), size)
    return np.asarray(lines[..., :count] * own + lines[..., count:], dtype=np.float32)


def grey_of(picture: Pixels) -> Pixels:
    """(S, S, 3) uint8 -> (S, S) uint8."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@cache
def border_fade(width: int = BORDER) -> Mask:
    """(S, S): 1 inside, falling to 0 at the crop's border over `width` pixels."""
    distance = np.minimum(np.arange(CROP), np.arange(CROP)[::-1]).astype(np.float32)
    line = np.clip(distance / width, 0, 1)
    return np.asarray(np.minimum(line[:, None], line[None, :]), dtype=np.float32)


def _large(part: Mask) -> Mask:
    return np.asarray(cv2.resize(part, (CROP, CROP), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _sharp(part: Mask) -> Mask:
    # The parser hesitates over whole foreheads; what is more than half is there.
    return np.asarray(np.clip((part - 0.25) / 0.5, 0, 1), dtype=np.float32)
