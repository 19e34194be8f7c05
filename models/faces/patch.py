"""Cut a turned square out of a picture, without aliasing, to a square of fixed size.

Pixel centres lie at whole numbers. A quad's corners are the OUTER corners of the patch's corner pixels,
so patch pixel i has its centre at the fraction (i + 0.5) / size of the quad's side.
"""

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from ..arrays import Matrix, Pixels


def patch_to_frame(quad: npt.NDArray[np.float64], size: int) -> Matrix:
    """(2, 3) affine matrix that takes patch pixel coordinates (x, y, 1) to frame coordinates.

    quad: (4, 2) corners top-left, bottom-left, bottom-right, top-right, a parallelogram.
    """
    right = (quad[3] - quad[0]) / size
    down = (quad[1] - quad[0]) / size
    origin = quad[0] + 0.5 * (right + down)
    return np.stack([right, down, origin], axis=1)


def supersampling(matrix: Matrix) -> int:
    """How many samples along each side of a patch pixel keep their spacing at one source pixel or less.

    At least two, so that sharpness does not jump where a face grows through the scale of one.
    """
    stride = max(float(np.hypot(*matrix[:, 0])), float(np.hypot(*matrix[:, 1])))
    return max(2, math.ceil(stride - 1e-6))


def refine(matrix: Matrix, factor: int) -> Matrix:
    """The matrix for a patch of `factor` times as many pixels a side over the same quad."""
    shift = 0.5 / factor - 0.5
    linear = matrix[:, :2] / factor
    origin = matrix[:, 2] + matrix[:, :2] @ np.array([shift, shift])
    return np.column_stack([linear, origin])


def cut(pixels: Pixels, matrix: Matrix, size: int, *, interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    """(size, size, 3) uint8 patch of `pixels` at `matrix` (from `patch_to_frame`).

    Each patch pixel is the mean of `supersampling(matrix)` squared samples spread over its area, which is
    the box filter that shrinking needs. Outside the frame the picture is mirrored (about the border
    pixels' centres).
    """
    factor = supersampling(matrix)
    fine = cv2.warpAffine(
        pixels,
        refine(matrix, factor),
        (size * factor, size * factor),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cast("Pixels", cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA))
