"""A face's shape apart from its pose, and the features in which motion is carried over from one face to another.

Two faces differ in shape, so motion is carried over as changes: of landmarks in the aligned crop, of the openings of
lids and lips, of gaze and of the blendshapes. The head's turn is taken out of the landmarks first, by their depth, and
put back at the angle that the other head is to have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import torch

from ...models.arrays import Float64Array, Points
from ...models.faces.blendshapes import INDEX, NAMES
from ...models.faces.faces import Face
from ...models.faces.mesh_measures import FINE, irises, openings
from ..common.errors import PipelineError
from ..tracking.align import alignment_points, ffhq_quad, landmarks_in_crop, to_crop
from ..tracking.head_pose import HeadPose, head_pose

FINE_WEIGHT: Final = 4.0
"""Of landmarks of lids, irises, lips and brows, beside others."""
BROWS: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
OPENING_WEIGHTS: Final = np.array([6.0, 6.0, 5.0, 3.0, 3.0, 3.0, 2.5, 2.5])
"""Crop pixels of every landmark that an opening of 1 counts as: of eyes, then of lips."""
GAZE_WEIGHT: Final = 5.0
SHAPE_WEIGHT: Final = 0.3
PLACE_WEIGHT: Final = 0.4
MOST_OPEN: Final = 1.4
"""How much wider than at rest an eye may open, as a share."""

SHAPE_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {"_neutral": 0.0, "jawOpen": 2.0, "mouthSmile": 2.0, "eyeBlink": 1.5, "brow": 1.5, "mouthPucker": 1.5,
     "mouthFunnel": 1.5, "eyeLook": 0.7}
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFace:
    """One face in one picture.

    Attributes:
        shape: (478, 3) landmarks in pixels of the aligned crop, turned to look into the camera, about their middle.
        pose: as it was.
        points: (478, 2) in the aligned crop, as seen.
        openings: (8,), irises: (4,), blendshapes: (52,).
        places: (6,) alignment points in the picture's own pixels; of a drawn face, where it lies in its crop.
        seen: (478, 2) in the picture's own pixels.
    """

    shape: Float64Array
    pose: HeadPose
    points: Points
    openings: Float64Array
    irises: Float64Array
    blendshapes: Float64Array
    places: Float64Array
    seen: Points


def measure(face: Face) -> MeasuredFace:
    """Raises PipelineError for a backend without the mesh."""
    if face.layout != "mesh-478" or face.blendshapes is None:
        raise PipelineError("motion is carried over by the face mesh; leave out --backend, or give --backend mesh")
    at = alignment_points(face)
    quad = ffhq_quad(at)
    plane = landmarks_in_crop(face.landmarks, quad)
    scale = 256 / float(np.hypot(*(quad[3] - quad[0])))
    depth = face.landmarks[:, 2].astype(np.float64) * scale
    pose = head_pose(Face(np.column_stack([plane, depth]).astype(np.float32), face.layout, 1.0, face.blendshapes))
    solid = np.column_stack([plane, depth])
    flat = torch.from_numpy(plane[None]).float()
    return MeasuredFace(
        shape=(solid - solid.mean(0)) @ rotation(pose),
        pose=pose,
        points=plane,
        openings=openings(flat)[0].double().numpy(),
        irises=irises(flat)[0].flatten().double().numpy(),
        blendshapes=face.blendshapes.astype(np.float64),
        places=at.flatten(),
        seen=face.landmarks[:, :2].astype(np.float64),
    )


def rotation(pose: HeadPose) -> Float64Array:
    """(3, 3): from a head that looks into the camera to one of that pose; the inverse of `head_pose`."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def posed(shape: Float64Array, pose: HeadPose) -> Points:
    """(478, 2) in the aligned crop: a shape at a pose."""
    turned = shape @ rotation(pose).T
    face = Face(turned.astype(np.float32), "mesh-478", 1.0)
    return to_crop(turned[:, :2], ffhq_quad(alignment_points(face)))


FEATURES: Final = (*(f"landmark {i // 2}" for i in range(956)), *(f"opening {i}" for i in range(8)),
                   *(f"iris {i}" for i in range(4)), *NAMES, *(f"place {i}" for i in range(6)))  # fmt: skip


def features(face: MeasuredFace) -> Float64Array:
    """(F,) of a face as it is."""
    return np.concatenate([face.points.ravel(), face.openings, face.irises, face.blendshapes, face.places])


def expression_change(
    driver: MeasuredFace, reference: MeasuredFace, own: MeasuredFace, *, strength: float = 1.0, absolute: bool = False
) -> Float64Array:
    """(F,): by what the features of `own` change where its expression does what `driver`'s does.

    Relative to the driver's `reference`; where `absolute`, lids, lips, gaze and blendshapes become the driver's own.
    """
    shape = reference.shape + strength * (driver.shape - reference.shape)
    points = posed(shape, own.pose) - posed(reference.shape, own.pose)
    before = own if absolute else reference
    opened = strength * (driver.openings - before.openings)
    # An eye that closes closes wholly, however wide it was: lids move by the share of their own opening.
    share = 1 + strength * (driver.openings[:2] / np.maximum(before.openings[:2], 0.05) - 1)
    opened[:2] = own.openings[:2] * (np.clip(share, 0, MOST_OPEN) - 1)
    gaze = strength * (driver.irises - before.irises)
    shapes = strength * (driver.blendshapes - before.blendshapes)
    return np.concatenate([points.ravel(), opened, gaze, shapes, np.zeros(6)])


def pose_change(own: MeasuredFace, pose: HeadPose) -> Float64Array:
    """(F,): by what the features of `own` change where its head turns to a pose, the face at rest."""
    moved = np.zeros(len(FEATURES))
    moved[: 2 * 478] = (posed(own.shape, pose) - posed(own.shape, own.pose)).ravel()
    return moved


def scores(face: MeasuredFace) -> dict[str, float]:
    """What the directions that move a face are measured by, in their units."""
    shape = {name: float(face.blendshapes[index]) for name, index in INDEX.items()}
    right = shape["eyeLookInRight"] + shape["eyeLookOutLeft"]
    left = shape["eyeLookOutRight"] + shape["eyeLookInLeft"]
    up = shape["browInnerUp"] + (shape["browOuterUpLeft"] + shape["browOuterUpRight"]) / 2
    return {
        "smile": (shape["mouthSmileLeft"] + shape["mouthSmileRight"]) / 2,
        "mouth-open": shape["jawOpen"],
        "eyes-closed": (shape["eyeBlinkLeft"] + shape["eyeBlinkRight"]) / 2,
        "gaze": (right - left) / 2,
        "brow": up - (shape["browDownLeft"] + shape["browDownRight"]) / 2,
        "yaw": face.pose.yaw,
        "pitch": face.pose.pitch,
    }


def feature_weights() -> Float64Array:
    """(F,) square roots of the weights of features: a crop pixel of every landmark together counts 1."""
    landmarks = np.ones(478)
    landmarks[[*FINE, *BROWS]] = FINE_WEIGHT
    landmarks = np.repeat(np.sqrt(landmarks / landmarks.sum()), 2)
    shapes = [next((weight for name, weight in SHAPE_WEIGHTS.items() if one.startswith(name)), 1.0) for one in NAMES]
    return np.concatenate(
        [landmarks, OPENING_WEIGHTS, np.full(4, GAZE_WEIGHT), SHAPE_WEIGHT * np.array(shapes),
         np.full(6, PLACE_WEIGHT)]
    )  # fmt: skip
