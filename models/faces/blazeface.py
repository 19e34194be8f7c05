"""BlazeFace, short range: faces with six key points from a 128x128 picture (arXiv 1907.05047).

The network has two square feature maps, 16x16 with two anchors a cell and 8x8 with six, 896 in all. Each
anchor gives a box (middle, width, height) and six points, as offsets from the anchor in 1/128 of the picture.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ..arrays import Float32Array, Pixels
from ..formats.tflite import Network, load_network
from ..weight_files import WeightFiles
from .faces import FaceRegion, check_pixels

INPUT = 128
RIGHT_EYE, LEFT_EYE, NOSE_TIP, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)
"""Key points in output order; right and left are the person's own."""

MIN_SCORE = 0.5
SAME_FACE_OVERLAP = 0.3
SURE = 0.85
"""Score of nearly every upright face; one that is upside down has 0.55 to 0.8, with its eyes and mouth swapped."""
TURNED_MARGIN = 0.1
"""By how much a face must score higher in the picture turned by 180 degrees to be taken for upside down."""
REGION_SCALE = 1.5
"""MediaPipe's margin: the landmark network was trained on regions this much larger than the box."""


def anchors() -> Float32Array:
    """(896, 2) float32 anchor middles as fractions of the picture, in the network's output order."""
    rows = []
    for cells, per_cell in ((16, 2), (8, 6)):
        middle = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    return np.concatenate(rows).astype(np.float32)


ANCHORS = anchors()


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture lies inside the square that the network sees: `square = scale * frame + (left, top)`.

    All in the pixel-edge convention (frame pixel centre c is at c + 0.5).
    """

    scale: float
    left: int
    top: int

    def to_frame(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(..., 2) points of the square, in pixels from its corner, as frame coordinates (pixel centres)."""
        return np.asarray((points - np.array([self.left, self.top])) / self.scale - 0.5, dtype=np.float64)


def letterbox(pixels: Pixels) -> tuple[Pixels, Letterbox]:
    """The picture shrunk or grown to fit 128x128 with black bars, and the way back."""
    height, width = pixels.shape[:2]
    scale = INPUT / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (INPUT - new_width) // 2, (INPUT - new_height) // 2
    square = np.zeros((INPUT, INPUT, 3), np.uint8)
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square[top : top + new_height, left : left + new_width] = cv2.resize(
        pixels, (new_width, new_height), interpolation=cast("Any", shrink)
    )
    return square, Letterbox(scale, left, top)


def decode(regressors: Float32Array, logits: Float32Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Boxes and points of the anchors that score at least `MIN_SCORE`.

    regressors: (896, 16) raw output; logits: (896,) raw scores.
    Returns (n, 8, 2): box corner (x0, y0), corner (x1, y1), then the six points, in pixels of the 128x128
    square; and (n,) scores in 0..1, the best first.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= MIN_SCORE]
    values = regressors[order].astype(np.float64).reshape(-1, 8, 2)
    middle = ANCHORS[order].astype(np.float64) * INPUT
    centre, extent = values[:, 0] + middle, values[:, 1]
    points = values[:, 2:] + middle[:, None]
    corners = np.stack([centre - extent / 2, centre + extent / 2], axis=1)
    return np.concatenate([corners, points], axis=1), scores[order]


def overlap(box: npt.NDArray[np.float64], boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Intersection over union of one (2, 2) corner pair with (n, 2, 2) ones."""
    low, high = np.maximum(box[0], boxes[:, 0]), np.minimum(box[1], boxes[:, 1])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 1] - boxes[:, 0], 0, None), axis=1)
    own = float(np.prod(np.clip(box[1] - box[0], 0, None)))
    return cast("npt.NDArray[np.float64]", shared / np.maximum(own + areas - shared, 1e-9))


def merge(
    boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted non-maximum suppression: anchors on one face are averaged by score, not thrown away.

    boxes: (n, 8, 2), scores: (n,), the best first, as `decode` gives them. The averaging is what keeps
    the box from jumping between neighbouring anchors. Returns (m, 8, 2) and (m,).
    """
    faces, sureness = [], []
    left = np.arange(len(scores))
    while len(left):
        close = overlap(boxes[left[0], :2], boxes[left, :2]) > SAME_FACE_OVERLAP
        close[0] = True
        group = left[close]
        weights = scores[group] / scores[group].sum()
        faces.append(np.tensordot(weights, boxes[group], axes=1))
        sureness.append(scores[left[0]])
        left = left[~close]
    return np.array(faces).reshape(-1, 8, 2), np.array(sureness)


def region(face: npt.NDArray[np.float64], score: float) -> FaceRegion:
    """The square that the landmark network wants, from one (8, 2) detection in frame coordinates.

    Its x axis lies along the line from the person's right eye to the left one.
    """
    x, y = face[:2].mean(axis=0)
    width, height = face[1] - face[0]
    across, down = face[2 + LEFT_EYE] - face[2 + RIGHT_EYE]
    size = REGION_SCALE * float(max(width, height))
    return FaceRegion(float(x), float(y), size, float(np.arctan2(down, across)), score)


class FaceDetector:
    """The loaded detector; holds weights and nothing else."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        """Regions of the faces in (H, W, 3) uint8 RGB `pixels`, the largest first."""
        check_pixels(pixels)
        found = self._find(pixels)
        if any(one.score < SURE for one in found):
            turned = [_turned(one, pixels) for one in self._find(np.ascontiguousarray(pixels[::-1, ::-1]))]
            found = [_surer(one, turned) for one in found]
        return tuple(sorted(found, key=lambda one: -one.size))

    def _find(self, pixels: Pixels) -> list[FaceRegion]:
        square, box = letterbox(pixels)
        outputs = self._network.run(square[None].astype(np.float32) / 127.5 - 1)
        faces, scores = merge(*decode(outputs["regressors"][0], outputs["classificators"][0, :, 0]))
        return [
            region(box.to_frame(face), float(score))
            for face, score in zip(faces, scores, strict=True)
            if (face[1] > face[0]).all()
        ]


def _turned(one: FaceRegion, pixels: Pixels) -> FaceRegion:
    """A region of the picture turned by 180 degrees, in the picture as it is."""
    height, width = pixels.shape[:2]
    return replace(one, x=width - 1 - one.x, y=height - 1 - one.y, angle=one.angle + np.pi)


def _surer(one: FaceRegion, turned: list[FaceRegion]) -> FaceRegion:
    """The region, or that of the same face upside down where it is clearly more of a face."""
    here = [other for other in turned if np.hypot(one.x - other.x, one.y - other.y) < 0.4 * max(one.size, other.size)]
    best = max(here, key=lambda other: other.score, default=one)
    return best if best.score > one.score + TURNED_MARGIN else one


def load_face_detector(weights: WeightFiles) -> FaceDetector:
    """The detector from the zoo's `face-landmarker` entry."""
    return FaceDetector(load_network(weights.path("face-landmarker", "face_detector.tflite")))
