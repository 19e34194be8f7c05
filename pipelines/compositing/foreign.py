"""What in a face's crop has colours that its drawing shows nowhere near: letters, stickers and bars in front of it.

A drawing is a face without anything in front. Its features lie within a few pixels of the frame's, so each of the
face's own colours is near in the drawing, too.
"""

from typing import Final

import cv2
import numpy as np

from ...models.arrays import FloatImage, Mask, Pixels
from ..tracking.align import CROP

CELLS: Final = CROP // 2
SEARCH: Final = 5
"""Cells around a place in which its colour is looked for, every other one."""
TO_PLANES: Final = (
    (0.100, 0.196, 0.038, 0.0),
    (-0.169, -0.331, 0.500, 128.0),
    (0.500, -0.419, -0.081, 128.0),
)
"""RGB to a third of the brightness, which light and shade change, and to two differences of colour."""
NEAR: Final = 20.0
"""Distance of colours up to which one is as good as the other."""
NEXT_TO_FRONT: Final = 10.0
"""The same beside what is in front for certain: fingertips, the rest of a word."""
FAR: Final = 90.0
"""Distance of colours beyond `NEAR` that would make a place foreign by a share of 1."""
MOST: Final = 0.5
"""The largest result: enough for the matte to take a place for something in front, and not more."""
SURE: Final = (0.15, 0.35)
"""Share from which on something is in front, not at all and for certain."""
FREEDOM: Final = 35.0
"""Distance of colours that hair and the inside of a mouth may have besides."""
BESIDE: Final = 9
"""Cells, width of the ellipse of what is beside such a place."""
WORST: Final = 0.4
"""Share of the face from which on it is the drawing that does not fit, and nothing is foreign."""


def foreign(face: Pixels | FloatImage, drawn: FloatImage, front: Mask, own: Mask, free: Mask) -> Mask:
    """(S / 2, S / 2) in 0..MOST, what to add to the matte's share of things in front.

    face: (S, S, 3) in 0..255, the crop. drawn: (S, S, 3), its inversion in the frame's shape and colours. front, own,
    free: (S / 2, S / 2) in 0..1, that share, where the face is, and where it may differ much: hair, which no drawing
    has strand for strand, and the inside of the mouth.
    """
    apart = distance(face, drawn, own) - np.float32(FREEDOM) * free
    sure = np.clip((apart - np.float32(NEAR)) / np.float32(FAR), 0, np.float32(MOST)) * own
    if float((sure > MOST / 2).sum()) > WORST * float((own > 0.5).sum()):
        return np.zeros_like(sure)
    low, high = SURE
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BESIDE, BESIDE))
    beside = np.clip((cv2.dilate(front + sure, kernel) - low) / (high - low), 0, 1)
    more = np.clip(2 * (apart - np.float32(NEXT_TO_FRONT)) / np.float32(FAR), 0, np.float32(MOST)) * own
    return np.asarray(np.maximum(sure, more * beside), np.float32)


def distance(face: Pixels | FloatImage, drawn: FloatImage, own: Mask) -> Mask:
    """(S / 2, S / 2) in 0..255: from each colour of the crop to the nearest one around its place in the drawing.

    It is measured in the box around what is `own`, and 0 elsewhere.
    """
    result = np.zeros((CELLS, CELLS), np.float32)
    rows, columns = (np.flatnonzero(own.max(axis=axis) > 0) for axis in (1, 0))
    if not len(rows):
        return result
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    first = _planes(face)[:, top:bottom, left:right]
    around = np.pad(_planes(drawn), ((0, 0), (SEARCH, SEARCH), (SEARCH, SEARCH)), mode="edge")
    best = np.full(first.shape[1:], 255, np.uint8)
    for down in range(top, top + 2 * SEARCH + 1, 2):
        for across in range(left, left + 2 * SEARCH + 1, 2):
            there = around[:, down : down + bottom - top, across : across + right - left]
            one, two, three = (cv2.absdiff(a, b) for a, b in zip(first, there, strict=True))
            best = cv2.min(best, cv2.add(cv2.add(one, two), three))  # type: ignore[assignment]
    result[top:bottom, left:right] = best
    return result


def _planes(picture: Pixels | FloatImage) -> Pixels:
    """(S, S, 3) in 0..255 -> (3, S / 2, S / 2) uint8."""
    small = cv2.resize(np.asarray(picture, np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    planes = cv2.transform(small, np.array(TO_PLANES, np.float32))
    return np.ascontiguousarray(np.rint(np.clip(planes, 0, 255)).astype(np.uint8).transpose(2, 0, 1))
