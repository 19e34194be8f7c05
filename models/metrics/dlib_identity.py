"""dlib's 128-d identity embedding: a second family, to evaluate models trained with ArcFace.

King, "High Quality Face Recognition with Deep Metric Learning", dlib 2017: `dlib_face_recognition_resnet_model_v1`
(CC0). Needs the package dlib, which the extra `dlib` installs; it has no gradient and runs on the CPU.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..arrays import Float32Array, Pixels
from ..errors import ModelError, ShapeError, WeightsError
from ..faces.faces import Face
from ..weight_files import WeightFiles
from .dlib_chip import cut_chip, ffhq_box
from .ffhq_crop import crop_box

SIZE: Final = 150
PADDING: Final = 0.25

SAME_PERSON: Final = 0.6
"""Distance under which dlib takes two faces for one person (99.38 % on LFW)."""


class DlibIdentity:
    """Embeds faces by who they are; compare two with `distance`."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError if the package dlib is not installed, WeightsError if the file is not its network."""
        try:
            import dlib
        except ImportError as error:
            raise ModelError("the dlib identity needs the package dlib: pip install 'dynstream[dlib]'") from error
        try:
            self._network: Any = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise WeightsError(f"{path} is not dlib's face recognition network ({error})") from error

    def embed_chips(self, chips: Sequence[Pixels] | npt.NDArray[np.uint8]) -> Float32Array:
        """Embeds chips.

        Args:
            chips: N of (150, 150, 3) uint8 RGB, aligned as `dlib_chip.cut_chip` does with `SIZE` and `PADDING`.

        Returns:
            (N, 128) float32; their Euclidean distances are what counts, their length does not.

        Raises:
            ShapeError: a chip of another shape or type.
        """
        for chip in chips:
            if chip.shape != (SIZE, SIZE, 3) or chip.dtype != np.uint8:
                raise ShapeError(f"the dlib identity got {chip.shape} {chip.dtype}, expected (150, 150, 3) uint8")
        found = [self._network.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips]
        return np.array(found, np.float32).reshape(-1, 128)

    def embed(self, pixels: Pixels, face: Face) -> Float32Array:
        """(128,) float32 of one face of a (H, W, 3) uint8 RGB frame."""
        embedding: Float32Array = self.embed_chips([cut_chip(pixels, face, SIZE, PADDING)])[0]
        return embedding

    def embed_ffhq(self, x: Tensor) -> Float32Array:
        """Embeds FFHQ-aligned faces through one fixed crop.

        Args:
            x: (B, 3, S, S) float, RGB in [-1, 1], aligned as FFHQ; S of at least 64.

        Returns:
            (B, 128) float32.
        """
        chips = crop_box(x.detach().float(), ffhq_box(PADDING), SIZE)
        levels = ((chips + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return self.embed_chips(levels.permute(0, 2, 3, 1).cpu().numpy())


def distance(a: Float32Array, b: Float32Array) -> Float32Array:
    """(...,) Euclidean distances of (..., 128) embeddings; below `SAME_PERSON` for one person."""
    difference: Float32Array = np.linalg.norm(a - b, axis=-1)
    return difference


def load_dlib_identity(zoo: WeightFiles) -> DlibIdentity:
    """dlib's embedding with its weights (CC0), pulled on first use.

    Raises:
        ModelError: the package dlib is not installed.
        WeightsError: the weights are not available.
    """
    return DlibIdentity(zoo.path("dlib-identity"))
