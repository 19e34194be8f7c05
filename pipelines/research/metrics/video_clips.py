"""The clips that the Frechet video distance looks at: 10 frames a second, 16 or 12 frames each, at 224x224."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
import torch

from ....models.arrays import Float32Array
from ....stream.frame import Pixels

if TYPE_CHECKING:
    from ....models.metrics.inception import I3D

RATE: Final = 10
LENGTHS: Final = (16, 12)
"""Frames of a clip: StyleGAN-V's protocol (fvd2048_16f) and VidStyleODE's."""

SIZE: Final = 224


@dataclass(frozen=True, slots=True)
class Ticks:
    """Which frames a video at `RATE` keeps: the first at or after each tenth of a second.

    Attributes:
        due: number of the next.
    """

    due: int = 0

    def step(self, seconds: float) -> tuple["Ticks", bool]:
        """For a frame `seconds` after the first one: (next state, whether it is kept)."""
        # A thousandth of slack, for timestamps that containers round to their own unit.
        tick = int((seconds + 1e-3) * RATE)
        return (Ticks(tick + 1), True) if tick >= self.due else (self, False)


@dataclass(slots=True)
class ClipBuffer:
    """Frames on their way into clips of `length`; clips do not overlap, and what is left at the end is dropped."""

    length: int
    frames: list[Pixels] = field(default_factory=list)

    def add(self, pixels: Pixels) -> Iterator[list[Pixels]]:
        """One more picture of any size; gives a clip when it is whole."""
        small = cast("Pixels", cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))
        self.frames.append(small)
        if len(self.frames) == self.length:
            yield self.frames
            self.frames = []


def clip_features(network: "I3D", clip: list[Pixels]) -> Float32Array:
    """(1, 400) float32 of one clip of (224, 224, 3) uint8 pictures."""
    x = torch.from_numpy(np.stack(clip)).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    features: Float32Array = network.features(x).numpy()
    return features
