"""Sentences and faces as vectors of one space: what says how well a text describes a face.

Two implementations: our own, small and made for faces (`face_text.py`), and CLIP from the user's file (`clip.py`).
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..errors import ShapeError

FACE_SIZE = 256


class TextImageEmbedding(Protocol):
    """A space of texts and faces.

    Guarantees, held by the contract tests over every implementation:
    - Vectors are float32 of unit length, and the same for the same input, alone or in a batch.
    - `faces` is differentiable in the faces; `texts` needs no gradient.
    - No texts and no faces give (0, size).
    - Faces of another shape are refused with ShapeError.
    """

    @property
    def name(self) -> str:
        """For reports."""
        ...

    @property
    def size(self) -> int:
        """D."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """B sentences -> (B, D)."""
        ...

    def faces(self, faces: Tensor) -> Tensor:
        """(B, 3, 256, 256) aligned as FFHQ, RGB in [-1, 1] -> (B, D). Raises ShapeError."""
        ...


def check_faces(faces: Tensor) -> None:
    """Raise ShapeError unless they are (B, 3, 256, 256)."""
    if faces.ndim != 4 or faces.shape[1:] != (3, FACE_SIZE, FACE_SIZE):
        raise ShapeError(f"expected faces of shape (B, 3, {FACE_SIZE}, {FACE_SIZE}), got {tuple(faces.shape)}")
