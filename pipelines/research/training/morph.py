"""Faces of people who do not exist, out of aligned pictures of people who do.

A few hundred people are too few for an encoder: it learns them by heart and draws another person for a new one. The
shape of one face with the skin of another, or of both, is a new person in real light, and there is no end of them.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ....models.arrays import Points
from ....models.faces.faces import FaceBackend, FaceRegion, locate_face
from ....stream.frame import Pixels
from ...common.image_ops import to_bytes
from ...compositing.composite import warp
from ...compositing.shape_match import displacement
from ...tracking.align import CROP

LEAST_PRESENCE = 0.5
TRIES = 20
FURTHEST = 12.0  # crop pixels, mean distance of the features of two faces that go together


def landmarks_of_crops(faces: npt.NDArray[np.uint8], backend: FaceBackend) -> list[Points | None]:
    """(N, 256, 256, 3) aligned faces -> (points, 2) crop pixels of each; None where no face is found."""
    region = FaceRegion(CROP / 2, CROP * 0.53, CROP * 0.85)
    found: list[Points | None] = []
    for face in faces:
        seen = locate_face(backend, face, region)
        sure = seen if seen is not None and seen.presence >= LEAST_PRESENCE else None
        found.append(None if sure is None else sure.landmarks[:, :2].astype(np.float64))
    return found


def morph(faces: Sequence[Pixels], points: Sequence[Points], shape: float, skin: float) -> Pixels:
    """One face out of two, (256, 256, 3) uint8.

    faces: two aligned pictures. points: their landmarks. shape, skin: 0..1, share of the second in where the features
    lie, and in what they look like.
    """
    wanted = (1 - shape) * points[0] + shape * points[1]
    parts = [
        warp(face.astype(np.float32), displacement(wanted, own))
        for face, own, share in zip(faces, points, (1 - skin, skin), strict=True)
        if share > 0
    ]
    picture = parts[0] if len(parts) == 1 else cv2.addWeighted(parts[0], 1 - skin, parts[1], skin, 0)
    return to_bytes(picture)


class Morphs:
    """An endless set of faces made of a set of pictures."""

    def __init__(self, faces: npt.NDArray[np.uint8], points: Sequence[Points | None]) -> None:
        kept = [index for index, own in enumerate(points) if own is not None]
        self.faces = faces[kept]
        self.points = [own for own in points if own is not None]

    def __len__(self) -> int:
        return len(self.faces)

    def pair(self, random: np.random.Generator) -> tuple[int, int]:
        """Two faces whose features lie alike, as far as TRIES draws find such."""
        first = second = 0
        for _ in range(TRIES):
            first, second = (int(index) for index in random.choice(len(self.faces), 2, replace=False))
            if np.abs(self.points[first] - self.points[second]).mean() < FURTHEST:
                break
        return first, second

    def draw(self, random: np.random.Generator) -> Pixels:
        """Shape anywhere between two faces, skin of one of them or, one time in three, of both."""
        first, second = self.pair(random)
        skin = float(random.uniform(0.3, 0.7)) if random.random() < 1 / 3 else 0.0
        shape = float(random.uniform(0.0, 1.0))
        return morph([self.faces[first], self.faces[second]], [self.points[first], self.points[second]], shape, skin)
