"""Scores of a drawn face for finding edits: expression, pose, age, and how hair, skin, beard and glasses look.

More than `attributes`, which judges videos, and slower: the regions come from the parser. Every score is a number that
grows with what its name says, measured on an aligned crop with its landmarks.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import ByteMask, Float64Array, Points
from ....models.faces.bisenet import CLASSES, load_bisenet
from ....models.faces.blendshapes import INDEX
from ....models.faces.faces import Face, FaceBackend
from ....models.faces.mesh import load_mesh_backend
from ....models.metrics.age_gender import AgeModel, GenderModel, load_age, load_gender
from ....stream.frame import Pixels
from ...tracking.head_pose import head_pose
from . import attributes
from .attributes import FaceReader, smile

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo


_SCORES: Final[Mapping[str, tuple[float, str]]] = {
    "smile": (0.355, attributes.UNITS["smile"]),
    "age": (13.6, attributes.UNITS["age"]),
    "gender": (0.477, attributes.UNITS["gender"]),
    "yaw": (14.9, attributes.UNITS["yaw"]),
    "pitch": (5.6, attributes.UNITS["pitch"]),
    "mouth-open": (0.058, attributes.UNITS["mouth-open"]),
    "eyes-closed": (0.09, attributes.UNITS["eyes-closed"]),
    "gaze": (0.333, "eyeLook coefficients towards the picture's right less left, -1..1"),
    "brow": (0.358, "brows up less down, coefficients, about -1..1"),
    "blond": (0.126, "0..1, from the hair's colour"),
    "black": (0.348, "0..1, from the hair's colour"),
    "grey": (0.164, "0..1, from the hair's colour"),
    "hair": (0.13, "share of the crop that is hair, 0..1"),
    "beard": (0.281, "0..1, from how rough and dark the lower face is beside the cheeks"),
    "glasses": (0.212, "share of the eyes' box that is glasses, 0..1"),
    "skin": (10.1, "lightness of the cheeks, L* of CIELAB, 0..100"),
    "skin-yellow": (7.0, "b* of the cheeks' colour, CIELAB"),
    "width": (0.063, "width of the face at the cheeks over its height"),
    "back-light": (24.0, "lightness of the background, L* of CIELAB, 0..100"),
    "back-yellow": (12.0, "b* of the background's colour, CIELAB"),
}
NAMES: Final = tuple(_SCORES)
SPREADS: Final[Mapping[str, float]] = {name: spread for name, (spread, _) in _SCORES.items()}
"""Standard deviation of each score over drawn faces, W truncated by 0.6 to 1: what movements are counted in."""
UNITS: Final[Mapping[str, str]] = {name: unit for name, (_, unit) in _SCORES.items()}
"""Score -> what it is counted in. The background is scored to hold it still: else hair is made blonder, and skin
lighter, by tinting or brightening the whole picture."""

FEWEST_PIXELS: Final = 40  # of a region, for its colour to be believed
PARSED_AT: Final = 384  # glasses are lost at 256, and 512 finds no more of them

CHEEKS: Final = ((50, 101, 118, 117, 123, 147, 187, 205), (280, 330, 347, 346, 352, 376, 411, 425))
JAWS: Final = (
    (57, 43, 106, 182, 83, 18, 200, 199, 175, 171, 140, 170, 169, 135, 138, 192, 214, 212),
    (287, 273, 335, 406, 313, 18, 200, 199, 175, 396, 369, 395, 394, 364, 367, 416, 434, 432),
)
LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
MOUSTACHE: Final = (92, 165, 167, 164, 393, 391, 322, 270, 269, 267, 0, 37, 39, 40)
EYES: Final = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 346, 347, 348, 349, 197, 120, 119, 118, 117)


class Parser(Protocol):
    """Labels each pixel, as `BiSeNet` does."""

    def parse(self, x: Tensor, *, size: int = 512) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, H, W) uint8 indices into `bisenet.CLASSES`."""
        ...


class FaceScorer:
    """Scores of aligned faces by the zoo's models."""

    def __init__(self, backend: FaceBackend, age: AgeModel, gender: GenderModel, parser: Parser) -> None:
        self._read = FaceReader(backend, age, gender)
        self._parser = parser

    def __call__(self, face: Pixels) -> Float64Array | None:
        """(256, 256, 3) aligned face -> (scores,) in the order of NAMES, None where no face is found."""
        seen = self._read(face)
        if seen is None:
            return None
        with torch.inference_mode():
            labels: ByteMask = self._parser.parse(seen.picture, size=PARSED_AT)[0].numpy()
        scores = {"age": seen.age, "gender": seen.gender}
        scores |= shape_scores(seen.face) | colour_scores(face, labels, seen.face)
        return np.array([scores[name] for name in NAMES])


def shape_scores(face: Face) -> dict[str, float]:
    """Those of expression, pose and proportion. face: with blendshapes and the 478 points of the mesh."""
    assert face.blendshapes is not None
    shape = {name: float(face.blendshapes[index]) for name, index in INDEX.items()}
    pose = head_pose(face)
    right = shape["eyeLookInRight"] + shape["eyeLookOutLeft"]  # the person's own sides; the picture mirrors them
    left = shape["eyeLookOutRight"] + shape["eyeLookInLeft"]
    up = shape["browInnerUp"] + (shape["browOuterUpLeft"] + shape["browOuterUpRight"]) / 2
    return {
        "smile": smile(face),
        "yaw": pose.yaw,
        "pitch": pose.pitch,
        "mouth-open": shape["jawOpen"],
        "eyes-closed": (shape["eyeBlinkLeft"] + shape["eyeBlinkRight"]) / 2,
        "gaze": (right - left) / 2,
        "brow": up - (shape["browDownLeft"] + shape["browDownRight"]) / 2,
        "width": face_width(face.landmarks.astype(np.float64)),
    }


def face_width(points: Points) -> float:
    """Width at the lower cheeks over the height from between the eyes to the chin; in depth, too, so that a turned
    head is no narrower. points: (478, 3)."""
    width = np.linalg.norm(points[435] - points[215]) + np.linalg.norm(points[361] - points[132])
    return float(width / 2 / np.linalg.norm(points[152] - points[168]))


def colour_scores(face: Pixels, labels: ByteMask, seen: Face) -> dict[str, float]:
    """Those of hair, beard, glasses and skin. labels: (256, 256) indices into `bisenet.CLASSES`."""
    lab = cv2.cvtColor(face.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    points = seen.landmarks[:, :2].astype(np.float64)
    skin = labels == CLASSES.index("skin")
    cheeks = (region(points, CHEEKS[0]) | region(points, CHEEKS[1])) & skin
    light, _, yellow = colour_of(lab, cheeks)
    behind, _, behind_yellow = colour_of(lab, labels == CLASSES.index("background"))
    eyes = region(points, EYES)
    glasses = labels == CLASSES.index("glasses")
    hair = labels == CLASSES.index("hair")
    return {
        **hair_scores(*colour_of(lab, hair)),
        "hair": float(hair.mean()),
        "beard": beard_score(lab, points, skin),
        "glasses": float((glasses & eyes).sum() / max(1, eyes.sum())),
        "skin": light,
        "skin-yellow": yellow,
        "back-light": behind,
        "back-yellow": behind_yellow,
    }


def region(points: Points, outline: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """(256, 256) inside of the convex hull of some landmarks."""
    mask = np.zeros((256, 256), np.uint8)
    hull = cv2.convexHull(np.rint(points[list(outline)]).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 1)
    return mask.astype(bool)


def colour_of(lab: Float64Array, where: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Median L*, a*, b* of the pixels; of the whole crop where there are next to none."""
    if where.sum() < FEWEST_PIXELS:
        where = np.ones_like(where)
    light, red, yellow = np.median(lab[where], axis=0)
    return float(light), float(red), float(yellow)


def hair_scores(light: float, red: float, yellow: float) -> dict[str, float]:
    """How blond, black and grey a colour of CIELAB is, each 0..1."""
    chroma = float(np.hypot(red, yellow))
    return {
        "blond": step(light, 45, 8) * step(yellow, 15, 4),
        "black": step(-light, -20, 5),
        "grey": step(light, 38, 8) * step(-chroma, -10, 3),
    }


def step(value: float, middle: float, width: float) -> float:
    """0 far below the middle, 1 far above it."""
    return float(1 / (1 + np.exp(-np.clip((value - middle) / width, -30, 30))))


def beard_score(lab: Float64Array, points: Points, skin: npt.NDArray[np.bool_]) -> float:
    """0..1: whether chin, jaw and upper lip are rough, and darker than the cheek of the same side.

    Light from a side darkens one half of a face; the half that is darkened less is believed.
    """
    lips = region(points, LIPS)
    fine = np.abs(lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 2.0))
    above = colour_of(lab, region(points, MOUSTACHE) & ~lips)[0]
    darker, rougher = [], []
    for cheek, jaw in zip(CHEEKS, JAWS, strict=True):
        bare, lower = region(points, cheek) & skin, region(points, jaw) & ~lips
        if bare.sum() < FEWEST_PIXELS or lower.sum() < FEWEST_PIXELS:
            continue
        light = max(1.0, colour_of(lab, bare)[0])
        darker.append(np.clip([light - above, light - colour_of(lab, lower)[0]], 0, 0.3 * light).sum() / light)
        rougher.append(float(fine[lower].mean() - fine[bare].mean()))
    if not darker:
        return 0.0
    return step(float(np.mean(rougher)), 0.6, 0.2) * step(float(min(darker)), 0.12, 0.06)


def load_face_scorer(zoo: "Zoo") -> FaceScorer:
    """The scorer with the zoo's weights."""
    return FaceScorer(load_mesh_backend(zoo), load_age(zoo), load_gender(zoo), load_bisenet(zoo))
