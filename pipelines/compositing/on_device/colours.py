"""Colours on a device: BT.601 luma and differences, the match of a drawing to its frame, the change of hair."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ..colour_match import LARGEST_GAIN, LARGEST_SATURATION, LARGEST_TURN, TO_LUMA
from ..hair_colour import BLUEST, LEAST_HAIR
from ..hair_colour import SECONDS as HAIR_SECONDS
from .filters import half

FROM_LUMA: Final = np.linalg.inv(TO_LUMA)
_FORTH, _BACK = TO_LUMA.tolist(), FROM_LUMA.tolist()
COLOUR_SECONDS: Final = 0.5


def mixed(rows: list[list[float]], picture: Tensor) -> Tensor:
    """(3, ...) channels combined by numbers of the host, which need no upload."""
    red, green, blue = picture.unbind()
    return torch.stack([a * red + b * green + c * blue for a, b, c in rows])


def to_luma(picture: Tensor) -> Tensor:
    """(3, ...) RGB -> luma and the two colour differences."""
    return mixed(_FORTH, picture)


def from_luma(picture: Tensor) -> Tensor:
    """The inverse of `to_luma`."""
    return mixed(_BACK, picture)


def grey(picture: Tensor) -> Tensor:
    """cv2.cvtColor to grey: (3, S, S) in 0..255 -> (S, S), whole numbers."""
    red, green, blue = picture.unbind()
    return (0.299 * red + 0.587 * green + 0.114 * blue).round()


def measure_match(face: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """`colour_match.measure`: (3,) gain of luma, then the complex factor of the colour differences."""
    weight = mask / mask.sum().clamp_min(1e-6)
    own, other = (to_luma((picture * weight).sum((1, 2))) for picture in (face, drawn))
    gain = ((own[0] + 1) / (other[0] + 1)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    # here times the conjugate of there, in parts
    real = own[1] * other[1] + own[2] * other[2] + 4.0
    imaginary = own[2] * other[1] - own[1] * other[2]
    scale = other[1].square() + other[2].square() + 4.0
    size = (torch.hypot(real, imaginary) / scale).clamp(0.2, LARGEST_SATURATION)
    angle = torch.atan2(imaginary, real).clamp(-LARGEST_TURN, LARGEST_TURN)
    return torch.stack([gain, size * angle.cos(), size * angle.sin()])


def apply_match(match: Tensor, picture: Tensor) -> Tensor:
    """(3, S, S) in 0..255 -> the same in the frame's colours."""
    luma, blue, red = to_luma(picture).unbind()
    gain, cos, sin = match.unbind()
    return from_luma(torch.stack([gain * luma, cos * blue - sin * red, sin * blue + cos * red]))


@dataclass(frozen=True, slots=True, eq=False)
class DeviceHair:
    """`hair_colour.HairChange` on a device.

    Attributes:
        values: (4, 3), shift, gain, mean and lack.
        known: () 1 where enough hair was drawn, 0 before; then it changes nothing.
    """

    values: Tensor
    known: Tensor

    def apply(self, picture: Tensor) -> Tensor:
        """(3, S, S) -> what the edit adds to it, were it hair."""
        shift, gain, mean, _ = self.values.unbind()
        luma = to_luma(picture)
        changed = from_luma((gain - 1)[:, None, None] * (luma - mean[:, None, None]) + shift[:, None, None])
        return ((picture + changed).clamp(0, 255) - picture) * self.known

    def match(self, drawn: Tensor, hair: Tensor) -> Tensor:
        """A drawing with its hair moved by what the inversion's lacks to the frame's. hair: (S, S)."""
        return drawn + hair * (from_luma(self.values[3]) * self.known)[:, None, None]

    def size(self) -> Tensor:
        """() largest change of luma or colour."""
        return self.values[0].abs().amax() * self.known


def measure_hair(
    face: Tensor, drawn: Tensor, edited: Tensor, hair: Tensor, drawn_hair: Tensor, edited_hair: Tensor
) -> DeviceHair:
    """`hair_colour.measure`."""
    both = (drawn_hair * edited_hair).square()
    known = ((both.sum() >= LEAST_HAIR) & (hair.sum() >= LEAST_HAIR)).float()
    own, _ = _statistics(face, hair.square())
    before, spread = _statistics(drawn, both)
    after, wanted = _statistics(edited, both)
    shift = after - before
    luma = torch.minimum(torch.maximum(shift[0], 8 - own[0]), 235 - own[0])
    blue = torch.minimum(shift[1], own[1].clamp_min(BLUEST) - own[1])
    gain = ((wanted + 2) / (spread + 2)).clamp(0.6, 1.5)
    lack = (own - before).clamp(-50, 50)
    return DeviceHair(torch.stack([torch.stack([luma, blue, shift[2]]), gain, own, lack]), known)


def follow_hair(before: DeviceHair | None, now: DeviceHair, elapsed: float) -> DeviceHair:
    """`hair_colour.follow`."""
    if before is None:
        return now
    share = 1 - math.exp(-max(0.0, elapsed) / HAIR_SECONDS)
    both = before.values + share * (now.values - before.values)
    values = torch.where(before.known * now.known > 0, both, torch.where(now.known > 0, now.values, before.values))
    return DeviceHair(values, torch.maximum(before.known, now.known))


def _statistics(picture: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of luma and colour differences, (3,) each."""
    small, share = to_luma(half(picture)).flatten(1), half(weight[None]).flatten(1)
    total = share.sum().clamp_min(1e-6)
    mean = (share * small).sum(1) / total
    return mean, ((share * (small - mean[:, None]).square()).sum(1) / total).sqrt()
