"""Occlusion of a face, from the change of its colours at the landmarks.

A landmark network places the whole face with full confidence behind a hand, so its presence score does not show
an occlusion. The skin under each landmark keeps its colour relative to the rest of the face in any light. Where
the relative colour changes, something hides the face.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ...models.faces.faces import POINTS, Face, Layout
from ...models.faces.mesh import OVAL
from ...stream.frame import Pixels

CHANGED: Final = 0.25
"""Mean absolute change of the three log colours from which a point counts as hidden: about 28 %."""
LEARN_SECONDS: Final = 1.0
LEARN_HIDDEN_SECONDS: Final = 10.0
"""Time constants with which the stored colour follows a visible point, and a hidden one. The second is long but
finite, so that a lasting change (make-up, a new light from the side) is accepted in the end."""

EYES: Final = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 263, 249, 390, 373, 374, 380, 381,
    382, 362, 398, 384, 385, 386, 387, 388, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)  # fmt: skip
INNER_LIPS: Final = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip

SPREAD: Final = (
    0, 4, 9, 23, 29, 66, 68, 83, 89, 108, 118, 124, 138, 142, 151, 168, 170, 174, 175, 177, 186, 205, 208, 210, 221,
    227, 240, 253, 259, 287, 296, 298, 299, 346, 353, 367, 371, 391, 395, 399, 401, 404, 414, 421, 425, 430, 438,
    447,
)  # fmt: skip
"""48 mesh points spread evenly over the face. The mesh is dense around the mouth; the median over all of it would
become the hand's own colour where a hand covers the mouth."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceColours:
    """Stored colours of a face: (N, 3) log colours relative to the face's median, and the time of the last sight."""

    means: npt.NDArray[np.float64]
    seconds: float


@cache
def judged(layout: Layout) -> npt.NDArray[np.intp]:
    """Landmarks whose colour should not change: not the eyes, which blink, nor the inner lips and the outline."""
    moving = {
        "dlib-68": {*range(17), *range(36, 48), *range(60, 68)},
        "mesh-478": {*EYES, *INNER_LIPS, *OVAL},
    }
    skipped = moving[layout]
    return np.array([point for point in range(POINTS[layout]) if point not in skipped], dtype=np.intp)


def sample_colours(pixels: Pixels, face: Face) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(n, 3) log colours at the judged points minus the median, and (n,) whether each is inside the frame.

    Each is the mean of the 5x5 pixels (for a face 200 pixels wide; more for a larger one) around the point.
    """
    height, width = pixels.shape[:2]
    points = face.landmarks[judged(face.layout), :2]
    inside = np.asarray(((points >= 0) & (points <= (width - 1, height - 1))).all(axis=1), dtype=np.bool_)
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    reach = max(1, round(float(high[0] - low[0]) / 100))
    left, top = (int(np.clip(low[axis] - reach - 1, 0, limit - 1)) for axis, limit in ((0, width), (1, height)))
    right, bottom = (int(np.clip(high[axis] + reach + 2, 1, limit)) for axis, limit in ((0, width), (1, height)))
    patch = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    soft = cv2.blur(patch, (2 * reach + 1, 2 * reach + 1))
    column = np.clip(np.rint(points[:, 0]) - left, 0, patch.shape[1] - 1).astype(np.intp)
    row = np.clip(np.rint(points[:, 1]) - top, 0, patch.shape[0] - 1).astype(np.intp)
    colours = np.log(soft[row, column].astype(np.float64) + 8)
    spread = inside & np.isin(judged(face.layout), SPREAD) if face.layout == "mesh-478" else inside
    reference = np.median(colours[spread], axis=0) if spread.any() else 0.0
    return colours - reference, inside


def look(
    memory: FaceColours | None, pixels: Pixels, face: Face, seconds: float
) -> tuple[FaceColours, npt.NDArray[np.bool_], float]:
    """Check one frame: (new memory, (N,) bool hidden landmarks, share of hidden points 0..1).

    memory: the result for the last frame of this face, None for the first, which is taken as uncovered.
    Landmarks that are not judged, or outside the frame, never count as hidden.

    Shares on nine real clips: up to 0.14 for an uncovered face, and up to 0.20 while the head turns far or
    grimaces; 0.12 to 0.35 for a hand before the mouth or an eye. An object that covers the face in its first
    frame is not detected until it moves away.
    """
    colours, inside = sample_colours(pixels, face)
    hidden = np.zeros(POINTS[face.layout], dtype=np.bool_)
    if memory is None:
        return FaceColours(colours, seconds), hidden, 0.0
    changed = (np.abs(colours - memory.means).mean(axis=1) > CHANGED) & inside
    hidden[judged(face.layout)] = changed
    interval = max(0.0, seconds - memory.seconds)
    follow = 1 - np.exp(-interval / np.where(changed, LEARN_HIDDEN_SECONDS, LEARN_SECONDS))
    follow[~inside] = 0
    means = memory.means + follow[:, None] * (colours - memory.means)
    share = float(changed.sum() / max(1, int(inside.sum())))
    return FaceColours(means, seconds), hidden, share
