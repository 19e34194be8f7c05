"""Move the features of a generated face to where the frame's are, so that an edit lands on the right lips.

An inversion draws a similar face whose mouth, eyes and brows lie a few pixels off, or whose lips are closed where the
frame's are open. Both the inversion and its edit are warped by what brings the landmarks of the inversion onto those
of the frame; the edit's own motion, which is the difference of the two, is then carried by the frame's features.
"""

import cv2
import numpy as np

from ...models.arrays import FloatImage, Points
from ..tracking.align import CROP

CELL = 2  # crop pixels in a cell of the grid that landmarks are gathered on
REACH = 7.0  # crop pixels, standard deviation of a landmark's influence
REST = 0.0003  # weight of staying in place, which wins far from every landmark
LARGEST = 24.0  # crop pixels; a landmark that is further off was misplaced


def displacement(face: Points, drawn: Points) -> FloatImage:
    """(S, S, 2) float32 crop pixels: drawn(x + displacement(x)) has its landmarks where `face` has them.

    face, drawn: (N, 2) landmarks of the frame's face and of the generated one, both in crop pixels. Normalized
    convolution (Knutsson and Westin, 1993) of the landmarks' differences, with a Gaussian and a small weight for zero.
    """
    size = CROP // CELL
    difference = drawn - face
    cells = np.floor(face / CELL).astype(np.intp)
    used = (np.abs(difference).max(axis=1) <= LARGEST) & ((cells >= 0) & (cells < size)).all(axis=1)
    sums = np.zeros((size, size, 3), dtype=np.float32)
    values = np.column_stack([difference, np.ones(len(difference))]).astype(np.float32)
    np.add.at(sums, (cells[used, 1], cells[used, 0]), values[used])
    smooth = cv2.GaussianBlur(sums, (0, 0), REACH / CELL, borderType=cv2.BORDER_CONSTANT)
    field = smooth[..., :2] / (smooth[..., 2:] + REST)
    return np.asarray(cv2.resize(field, (CROP, CROP), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
