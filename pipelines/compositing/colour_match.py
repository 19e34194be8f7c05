"""Colour matching of generated faces to the frame, smoothed over time."""

from dataclasses import dataclass

import numpy as np

from ...models.arrays import FloatImage

# Luma and the two colour differences of BT.601, the space that the generator's colours are coded in.
TO_LUMA = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
LARGEST_GAIN = 1.7
LARGEST_SATURATION = 1.6
LARGEST_TURN = 0.6


@dataclass(frozen=True, slots=True)
class ColourMatch:
    """A linear map of colours.

    It scales luma by one factor, and rotates and scales the two colour differences by a complex one. Skin then matches
    the frame's, and grey stays grey. With a gain and a shift for each channel, teeth turned green in a graded clip
    where lips opened.

    Attributes:
        matrix: (3, 3) float32, RGB in 0..255 to the same.
    """

    matrix: FloatImage

    def apply(self, picture: FloatImage) -> FloatImage:
        """(S, S, 3) float32 in 0..255 -> the same, matched."""
        return np.asarray(picture @ self.matrix.T, dtype=np.float32)


def measure(face: FloatImage, drawn: FloatImage, mask: FloatImage) -> ColourMatch:
    """The map that gives `drawn` the mean of `face` inside the mask. Pictures: (S, S, 3), mask: (S, S), all float32.

    Luma changes by a factor of at most 1.7, saturation by at most 1.6, hue by at most 0.6 radians. This limits the
    damage of a failed inversion.
    """
    weight = mask / max(1e-6, float(mask.sum()))
    (luma_face, *difference_face), (luma_drawn, *difference_drawn) = (
        TO_LUMA @ np.einsum("hw,hwc->c", weight, picture) for picture in (face, drawn)
    )
    gain = np.clip((luma_face + 1.0) / (luma_drawn + 1.0), 1 / LARGEST_GAIN, LARGEST_GAIN)
    here, there = complex(*difference_face), complex(*difference_drawn)
    # Nearly grey skin says nothing about hue: both sides gain a little of the same colour.
    turn = (here * there.conjugate() + 4.0) / (abs(there) ** 2 + 4.0)
    size = np.clip(abs(turn), 0.2, LARGEST_SATURATION)
    angle = np.clip(np.angle(turn), -LARGEST_TURN, LARGEST_TURN)
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    scaled = np.array([[gain, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return ColourMatch((np.linalg.inv(TO_LUMA) @ scaled @ TO_LUMA).astype(np.float32))


def follow(before: ColourMatch | None, now: ColourMatch, elapsed: float, seconds: float = 0.5) -> ColourMatch:
    """An exponential average over `seconds`, so that colours do not flicker with the inversion."""
    if before is None:
        return now
    share = float(1 - np.exp(-max(0.0, elapsed) / seconds))
    return ColourMatch(before.matrix + (now.matrix - before.matrix) * np.float32(share))
