"""Faces in the mesh's layout whose shape and pose are known."""

import numpy as np

from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.faces import Face
from dynstream.models.faces.mesh_measures import IRISES, LIDS
from dynstream.pipelines.animation.face_motion import MeasuredFace, measure, rotation
from dynstream.pipelines.tracking.head_pose import HeadPose

from ..fakes import TEMPLATE

FRONT = HeadPose(0, 0, 0)


def shape(open_eyes: float = 0.2, open_mouth: float = 0.0) -> np.ndarray:
    """(478, 3) in eye distances, looking into the camera. open_eyes, open_mouth: distances of lids and lips."""
    points = TEMPLATE.copy()
    for pairs, corners, x in ((LIDS[0], (33, 133), -0.5), (LIDS[1], (362, 263), 0.5)):
        for i, (upper, lower) in enumerate(pairs):
            points[upper] = (x + 0.05 * (i - 1), -open_eyes / 2, 0)
            points[lower] = (x + 0.05 * (i - 1), open_eyes / 2, 0)
        points[IRISES[0] if x < 0 else IRISES[1]] = (points[list(corners)].mean(0)[0], 0, 0)
    points[13], points[14] = (0, 1.0, 0), (0, 1.0 + open_mouth, 0)
    return points


def face(
    pose: HeadPose = FRONT, *, size: float = 64.0, at: tuple[float, float] = (128.0, 120.0),
    open_eyes: float = 0.2, open_mouth: float = 0.0, **shapes: float,
) -> Face:  # fmt: skip
    """A face somewhere in a picture."""
    points = size * shape(open_eyes, open_mouth) @ rotation(pose).T + [*at, 0]
    values = np.zeros(52, np.float32)
    for name, value in shapes.items():
        values[INDEX[name]] = value
    return Face(points.astype(np.float32), "mesh-478", 0.99, values)


def measured(pose: HeadPose = FRONT, **options: float) -> MeasuredFace:
    return measure(face(pose, **options))  # type: ignore[arg-type]
