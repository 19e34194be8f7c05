"""Head pose from the positions of a face's rigid points in the picture.

The points of a mean face are rotated, scaled and shifted onto the landmarks under scaled orthography
(DeMenthon and Davis 1995, the first step of POSIT). Only x and y of the landmarks are used, so backends
with and without depth give the same result.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ...models.arrays import Points
from ...models.faces.faces import Face, Layout

MEAN_FACE: Final[dict[int, tuple[float, float, float]]] = {
    33: (-0.716, -0.014, 0.041),
    133: (-0.284, 0.014, -0.042),
    362: (0.284, 0.014, -0.042),
    263: (0.716, -0.014, 0.041),
    168: (0.0, -0.060, -0.349),
    6: (0.0, 0.062, -0.418),
    197: (0.0, 0.188, -0.493),
    195: (0.0, 0.300, -0.580),
    4: (0.0, 0.569, -0.701),
    2: (0.0, 0.767, -0.380),
    98: (-0.318, 0.692, -0.249),
    327: (0.318, 0.692, -0.249),
    127: (-1.179, 0.046, 0.864),
    356: (1.179, 0.046, 0.864),
    234: (-1.174, 0.293, 0.956),
    454: (1.174, 0.293, 0.956),
    9: (0.0, -0.307, -0.394),
    151: (0.0, -0.630, -0.362),
    10: (0.0, -0.906, -0.322),
}
"""Mesh point -> (x, y, z) in eye distances, y down, z away from the camera: the median over 293 frontal
portraits, made symmetric. Lips, chin, brows and lids are left out because they move by themselves."""

DLIB_AS_MESH: Final[dict[int, int]] = {
    36: 33, 39: 133, 42: 362, 45: 263, 27: 168, 28: 6, 29: 195, 30: 4, 31: 98, 33: 2, 35: 327,
}  # fmt: skip
"""Points of the 68 that lie where a rigid mesh point lies."""


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Turn of the head in degrees, zero for a face that looks into the camera.

    Attributes:
        yaw: -90..90 in sight; above zero the face is turned towards the frame's right.
        pitch: above zero the face looks up.
        roll: above zero the head is tilted clockwise on screen.
    """

    yaw: float
    pitch: float
    roll: float


def correspondences(layout: Layout) -> tuple[list[int], Points]:
    """Indices into a layout's landmarks and the (n, 3) mean face points that belong to them."""
    pairs = {k: k for k in MEAN_FACE} if layout == "mesh-478" else DLIB_AS_MESH
    return list(pairs), np.array([MEAN_FACE[mesh] for mesh in pairs.values()])


def head_pose(face: Face) -> HeadPose:
    """Pose of `face` by least squares over its rigid points."""
    indices, model = correspondences(face.layout)
    seen = face.landmarks[indices, :2].astype(np.float64)
    affine = np.linalg.lstsq(model - model.mean(axis=0), seen - seen.mean(axis=0), rcond=None)[0].T
    left, _, right = np.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    matrix = np.vstack([rows, np.cross(rows[0], rows[1])])
    return HeadPose(
        yaw=float(np.degrees(np.arctan2(matrix[2, 0], matrix[2, 2]))),
        pitch=float(np.degrees(np.arcsin(np.clip(-matrix[2, 1], -1, 1)))),
        roll=float(np.degrees(np.arctan2(-matrix[0, 1], matrix[1, 1]))),
    )
