"""The mask of the inside of an open mouth, which stays the frame's own: an edit cannot draw it faithfully."""

import cv2
import numpy as np

from ...models.arrays import FloatImage, Points
from ...models.faces.faces import Layout
from ..tracking.align import CROP
from ..tracking.occlusion import INNER_LIPS

# Outline of the inner lips; then middle of the upper and lower one, and the two corners.
PARTS: dict[Layout, tuple[tuple[int, ...], tuple[int, int], tuple[int, int]]] = {
    "mesh-478": (INNER_LIPS, (13, 14), (78, 308)),
    "dlib-68": (tuple(range(60, 68)), (62, 66), (60, 64)),
}
CLOSED, OPEN = 0.06, 0.22  # height by width: the mask fades in between the two
EDGE = 1.5  # crop pixels, standard deviation


def mouth_inside(points: Points, layout: Layout) -> FloatImage:
    """(S, S) float32 in 0..1: the inside of the mouth, 0 everywhere for a closed one. points: (N, 2) crop pixels."""
    outline, (upper, lower), (left, right) = PARTS[layout]
    height = float(np.hypot(*(points[lower] - points[upper])))
    width = float(np.hypot(*(points[right] - points[left])))
    share = float(np.clip((height / max(width, 1e-6) - CLOSED) / (OPEN - CLOSED), 0, 1))
    mask = np.zeros((CROP, CROP), dtype=np.float32)
    if share > 0:
        shift = 4
        hull = cv2.convexHull(np.rint(points[list(outline)] * (1 << shift)).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, share, cv2.LINE_8, shift)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), EDGE), dtype=np.float32)
    return mask
