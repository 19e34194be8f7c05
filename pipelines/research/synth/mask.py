"""Which part of a drawing is the person: what is laid over the background, and how softly."""

from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import ByteMask
from ....models.faces.bisenet import CLASSES, BiSeNet

SIDE: Final = 128
"""Masks are this many pixels high and wide over the whole drawing, whatever the drawing's size."""

OPAQUE, CLEAR = 0.80, 0.45
"""Probability of a person from which a pixel is all person, and up to which it is none. Clear lies high, so that no
fringe of the drawing's own background comes along."""
BORDER: Final = 0.05  # share of the side over which the person fades towards the drawing's sides and bottom
DOME_FOOT, DOME_POWER = 0.6, 2.6
"""Height, as a share from the top, at which the dome over the head begins, and how square it is (2 is round)."""


class Cutter(Protocol):
    """Finds the person in a drawing. The same drawing gives the same mask."""

    def __call__(self, image: Tensor) -> ByteMask:
        """image: (1, 3, S, S), RGB in [-1, 1] -> (128, 128) uint8, 255 where all is person."""
        ...


class ParserCutter:
    """Head, neck and clothes by the face parser's own certainty, which is smooth over space and time.

    Its answer changes little from frame to frame, since the drawings do, so a mask for each frame stays steady; one
    mask for a whole clip would cut ears and hair off a head that turns.
    """

    def __init__(self, parser: BiSeNet, size: int = 512) -> None:
        self._parser = parser
        self._size = size

    def __call__(self, image: Tensor) -> ByteMask:
        with torch.inference_mode():
            if image.shape[-1] != self._size:
                image = F.interpolate(image, (self._size, self._size), mode="bilinear", antialias=True)
            logits = F.interpolate(self._parser(image), (SIDE, SIDE), mode="bilinear", align_corners=True)
            person = 1 - logits.softmax(dim=1)[0, CLASSES.index("background")]
        share = ((person - CLEAR) / (OPAQUE - CLEAR)).clamp(0, 1).numpy().astype(np.float64)
        return _bytes(_smooth(share) * _border())


class OvalCutter:
    """An oval with a soft edge, the same for every drawing; needs no network."""

    def __call__(self, image: Tensor) -> ByteMask:
        y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
        away = np.hypot((x - 0.5) / 0.44, (y - 0.54) / 0.52)
        return _bytes(_smooth(np.clip((1.0 - away) / 0.2, 0, 1)) * _border())


def as_floats(mask: ByteMask, size: int) -> npt.NDArray[np.float32]:
    """(128, 128) uint8 -> (size, size) float32 in 0..1, as it is laid over a drawing of that size."""
    return np.asarray(cv2.resize(mask.astype(np.float32) / 255, (size, size), interpolation=cv2.INTER_LINEAR))


def _border() -> npt.NDArray[np.float64]:
    """(128, 128): 1 inside, 0 at the sides, beyond a dome above and at the bottom, where the body goes on.

    Long hair and wide clothes reach the drawing's edge; a dome ends them as a head of hair would end.
    """
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
    across, up = np.abs(x - 0.5) / 0.5, np.maximum(0, DOME_FOOT - y) / DOME_FOOT
    away = (across**DOME_POWER + up**DOME_POWER) ** (1 / DOME_POWER)
    bottom = _smooth(np.clip((1 - y) / BORDER, 0, 1))
    return np.asarray(_smooth(np.clip((1 - away) / (2 * BORDER), 0, 1)) * bottom)


def _smooth(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return share * share * (3 - 2 * share)


def _bytes(mask: npt.NDArray[np.float64]) -> ByteMask:
    return np.rint(255 * mask).astype(np.uint8)
