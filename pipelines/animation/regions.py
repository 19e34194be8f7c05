"""Which part of a face follows which driver: by a name, or by a mask over the 8x8 cells of the aligned crop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from ...models.arrays import Float64Array, Points
from ...models.dynamics.dynamics_encoder import CELLS
from ...models.faces.blendshapes import NAMES
from ...models.faces.mesh_measures import FINE, LEFT_EYE, LIDS, LIPS, RIGHT_EYE
from ..common.errors import OptionError
from ..tracking.align import CROP
from .face_motion import BROWS

MOUTH_POINTS: Final = frozenset(
    (*FINE[42:], *range(164, 168), 2, 200, 199, 175, 152, 18, 83, 313, 182, 406, 43, 273, 57, 287, 202, 422, 210, 430)
)
EYE_POINTS: Final = frozenset(FINE[:42])
BROW_RIGHT: Final = BROWS[:10]
BROW_LEFT: Final = BROWS[10:]
BROW_POINTS: Final = frozenset((*BROW_RIGHT, *BROW_LEFT, 9, 8, 108, 337, 151))
REGION_NAMES: Final = ("mouth", "eyes", "brows", "head", "left", "right")


@dataclass(frozen=True, slots=True, eq=False)
class FaceRegion:
    """How far each part of a face follows, 0..1.

    Attributes:
        landmarks: (478,). openings: (8,). irises: (4,). shapes: (52,) blendshapes.
        head: the head's turn and place.
    """

    landmarks: Float64Array
    openings: Float64Array
    irises: Float64Array
    shapes: Float64Array
    head: float

    def features(self) -> Float64Array:
        """(F,) factors of `face_motion.features`, without the head."""
        return np.concatenate([np.repeat(self.landmarks, 2), self.openings, self.irises, self.shapes, np.ones(6)])

    def times(self, share: float) -> "FaceRegion":
        """The region, weaker by a share."""
        return FaceRegion(
            share * self.landmarks, share * self.openings, share * self.irises, share * self.shapes, share * self.head
        )

    def cells(self, points: Points) -> Float64Array:
        """(8, 8): the mean of landmarks in each cell, of the nearest ones where none lies. points: (478, 2)."""
        at = np.clip(points // (CROP // CELLS), 0, CELLS - 1).astype(int)
        total, count = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
        np.add.at(total, (at[:, 1], at[:, 0]), self.landmarks)
        np.add.at(count, (at[:, 1], at[:, 0]), 1.0)
        for _ in range(CELLS):
            near = cv2.blur(np.stack([total, count], 2), (3, 3), borderType=cv2.BORDER_CONSTANT)
            empty = (count == 0) & (near[..., 1] > 0)
            total[empty] = near[empty, 0] / near[empty, 1]
            count[empty] = 1.0
        return np.asarray(total / np.maximum(count, 1e-9))


def whole(share: float = 1.0) -> FaceRegion:
    """All of a face, and its head."""
    return FaceRegion(np.full(478, share), np.full(8, share), np.full(4, share), np.full(52, share), share)


def region_of(text: str, points: Points) -> FaceRegion:
    """A name of REGION_NAMES, or the path of a mask: a grey picture, white where the driver is followed.

    points: (478, 2) landmarks of the face in its aligned crop. left and right are the person's own. Raises OptionError.
    """
    if text == "head":
        nothing = whole(0.0)
        return FaceRegion(nothing.landmarks, nothing.openings, nothing.irises, nothing.shapes, 1.0)
    if text in REGION_NAMES:
        middle = points[[168, 6, 4]][:, 0].mean()
        chosen = {
            "mouth": np.isin(np.arange(478), list(MOUTH_POINTS)),
            "eyes": np.isin(np.arange(478), list(EYE_POINTS)),
            "brows": np.isin(np.arange(478), list(BROW_POINTS)),
            # The person's left is on the picture's right.
            "left": points[:, 0] >= middle,
            "right": points[:, 0] < middle,
        }[text]
        return _by_landmarks(chosen.astype(np.float64), 0.0)
    path = Path(text)
    if not path.is_file():
        raise OptionError(f"--region {text}: expected one of {', '.join(REGION_NAMES)}, or a picture as a mask")
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape[0] != mask.shape[1]:
        got = "no picture" if mask is None else f"{mask.shape[1]}x{mask.shape[0]}"
        raise OptionError(f"--region {path}: expected a square grey picture, such as 8x8, got {got}")
    cells = cv2.resize(mask, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
    return region_of_cells(cells, points)


def region_of_cells(cells: Float64Array, points: Points) -> FaceRegion:
    """Of a mask (8, 8) in 0..1 over the aligned crop. The head follows by the mask's mean over the face."""
    at = np.clip(points // (CROP // CELLS), 0, CELLS - 1).astype(int)
    landmarks = cells[at[:, 1], at[:, 0]]
    return _by_landmarks(landmarks, float(landmarks.mean()))


def _by_landmarks(weights: Float64Array, head: float) -> FaceRegion:
    """Openings, gaze and blendshapes follow as the landmarks do that they are about."""
    lids = [np.mean([weights[list(pair)].mean() for pair in pairs]) for pairs in LIDS]
    lips = [weights[list(pair)].mean() for pair in LIPS]
    right, left = (float(weights[list(eye)].mean()) for eye in (RIGHT_EYE, LEFT_EYE))
    mouth = float(weights[list(MOUTH_POINTS)].mean())

    def shape(name: str) -> float:
        if name.startswith("eye"):
            return left if name.endswith("Left") else right if name.endswith("Right") else (left + right) / 2
        if name.startswith("brow"):
            own = (
                BROW_LEFT if name.endswith("Left") else BROW_RIGHT if name.endswith("Right") else BROW_LEFT + BROW_RIGHT
            )
            return float(weights[list(own)].mean())
        corner = 291 if name.endswith("Left") else 61 if name.endswith("Right") else None
        return mouth if corner is None else float(weights[corner])

    return FaceRegion(
        weights, np.array([*lids, *lips]), np.array([right, right, left, left]),
        np.array([shape(name) for name in NAMES]), head,
    )  # fmt: skip
