"""The mask of an edit: the face's hull without the parts that something hides."""

import cv2
import numpy as np
import numpy.typing as npt

from ...models.arrays import FloatImage
from ..tracking.align import CROP
from .composite import hull_mask

HIDDEN_GAP = (17, 17)  # crop pixels between hidden landmarks that count as hidden
HIDDEN_RADIUS = 6.0  # crop pixels left to the source around a landmark that something hides


def face_mask(points: npt.NDArray[np.float64], hidden: npt.NDArray[np.float64]) -> FloatImage:
    """(S, S) in 0..1. points: (N, 2) landmarks in crop pixels. hidden: (N,) in 0..1, how far each is hidden."""
    mask, cover = hull_mask(points), hidden_area(points, hidden)
    return mask if cover is None else mask * (1 - cover)


def hidden_area(points: npt.NDArray[np.float64], hidden: npt.NDArray[np.float64]) -> FloatImage | None:
    """(S, S) in 0..1, where something hides the face; None where nothing does. Arguments: as of `face_mask`."""
    if hidden.max(initial=0.0) < 0.1:
        return None
    cover = np.zeros((CROP, CROP), dtype=np.float32)
    for index in np.argsort(hidden, kind="stable"):  # the most certain last, on top of the others
        if hidden[index] >= 0.1:
            x, y = points[index]
            cv2.circle(cover, (round(x), round(y)), round(HIDDEN_RADIUS), float(hidden[index]), cv2.FILLED)
    # The area between hidden landmarks is hidden, too: the colour check leaves out lips and eyes.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, HIDDEN_GAP)
    closed = cv2.morphologyEx(cover, cv2.MORPH_CLOSE, kernel)
    return np.asarray(cv2.GaussianBlur(closed, (0, 0), 3.0), dtype=np.float32)
