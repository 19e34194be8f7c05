"""Shape matching: warp a generated face so that its features lie on those of the frame.

An inversion draws a similar face whose mouth, eyes and brows lie a few pixels off, or whose lips are closed while the
frame's are open. Both the inversion and its edit are warped by the displacement from the inversion's landmarks to the
frame's. The edit's own motion, the difference of the two, then applies to the frame's features.
"""

import cv2
import numpy as np

from ...models.arrays import FloatImage, Points
from ..tracking.align import CROP

CELL = 2  # crop pixels in a cell of the grid that landmarks are gathered on
REACH = 7.0  # crop pixels, standard deviation of a landmark's influence
REST = 0.0003  # weight of zero displacement, which dominates far from every landmark
WIDE_REACH = ((8.0, 1.0), (24.0, 0.02), (64.0, 0.001))  # the same, each with its weight, for heads that turn
LARGEST = 24.0  # crop pixels; a landmark that is further off counts as misplaced


def displacement(face: Points, drawn: Points) -> FloatImage:
    """(S, S, 2) float32 crop pixels: drawn(x + displacement(x)) has its landmarks where `face` has them.

    face, drawn: (N, 2) landmarks of the frame's face and of the generated one, both in crop pixels. It is a normalized
    convolution (Knutsson and Westin, 1993) of the landmarks' differences, with a Gaussian and a small weight for zero.
    """
    smooth = _gathered(face, drawn, LARGEST, ((REACH, 1.0),))
    field = smooth[..., :2] / (smooth[..., 2:] + REST)
    return np.asarray(cv2.resize(field, (CROP, CROP), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def wide_displacement(face: Points, drawn: Points) -> FloatImage:
    """As `displacement`, for a head that has turned: it has no limit, and it reaches over the whole crop."""
    smooth = _gathered(face, drawn, CROP, WIDE_REACH)
    field = smooth[..., :2] / (smooth[..., 2:] + 1e-6)
    return np.asarray(cv2.resize(field, (CROP, CROP), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _gathered(face: Points, drawn: Points, largest: float, reaches: tuple[tuple[float, float], ...]) -> FloatImage:
    """(S / CELL, S / CELL, 3): weighted sums of the landmarks' displacements, and of the weights."""
    size = CROP // CELL
    difference = drawn - face
    cells = np.floor(face / CELL).astype(np.intp)
    used = (np.abs(difference).max(axis=1) <= largest) & ((cells >= 0) & (cells < size)).all(axis=1)
    sums = np.zeros((size, size, 3), dtype=np.float32)
    values = np.column_stack([difference, np.ones(len(difference))]).astype(np.float32)
    np.add.at(sums, (cells[used, 1], cells[used, 0]), values[used])
    rows = [
        np.float32(weight) * cv2.GaussianBlur(sums, (0, 0), reach / CELL, borderType=cv2.BORDER_CONSTANT)
        for reach, weight in reaches
    ]
    return np.asarray(rows[0] if len(rows) == 1 else np.sum(rows, axis=0), dtype=np.float32)
