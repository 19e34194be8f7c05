"""The `mesh` face backend: BlazeFace, then 478 landmarks and 52 blendshapes, all tflite on the CPU.

The landmark network (MediaPipe Face Landmarker; attention mesh, arXiv 2006.10962) sees an upright 256x256
patch around the face and returns x, y and z in patch pixels and the logit of a face being there.
"""

from typing import Final

import numpy as np

from ..arrays import Float32Array, Pixels
from ..errors import WeightsError
from ..formats.tflite import Network, load_network
from ..weight_files import WeightFiles
from .blazeface import FaceDetector, load_face_detector
from .blendshapes import Blendshapes, load_blendshapes
from .faces import Face, FaceRegion, Layout, check_pixels
from .patch import cut, patch_to_frame

PATCH = 256
FOLLOW_SCALE = 1.5
"""MediaPipe's margin around the landmarks of the last frame."""

RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263
RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER = 61, 291

OVAL: Final[tuple[int, ...]] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The face's outline, clockwise on screen from the middle of the hairline."""


class MeshBackend:
    """FaceBackend over the three tflite networks; 478 points with depth, and blendshapes."""

    layout: Layout = "mesh-478"

    def __init__(self, detector: FaceDetector, mesh: Network, blendshapes: Blendshapes) -> None:
        if mesh.input_shape != (1, PATCH, PATCH, 3):
            raise WeightsError(
                f"face_landmarks_detector.tflite: expected an input of (1, {PATCH}, {PATCH}, 3), "
                f"got {mesh.input_shape}; run `dynstream models pull face-landmarker`"
            )
        self._detector = detector
        self._mesh = mesh
        self._blendshapes = blendshapes

    def detect(self, pixels: Pixels) -> tuple[FaceRegion, ...]:
        """Regions that hold a face, the largest first."""
        return self._detector(pixels)

    def locate(self, pixels: Pixels, region: FaceRegion) -> Face:
        """Landmarks, presence and blendshapes of the face inside `region`."""
        check_pixels(pixels)
        matrix = patch_to_frame(region.corners(), PATCH)
        patch = cut(pixels, matrix, PATCH)
        outputs = self._mesh.run(patch[None].astype(np.float32) / np.float32(255))
        points = outputs["Identity"].reshape(-1, 3).astype(np.float64)
        # The network counts from the patch's outer corner, `matrix` from the first pixel's centre.
        plane = (points[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2]
        depth = points[:, 2:] * (region.size / PATCH)
        landmarks: Float32Array = np.concatenate([plane, depth], axis=1).astype(np.float32)
        logit = float(np.clip(outputs["Identity_1"].reshape(()), -50, 50))
        return Face(landmarks, self.layout, float(1 / (1 + np.exp(-logit))), self._blendshapes(landmarks))

    def follow(self, face: Face) -> FaceRegion:
        """The turned square around the landmarks, grown by half.

        The bounding box is taken in the face's own axes, so the region turns with a tilting head
        and neither grows nor shifts.
        """
        plane = face.landmarks[:, :2].astype(np.float64)
        across, down = plane[LEFT_EYE_OUTER] - plane[RIGHT_EYE_OUTER]
        angle = float(np.arctan2(down, across))
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        upright = plane @ axes.T
        low, high = upright.min(axis=0), upright.max(axis=0)
        x, y = (low + high) / 2 @ axes
        return FaceRegion(float(x), float(y), max(1.0, FOLLOW_SCALE * float((high - low).max())), angle)


def load_mesh_backend(weights: WeightFiles) -> MeshBackend:
    """The default face backend, from the zoo's `face-landmarker` entry."""
    mesh = load_network(weights.path("face-landmarker", "face_landmarks_detector.tflite"))
    return MeshBackend(load_face_detector(weights), mesh, load_blendshapes(weights))
