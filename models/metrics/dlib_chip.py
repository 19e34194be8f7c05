"""The face alignment of dlib's networks: a square chip from the corners of the eyes and the base of the nose."""

from typing import Final

import numpy as np

from ..arrays import Pixels, Points
from ..errors import ShapeError
from ..faces.faces import Face
from ..faces.patch import cut, patch_to_frame
from .ffhq_crop import Box

TEMPLATE: Final[Points] = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
"""dlib's mean positions in the chip without padding, as fractions of its side: outer and inner corner of the eye on
the image's right, of the other eye, base of the nose."""

MESH_CORNERS: Final = (263, 362, 33, 133)
MESH_NOSE: Final = (2, 164)
INNER_SHARE: Final = 0.086
NOSE_SHARE: Final = 0.39
"""The mesh's inner corners of the eyes lie nearer to the nose than dlib's, by this share of the eye; dlib's base of
the nose lies this share of the way from mesh point 2 to 164. Fitted to dlib's own five points on 128 portraits."""

DLIB_68: Final = (45, 42, 36, 39, 33)

FFHQ_BOX: Final[Box] = (0.2692, 0.3740, 0.7371, 0.8418)
"""The chip without padding in an FFHQ crop: dlib's five points, median over 128 portraits."""


def five_points(face: Face) -> Points:
    """(5, 2) points of `TEMPLATE` in frame pixels (pixel centres at whole numbers), from either landmark layout."""
    plane = face.landmarks[:, :2].astype(np.float64)
    if face.layout == "dlib-68":
        return plane[list(DLIB_68)]
    outer_right, inner_right, outer_left, inner_left = plane[list(MESH_CORNERS)]
    base, lip = plane[list(MESH_NOSE)]
    return np.stack(
        [
            outer_right,
            inner_right + INNER_SHARE * (outer_right - inner_right),
            outer_left,
            inner_left + INNER_SHARE * (outer_left - inner_left),
            base + NOSE_SHARE * (lip - base),
        ]
    )


def chip_quad(points: Points, padding: float) -> Points:
    """(4, 2) corners top-left, bottom-left, bottom-right, top-right of the chip, in frame pixels.

    The similarity that takes the template to the points with the least squared error (Umeyama, PAMI 1991).

    Args:
        points: (5, 2) as `five_points` gives them.
        padding: margin on each side, as a share of the chip without it.

    Raises:
        ShapeError: not (5, 2).
        ValueError: the points coincide.
    """
    if points.shape != TEMPLATE.shape:
        raise ShapeError(f"expected (5, 2) alignment points, got {points.shape}")
    # In the plane of complex numbers a similarity is one product and one sum.
    source, target = (p @ np.array([1, 1j]) for p in (TEMPLATE, points))
    centre, goal = source.mean(), target.mean()
    factor = np.vdot(source - centre, target - goal) / np.vdot(source - centre, source - centre).real
    if not abs(factor) > 1e-6:
        raise ValueError(f"the points do not span a face: {points.tolist()}")
    low, high = -padding, 1 + padding
    corners = np.array([complex(low, low), complex(low, high), complex(high, high), complex(high, low)])
    placed = goal + factor * (corners - centre)
    return np.stack([placed.real, placed.imag], axis=1)


def cut_chip(pixels: Pixels, face: Face, size: int, padding: float) -> Pixels:
    """(size, size, 3) uint8 chip of `face` from the (H, W, 3) uint8 frame; beyond the frame it is mirrored."""
    return cut(pixels, patch_to_frame(chip_quad(five_points(face), padding), size), size)


def ffhq_box(padding: float) -> Box:
    """`FFHQ_BOX` with the padding around it."""
    left, top, right, bottom = FFHQ_BOX
    margin = padding * (right - left)
    return left - margin, top - margin, right + margin, bottom + margin
