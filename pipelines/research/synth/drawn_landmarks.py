"""What the face networks see on a clean drawing: the best they can do, before background, light and encoding."""

from dataclasses import dataclass

import numpy as np

from ....models.arrays import Float32Array, Quad
from ....models.faces.faces import BLENDSHAPE_COUNT, POINTS, FaceBackend, Layout, locate_face
from ....stream.frame import Pixels
from ...tracking.align import side, to_frame


@dataclass(frozen=True, eq=False)
class DrawnLandmarks:
    """What the face networks found on a drawing; not-a-number where no face is found.

    Attributes:
        landmarks: (N, 3) in frame pixels.
        blendshapes: (52,).
        presence: 0..1.
    """

    landmarks: Float32Array
    blendshapes: Float32Array
    presence: float


def measure_landmarks(backend: FaceBackend, drawing: Pixels, quad: Quad) -> DrawnLandmarks:
    """The largest face of a drawing (S, S, 3), carried to where `quad` puts the drawing in the frame."""
    face = locate_face(backend, drawing)
    if face is None:
        return nothing(backend.layout)
    size = drawing.shape[0]
    plane = to_frame(face.landmarks[:, :2].astype(np.float64), quad, size)
    depth = face.landmarks[:, 2:].astype(np.float64) * (side(quad) / size)
    blendshapes = nothing(backend.layout).blendshapes if face.blendshapes is None else face.blendshapes
    return DrawnLandmarks(np.concatenate([plane, depth], axis=1).astype(np.float32), blendshapes, face.presence)


def nothing(layout: Layout) -> DrawnLandmarks:
    """What stands where no face is found."""
    return DrawnLandmarks(
        np.full((POINTS[layout], 3), np.nan, np.float32), np.full(BLENDSHAPE_COUNT, np.nan, np.float32), 0.0
    )
