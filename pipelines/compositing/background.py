"""The background behind a head: what was seen there, and where nothing was seen, what lies around.

Where an edited head is smaller than the frame's, or turned, a part of the background appears that the frame does not
show. A plate in the frame's coordinates keeps what was seen at each place while no head was there.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ...models.arrays import FloatImage, Mask, Matrix, Pixels, Quad
from ...models.faces.patch import patch_to_frame
from ..tracking.align import CROP, side

CELLS: Final = 384
"""Largest side of a plate, in its own pixels."""
AROUND: Final = 1.25
"""Side of a plate over that of the crop that it was begun for."""
SECONDS: Final = 0.3
"""Time constant with which the plate follows what is seen."""
STILL: Final = 0.35
"""Plate pixels: a motion of the background below this is none, so that a plate does not drift."""
MOST_MOTION: Final = 8.0
"""Plate pixels from a frame to the next, above which the camera has cut or swept, and the plate begins again."""
MARGIN: Final = 9
"""Crop pixels around a head that do not count as background."""


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """What was seen behind a head.

    Attributes:
        pixels: (h, w, 3) uint8.
        seen: (h, w) uint8, 255 where something was seen.
        grey: (h, w) uint8, the whole picture of the last frame, for the camera's motion.
        still: (h, w) uint8, 255 where it was background in the last frame.
        left, top: place of the plate's first pixel in the frame.
        scale: plate pixels for a pixel of the frame, at most 1.
    """

    pixels: Pixels
    seen: Pixels
    grey: Pixels
    still: Pixels
    left: float
    top: float
    scale: float


def update(before: Plate | None, pixels: Pixels, quad: Quad, head: Mask, elapsed: float) -> Plate:
    """The plate after one more frame.

    pixels: (H, W, 3), the frame. quad: of the crop. head: (S, S) in 0..1, what in the crop is no background: the head,
    and things in front.
    """
    holding = (
        before is not None and elapsed >= 0 and holds(before.left, before.top, before.scale, len(before.seen), quad)
    )
    base = before if before is not None and holding else _begin(quad)
    place = np.array([[base.scale, 0, -base.left * base.scale], [0, base.scale, -base.top * base.scale]])
    size = (base.seen.shape[1], base.seen.shape[0])
    now = np.asarray(
        cv2.warpAffine(pixels, place, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )
    grey = np.asarray(cv2.cvtColor(now, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    free = _free(head, quad, base, size)
    kept, seen = base.pixels, base.seen
    if base is before:
        motion = _camera_motion(base.grey, grey, np.minimum(base.still, free))
        if motion is None:
            seen = np.zeros_like(seen)
        elif np.abs(motion).max() > 0:
            shift = np.array([[1, 0, motion[0]], [0, 1, motion[1]]])
            kept = np.asarray(cv2.warpAffine(kept, shift, size, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
            seen = np.asarray(cv2.warpAffine(seen, shift, size, flags=cv2.INTER_NEAREST), dtype=np.uint8)
    share = 1 - np.exp(-max(0.0, elapsed) / SECONDS)
    new = free > 127
    weight = np.where(seen > 0, np.float32(share), np.float32(1)) * new
    mixed = kept + (now.astype(np.float32) - kept) * weight[..., None]
    return Plate(
        np.rint(mixed).astype(np.uint8), np.where(new, np.uint8(255), seen), grey, free, base.left, base.top, base.scale
    )


def behind(plate: Plate | None, quad: Quad, face: Pixels, head: Mask) -> FloatImage:
    """(S, S, 3) float32: the crop without the head.

    Where the crop itself shows background it is that; behind the head it is the plate, and where that has nothing, the
    surroundings are spread into the hole, from coarse to fine (push and pull, Gortler et al. 1996).

    face: (S, S, 3) uint8, the crop. head: (S, S), as in `update`.
    """
    own = face.astype(np.float32)
    weight = np.asarray(1 - _grown(head), dtype=np.float32)
    picture = np.asarray(own * weight[..., None], dtype=np.float32)
    if plate is not None:
        to_plate, flags = crop_to_plate(plate.left, plate.top, plate.scale, quad), cv2.WARP_INVERSE_MAP
        known = cv2.warpAffine(
            plate.pixels, to_plate, (CROP, CROP), flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        seen = cv2.warpAffine(plate.seen, to_plate, (CROP, CROP), flags=flags | cv2.INTER_NEAREST)
        more = (1 - weight) * (cv2.GaussianBlur(seen, (0, 0), 1.5).astype(np.float32) / 255) ** 2
        picture = np.asarray(picture + known.astype(np.float32) * more[..., None], dtype=np.float32)
        weight = np.asarray(weight + more, dtype=np.float32)
    return push_pull(picture, weight)


def push_pull(picture: FloatImage, weight: Mask) -> FloatImage:
    """Fill a picture where it has no weight from what is around. picture: (S, S, 3), already times its weight."""
    levels = [(picture, np.asarray(weight, np.float32))]
    while min(levels[-1][1].shape) > 4:
        above, share = levels[-1]
        levels.append((np.asarray(cv2.pyrDown(above), np.float32), np.asarray(cv2.pyrDown(share), np.float32)))
    top, share = levels[-1]
    filled = top / np.maximum(share, 1e-6)[..., None]
    for above, share in reversed(levels[:-1]):
        coarse = cv2.pyrUp(filled, dstsize=(share.shape[1], share.shape[0]))
        part = np.clip(2 * share, 0, 1)[..., None]
        filled = coarse + (above / np.maximum(share, 1e-6)[..., None] - coarse) * part
    return np.asarray(filled, dtype=np.float32)


def _begin(quad: Quad) -> Plate:
    middle, long = quad.mean(axis=0), AROUND * float(np.ptp(quad, axis=0).max())
    scale = min(1.0, CELLS / max(long, 1e-6), CROP * AROUND / max(side(quad), 1e-6))
    cells = max(8, round(long * scale))
    nothing = np.zeros((cells, cells), np.uint8)
    left, top = middle - long / 2
    return Plate(np.zeros((cells, cells, 3), np.uint8), nothing, nothing, nothing, float(left), float(top), scale)


def holds(left: float, top: float, scale: float, cells: int, quad: Quad) -> bool:
    """Whether most of the crop lies on a plate of that place and side, and at about its scale."""
    low, high = np.array([left, top]), np.array([cells, cells]) / scale
    inside = (quad >= low - 0.15 * side(quad)) & (quad <= low + high + 0.15 * side(quad))
    long = AROUND * float(np.ptp(quad, axis=0).max())
    return bool(inside.all()) and 0.6 < long / float(high.max()) < 1.7


def _free(head: Mask, quad: Quad, plate: Plate, size: tuple[int, int]) -> Pixels:
    """(h, w) uint8: where the plate sees background now, which is known inside the crop only."""
    free = np.where(_grown(head) < 0.02, np.uint8(255), np.uint8(0))
    free[[0, -1]] = 0
    free[:, [0, -1]] = 0
    placed = cv2.warpAffine(
        free, crop_to_plate(plate.left, plate.top, plate.scale, quad), size, flags=cv2.INTER_NEAREST
    )
    return np.asarray(placed, dtype=np.uint8)


def crop_to_plate(left: float, top: float, scale: float, quad: Quad) -> Matrix:
    """(2, 3) affine matrix from crop pixels to those of a plate."""
    matrix = patch_to_frame(quad, CROP)
    return np.column_stack([matrix[:, :2] * scale, (matrix[:, 2] - np.array([left, top])) * scale])


def _grown(head: Mask) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (MARGIN, MARGIN))
    return np.asarray(cv2.GaussianBlur(cv2.dilate((head > 0.1).astype(np.float32), kernel), (0, 0), 1.0), np.float32)


def _camera_motion(before: Pixels, now: Pixels, still: Pixels) -> FloatImage | None:
    """(2,) plate pixels that the background has moved by; zeros for none, None for too far or no agreement."""
    points = cv2.goodFeaturesToTrack(before, 60, 0.02, 6, mask=still)
    if points is None or len(points) < 6:
        return np.zeros(2, np.float32)  # a wall without marks: nothing shows a motion
    found, good, _error = cv2.calcOpticalFlowPyrLK(before, now, points, None, winSize=(13, 13), maxLevel=2)  # type: ignore[call-overload]
    moves = (found - points)[good.ravel() > 0].reshape(-1, 2)
    if len(moves) < 4:
        return None
    middle = np.median(moves, axis=0)
    spread = np.median(np.abs(moves - middle).max(axis=1))
    if np.abs(middle).max() > MOST_MOTION or spread > 2.0:
        return None
    return np.asarray(np.where(np.hypot(*middle) < STILL, 0.0, 1.0) * middle, dtype=np.float32)
