"""What an edit does to the colour of hair, as a map that is applied to the hair of the frame itself.

The drawn hair has other strands than the frame's. Its *change* of colour is taken from the drawing, and the strands
stay the person's own. The same map reaches hair that no drawing covers, in and beyond the aligned crop.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from ...models.arrays import Float64Array, FloatImage, Mask
from ..tracking.align import CROP
from .colour_match import TO_LUMA
from .head_matte import border_fade

WIDE: Final = 1.6
"""Side of the crop in which hair beyond the aligned one is found, over that of the aligned one."""
SECONDS: Final = 0.6
LEAST_HAIR: Final = 150.0
"""Crop pixels of hair in both drawings, below which nothing is known of its change."""
BLUEST: Final = 2.0
"""Of 255: hair that people have is not bluer than grey, whatever a long move of the codes draws."""
FROM_LUMA: Final = np.linalg.inv(TO_LUMA)


@dataclass(frozen=True, slots=True, eq=False)
class HairChange:
    """A map of colours: x + shift + (gain - 1) (x - mean), in luma and the two colour differences of BT.601.

    Attributes:
        shift: (3,) what the edit adds.
        gain: (3,) what it does to contrast; 0.6 to 1.5.
        mean: (3,) of the frame's hair.
        lack: (3,) what the inversion's hair lacks to the frame's.
    """

    shift: Float64Array
    gain: Float64Array
    mean: Float64Array
    lack: Float64Array

    def apply(self, picture: FloatImage) -> FloatImage:
        """(S, S, 3) float32 in 0..255 -> what the edit adds to it, were it hair: (S, S, 3) float32."""
        matrix = FROM_LUMA @ np.diag(self.gain - 1) @ TO_LUMA
        constant = FROM_LUMA @ (self.shift - (self.gain - 1) * self.mean)
        changed = picture @ matrix.T.astype(np.float32) + constant.astype(np.float32)
        return np.asarray(np.clip(picture + changed, 0, 255) - picture, dtype=np.float32)


def measure(
    face: FloatImage, drawn: FloatImage, edited: FloatImage, hair: Mask, drawn_hair: Mask, edited_hair: Mask
) -> HairChange | None:
    """The change of hair from `drawn` to `edited`; None where too little hair is drawn. Pictures: (S, S, 3) float32."""
    both = np.square(drawn_hair * edited_hair)
    if both.sum() < LEAST_HAIR or hair.sum() < LEAST_HAIR:
        return None
    own, _ = _statistics(face, np.square(hair))
    before, spread = _statistics(drawn, both)
    after, wanted = _statistics(edited, both)
    shift = after - before
    shift[1] = min(shift[1], max(BLUEST, own[1]) - own[1])
    shift[0] = np.clip(shift[0], 8 - own[0], 235 - own[0])
    gain = np.clip((wanted + 2) / (spread + 2), 0.6, 1.5)
    return HairChange(shift, gain, own, np.clip(own - before, -50, 50))


def match(
    change: HairChange | None, drawn: FloatImage, edited: FloatImage, drawn_hair: Mask, edited_hair: Mask
) -> tuple[FloatImage, FloatImage]:
    """Both drawings with their hair moved by what the inversion's lacks to the frame's.

    Where the frame's own hair is carried along, this changes nothing; where hair is drawn anew, it fits the rest.
    """
    if change is None:
        return drawn, edited
    lack = (FROM_LUMA @ change.lack).astype(np.float32)
    return drawn + drawn_hair[..., None] * lack, edited + edited_hair[..., None] * lack


def follow(before: HairChange | None, now: HairChange | None, elapsed: float) -> HairChange | None:
    """An exponential average over time; the last one where nothing is known now."""
    if before is None or now is None:
        return now if before is None else before
    return between(before, now, float(1 - np.exp(-max(0.0, elapsed) / SECONDS)))


def between(first: HairChange, second: HairChange, share: float) -> HairChange:
    """The change on the way from one to another; share: 0..1, how far."""
    return HairChange(*(old + share * (new - old) for old, new in zip(_fields(first), _fields(second), strict=True)))


@cache
def outside_of_crop() -> Mask:
    """(S, S) in 0..1, in the wider crop: 0 where the aligned crop's own matte counts, 1 outside of it."""
    size = round(CROP / WIDE)
    inner = cv2.resize(border_fade(), (size, size), interpolation=cv2.INTER_AREA)
    mask = np.ones((CROP, CROP), np.float32)
    first = (CROP - size) // 2
    mask[first : first + size, first : first + size] = 1 - inner
    return mask


def _fields(change: HairChange) -> tuple[Float64Array, ...]:
    return change.shift, change.gain, change.mean, change.lack


def _statistics(picture: FloatImage, weight: Mask) -> tuple[Float64Array, Float64Array]:
    """Mean and standard deviation of luma and colour differences, (3,) each."""
    small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA).reshape(-1, 3) @ TO_LUMA.T
    share = cv2.resize(weight, (128, 128), interpolation=cv2.INTER_AREA).reshape(-1, 1)
    total = max(1e-6, float(share.sum()))
    mean = (share * small).sum(axis=0) / total
    spread = np.sqrt((share * np.square(small - mean)).sum(axis=0) / total)
    return np.asarray(mean, np.float64), np.asarray(spread, np.float64)
