"""One frame of a clip: background, body, the drawn head over them, and the light on all."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....models.arrays import ByteMask, Float64Array, FloatImage, Quad
from ....models.faces.patch import patch_to_frame
from ....stream.frame import Pixels
from ...common.image_ops import to_bytes
from ...tracking.align import unalign
from .mask import as_floats
from .paths import Drift, drift, random_of

STOPS, WARMTH = 0.35, 0.05
"""At a light of 1: how far exposure swings in stops, and red against blue as a share."""
GAMMA = 2.2

SHOULDERS = np.array(
    [[0.33, 0.80], [0.67, 0.80], [0.72, 0.91], [1.02, 1.01], [1.14, 1.15], [1.20, 1.50], [1.25, 4.00]]
)  # fmt: skip
"""The right half of the body's outline from the neck down, in sides of the drawing; x from its left, y from its top."""


@dataclass(frozen=True, eq=False)
class Light:
    """Exposure and white balance over time, as gains of the coded values.

    For a display that raises values to a power, a gain in linear light is a gain of the coded values.
    """

    exposure: Drift
    warmth: Drift
    amount: float

    def gains(self, seconds: float) -> Float64Array:
        """(3,) factors of red, green and blue at a time."""
        exposure = float(np.exp2(self.amount * STOPS * float(self.exposure(seconds)) / GAMMA))
        warmth = self.amount * WARMTH * float(self.warmth(seconds))
        return exposure * np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float64)


def make_light(seed: int, amount: float) -> Light:
    """The light of a clip; an amount of 0 is steady light."""
    random = random_of(seed, "light")
    return Light(drift(random, 0.25), drift(random, 0.15), amount)


def body_colour(drawing: Pixels, mask: ByteMask) -> Float64Array:
    """(3,) colour that the body goes on with: the mean of the person in the drawing's lower corners.

    That is clothes, or hair before them; between the corners is the neck.
    """
    side = drawing.shape[0]
    rows = slice(int(0.9 * side), None)
    weight = as_floats(mask, side)[rows].astype(np.float64)
    weight[:, int(0.3 * side) : int(0.7 * side)] *= 0.02
    if weight.sum() < 1:
        return np.asarray(drawing.reshape(-1, 3).mean(axis=0))
    return np.asarray((drawing[rows] * weight[..., None]).sum(axis=(0, 1)) / weight.sum())


def compose_scene(
    background: FloatImage, drawing: Pixels, mask: ByteMask, quad: Quad, body: Float64Array, gains: Float64Array
) -> Pixels:
    """(H, W, 3) uint8.

    background: (H, W, 3) float32 in 0..255. drawing: (S, S, 3). mask: (128, 128), over the drawing. quad: where the
    drawing's outer corners lie. body: colour of the shoulders. gains: (3,) of red, green and blue.
    """
    frame = _with_body(background, quad, body)
    size = (frame.shape[1], frame.shape[0])
    placed = unalign(as_floats(mask, drawing.shape[0]), quad, size, outside="zero")
    if placed.values.size:
        rows, columns = placed.window
        person = unalign(drawing.astype(np.float32), quad, size).values
        region = frame[rows, columns]
        frame[rows, columns] = region + (person - region) * placed.values[..., None]
    return to_bytes(frame * gains)


def _with_body(background: FloatImage, quad: Quad, colour: Float64Array) -> FloatImage:
    """The background with shoulders below the drawing, so that the head does not end in the air."""
    matrix = patch_to_frame(quad, 1)
    left = SHOULDERS[::-1] * [-1, 1] + [1, 0]
    outline = np.concatenate([SHOULDERS, left])
    points = (outline - 0.5) @ matrix[:, :2].T + matrix[:, 2]
    shift = 5
    alpha: FloatImage = np.zeros(background.shape[:2], np.float32)
    limit = 1 << 14  # far outside of any frame, and inside of what fixed-point coordinates hold
    fixed = np.rint(np.clip(points, -limit, limit) * (1 << shift)).astype(np.int32)
    cv2.fillPoly(alpha, [fixed], 1.0, cv2.LINE_AA, shift)
    side = float(np.hypot(*(quad[3] - quad[0])))
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.5, 0.02 * side))
    return np.asarray(background + (colour.astype(np.float32) - background) * soft[..., None], dtype=np.float32)
