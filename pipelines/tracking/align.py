"""The FFHQ crop: from a face's eyes and mouth to a quad, from the quad to a crop, and the exact inverse.

Coordinates are frame pixels with pixel centres at whole numbers. A quad's corners are the OUTER corners of
the crop, so crop pixel (column i, row j) has its centre at the fractions ((i + 0.5) / size, (j + 0.5) / size)
of the quad. FFHQ's own tool does the same; there dlib's points are pixel centres.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from ...models.arrays import AnyImage, Float32Array, Mask, Points, Quad
from ...models.faces.faces import Face
from ...models.faces.patch import cut, patch_to_frame, refine

CROP = 256

RIGHT_EYE: Final[tuple[tuple[int, float], ...]] = ((112, 0.241), (230, 0.092), (113, 0.399), (168, 0.208), (34, 0.060))
LEFT_EYE: Final[tuple[tuple[int, float], ...]] = ((341, 0.241), (450, 0.092), (342, 0.399), (168, 0.208), (264, 0.060))
"""The middle of each eye (the person's right and left) as a weighted mean of mesh points around it.

FFHQ's is the mean of dlib's six points on the lids. The mesh's own lids and even its eye corners move in a
blink (the outer one by 3 % of the face's width), which would make the crop pump. These weights were fitted to
FFHQ's middle on 160 faces drawn from the StyleGAN2-FFHQ generator, which are aligned by construction, and on
293 portraits measured with dlib, with the least jitter on nine real clips. Their error is 0.34 % of the crop's
side, the same as the mesh's corners', and their jitter is half as large."""
MOUTH_DROP: Final = 0.0170
"""Distance of dlib's mouth corners below the mesh's, in eye-to-mouth distances."""


def alignment_points(face: Face) -> Points:
    """(3, 2) float64: the eye on the frame's left (the person's right), the other eye, the mouth.

    FFHQ takes each eye as the mean of dlib's six outline points and the mouth as the mean of its two corners.
    The 68-point layout has exactly these; for the mesh, see `RIGHT_EYE`.
    """
    plane = face.landmarks[:, :2].astype(np.float64)
    if face.layout == "dlib-68":
        return np.stack([plane[36:42].mean(axis=0), plane[42:48].mean(axis=0), plane[[48, 54]].mean(axis=0)])
    right, left = weighted(plane, RIGHT_EYE), weighted(plane, LEFT_EYE)
    mouth = plane[[61, 291]].mean(axis=0)
    return np.stack([right, left, mouth + MOUTH_DROP * (mouth - (right + left) / 2)])


def weighted(plane: Points, weights: tuple[tuple[int, float], ...]) -> Points:
    """(2,) mean of some of the (N, 2) points."""
    return np.asarray(sum(weight * plane[index] for index, weight in weights), dtype=np.float64)


def ffhq_quad(points: Points) -> Quad:
    """(4, 2) float64 corners top-left, bottom-left, bottom-right, top-right of the FFHQ crop: a square.

    points: (3, 2) as `alignment_points` gives them. Karras et al., "A Style-Based Generator Architecture",
    appendix A. Raises ValueError if the points coincide.
    """
    if points.shape != (3, 2):
        raise ValueError(f"expected (3, 2) alignment points, got {points.shape}")
    eyes = (points[0] + points[1]) / 2
    eye_to_eye = points[1] - points[0]
    eye_to_mouth = points[2] - eyes
    across = eye_to_eye - quarter_turn(eye_to_mouth)
    length = float(np.hypot(*across))
    if not length > 1e-6:
        raise ValueError(f"the eyes and the mouth do not span a face: {points.tolist()}")
    across *= max(2.0 * float(np.hypot(*eye_to_eye)), 1.8 * float(np.hypot(*eye_to_mouth))) / length
    down = quarter_turn(across)
    centre = eyes + 0.1 * eye_to_mouth
    return np.stack([centre - across - down, centre - across + down, centre + across + down, centre + across - down])


def enlarge_quad(quad: Quad, scale: float) -> Quad:
    """The quad with its side times `scale`, about its middle."""
    middle = quad.mean(axis=0)
    return np.asarray(middle + (quad - middle) * scale, dtype=np.float64)


def quarter_turn(vector: Points) -> Points:
    """(2,) turned by 90 degrees from x towards y."""
    return np.array([-vector[1], vector[0]])


def side(quad: Quad) -> float:
    """Length of the quad's side in pixels."""
    return float(np.hypot(*(quad[3] - quad[0])))


def to_frame(points: Points, quad: Quad, size: int = CROP) -> Points:
    """(..., 2) crop coordinates as frame coordinates; both count pixel centres from zero."""
    matrix = patch_to_frame(quad, size)
    return points @ matrix[:, :2].T + matrix[:, 2]


def to_crop(points: Points, quad: Quad, size: int = CROP) -> Points:
    """(..., 2) frame coordinates as crop coordinates; the inverse of `to_frame`."""
    matrix = patch_to_frame(quad, size)
    return cast("Points", (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)


def landmarks_in_crop(landmarks: Float32Array, quad: Quad) -> Points:
    """(N, 2) crop coordinates of a face's landmarks, (N, 2 or 3) in the frame."""
    return to_crop(landmarks[:, :2].astype(np.float64), quad)


def crop(pixels: npt.NDArray[np.uint8], quad: Quad, size: int = CROP) -> npt.NDArray[np.uint8]:
    """(size, size, 3) uint8 crop of (H, W, 3) `pixels`.

    Each crop pixel is the mean of bicubic samples, at least two by two and as many more as shrinking needs.
    The picture is mirrored outside the frame.
    """
    return cut(pixels, patch_to_frame(quad, size), size, interpolation=cv2.INTER_CUBIC)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A crop warped back into the frame: `values` belong at `frame[placed.window]`.

    Attributes:
        values: (h, w) or (h, w, C), dtype of the crop; empty if the quad lies wholly outside the frame.
        left, top: place of the first value in the frame.
    """

    values: AnyImage
    left: int
    top: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame that `values` cover."""
        height, width = self.values.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def window(quad: Quad, frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom), ends excluded: the frame's pixels that `quad` touches.

    frame_size: (width, height). An empty window has right <= left or bottom <= top set equal.
    """
    width, height = frame_size
    low, high = np.floor(quad.min(axis=0) + 0.5), np.ceil(quad.max(axis=0) + 0.5)
    left, top = int(np.clip(low[0], 0, width)), int(np.clip(low[1], 0, height))
    right, bottom = int(np.clip(high[0], left, width)), int(np.clip(high[1], top, height))
    return left, top, right, bottom


Window = tuple[int, int, int, int]
"""(left, top, right, bottom) of the frame, ends excluded."""


def support(mask: Mask, quad: Quad, frame_size: tuple[int, int], least: float = 0.0) -> Window:
    """The part of `window` in which a mask, (S, S), is above `least` anywhere, with two crop pixels around it."""
    whole = window(quad, frame_size)
    rows, columns = (np.flatnonzero(mask.max(axis=axis) > least) for axis in (1, 0))
    if not len(rows):
        return (*whole[:2], *whole[:2])
    size = mask.shape[0]
    (left, right), (top, bottom) = ((values[0] - 3.0, values[-1] + 3.0) for values in (columns, rows))
    corners = to_frame(np.array([[left, top], [left, bottom], [right, bottom], [right, top]]), quad, size)
    part = window(np.asarray(corners, dtype=np.float64), frame_size)
    low, high = np.maximum(part[:2], whole[:2]), np.minimum(part[2:], whole[2:])
    return int(low[0]), int(low[1]), int(max(high[0], low[0])), int(max(high[1], low[1]))


def unalign(
    patch: AnyImage,
    quad: Quad,
    frame_size: tuple[int, int],
    *,
    outside: Literal["edge", "zero"] = "edge",
    within: Window | None = None,
) -> Placed:
    """Warp a crop back into the frame; the exact inverse of `crop`'s geometry.

    patch: (S, S) or (S, S, C) uint8 or float32 with C up to 4, as wide as high.
    quad: the quad of the crop. frame_size: (width, height).
    outside: values in the window but beyond the crop. "edge" repeats the crop's border and samples
        bicubically, for pictures; "zero" fades to zero across the border pixel and samples linearly, for masks,
        so that it neither rings nor leaves the range of its input.
    within: the part of the frame that is wanted, all that the quad touches by default.
    """
    if patch.ndim not in (2, 3) or patch.shape[0] != patch.shape[1] or patch.dtype not in (np.uint8, np.float32):
        raise ValueError(f"expected a square uint8 or float32 crop, got {patch.shape} {patch.dtype}")
    if patch.ndim == 3 and not 1 <= patch.shape[2] <= 4:
        raise ValueError(f"expected one to four channels, got {patch.shape[2]}")
    left, top, right, bottom = window(quad, frame_size) if within is None else within
    shape = (bottom - top, right - left)
    if 0 in shape:
        return Placed(np.zeros((0, 0, *patch.shape[2:]), patch.dtype), left, top)
    inverse = frame_to_patch(quad, patch.shape[0], (left, top))
    factor = shrink_samples(inverse)
    values = cv2.warpAffine(
        patch,
        refine(inverse, factor),
        (shape[1] * factor, shape[0] * factor),
        flags=(cv2.INTER_CUBIC if outside == "edge" else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if outside == "edge" else cv2.BORDER_CONSTANT,
    )
    if factor > 1:
        values = cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return Placed(values.reshape(*shape, *patch.shape[2:]), left, top)


def frame_to_patch(quad: Quad, size: int, origin: tuple[int, int]) -> npt.NDArray[np.float64]:
    """(2, 3) affine matrix from coordinates of a frame window that starts at `origin` to crop coordinates."""
    forward = patch_to_frame(quad, size)
    linear = np.linalg.inv(forward[:, :2])
    return np.column_stack([linear, linear @ (np.array(origin, dtype=np.float64) - forward[:, 2])])


def shrink_samples(matrix: npt.NDArray[np.float64]) -> int:
    """Samples along each side of a target pixel; one up to a step of 1.25 source pixels."""
    stride = max(float(np.hypot(*matrix[:, 0])), float(np.hypot(*matrix[:, 1])))
    return max(1, math.ceil(stride - 0.25))
