"""Does the result move as its source does: landmarks and identity, frame against frame."""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float32Array
from ....models.faces.faces import locate_face
from ....stream.frame import Pixels
from . import identity

if TYPE_CHECKING:
    from ....models.faces.faces import FaceBackend

LEAST_PRESENCE: Final = 0.5


def landmarks(backend: "FaceBackend", crop: Pixels) -> Float32Array | None:
    """(N, 2) float32 landmarks of the largest face on an aligned crop, in its pixels; None where none is found."""
    face = locate_face(backend, crop)
    return face.landmarks[:, :2].copy() if face is not None and face.presence >= LEAST_PRESENCE else None


def akd(a: Float32Array, b: Float32Array) -> float:
    """Average keypoint distance of one frame; a video's is the mean over its frames.

    Formula: mean_k |a_k - b_k|. Source: Siarohin, Lathuiliere, Tulyakov, Ricci, Sebe, "First Order Motion Model",
    NeurIPS 2019, section 4, with the face mesh's points in place of 68. An edit of the expression moves some of them
    on purpose. Range: 0 up. Direction: lower is better. Unit: pixels of a 256x256 FFHQ crop.

    Args:
        a, b: (N, 2) landmarks of the source and of the result, on crops of one quad.
    """
    return float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1).mean())


def aed(source: Float32Array, result: Float32Array) -> npt.NDArray[np.float64]:
    """Average Euclidean distance of identity embeddings of one frame each; a video's is the mean over its frames.

    Formula: |e(source) - e(result)|. Source: First Order Motion Model, section 4, with this project's embeddings in
    place of OpenFace. Range: 0 up. Direction: lower is better. Unit: the embedding's own (dlib: one person below 0.6).

    Args:
        source, result: (..., D).
    """
    return identity.distance(source, result)
