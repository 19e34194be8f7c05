"""Scores of a face that an edit may change: what directions are found by, and measured on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.faces.blendshapes import INDEX
from ....models.faces.faces import Face, FaceBackend, locate_face
from ....models.faces.mesh import load_mesh_backend
from ....models.metrics.age_gender import AgeModel, GenderModel, load_age, load_gender
from ....stream.frame import Pixels
from ...common.tensors import to_tensor
from ...tracking.head_pose import head_pose

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo

SMILE = (INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"])
UNITS: Mapping[str, str] = {
    "smile": "mean mouthSmile coefficient, 0..1",
    "age": "years",
    "gender": "probability of the label male",
    "yaw": "degrees",
    "pitch": "degrees",
    "mouth-open": "jawOpen coefficient, 0..1",
    "eyes-closed": "mean eyeBlink coefficient, 0..1",
}
"""Score -> what it is counted in."""
NAMES = tuple(UNITS)


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A face of an aligned picture, with what the networks estimate.

    Attributes:
        face: with blendshapes.
        picture: (1, 3, 256, 256) in [-1, 1].
        age: years.
        gender: probability of male.
    """

    face: Face
    picture: Tensor
    age: float
    gender: float


class FaceReader:
    """Finds the face of an aligned picture, and judges its age and gender by the zoo's models."""

    def __init__(self, backend: FaceBackend, age: AgeModel, gender: GenderModel) -> None:
        self._backend = backend
        self._age = age
        self._gender = gender

    def __call__(self, face: Pixels) -> SeenFace | None:
        """(256, 256, 3) aligned face -> what is seen, None where no face is found."""
        seen = locate_face(self._backend, face)
        if seen is None or seen.presence < 0.5 or seen.blendshapes is None:
            return None
        picture = to_tensor(face[None])
        with torch.inference_mode():
            age, gender = float(self._age.of_ffhq(picture)[0]), float(self._gender.of_ffhq(picture)[0])
        return SeenFace(seen, picture, age, gender)


class AttributeScorer:
    """Scores of aligned faces by the zoo's models: blendshapes, head pose, age and gender."""

    def __init__(self, backend: FaceBackend, age: AgeModel, gender: GenderModel) -> None:
        self._read = FaceReader(backend, age, gender)

    def __call__(self, face: Pixels) -> npt.NDArray[np.float64] | None:
        """(256, 256, 3) aligned face -> (7,) scores in the order of NAMES, None where no face is found."""
        seen = self._read(face)
        if seen is None:
            return None
        shapes, pose = seen.face.blendshapes, head_pose(seen.face)
        assert shapes is not None
        return np.array(
            [
                smile(seen.face),
                seen.age,
                seen.gender,
                pose.yaw,
                pose.pitch,
                float(shapes[INDEX["jawOpen"]]),
                float(shapes[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].mean()),
            ]
        )


def smile(face: Face) -> float:
    """Mean of the two mouthSmile blendshapes, 0..1; NaN where the face backend gives none."""
    return math.nan if face.blendshapes is None else float(face.blendshapes[list(SMILE)].mean())


def load_attribute_scorer(zoo: "Zoo") -> AttributeScorer:
    """The scorer with the zoo's weights."""
    return AttributeScorer(load_mesh_backend(zoo), load_age(zoo), load_gender(zoo))
