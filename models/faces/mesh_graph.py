"""The face mesh with gradients: 478 landmarks and 52 blendshapes of FFHQ-aligned faces, for losses.

The networks are those of the `mesh` backend (see `mesh.py`), run by torch. The backend cuts a turned square around the
landmarks of the last frame, 1.02 times as wide as the aligned face and further down by a tenth. A fixed square serves
here, which keeps the gradient simple: it is the aligned face itself, moved down by whole pixels.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.tflite_graph import TfliteGraph, load_tflite
from ..weight_files import WeightFiles
from .blendshapes import MESH_SUBSET
from .mesh import PATCH

DROP: Final = 26
"""Rows by which the network's patch lies lower than the aligned face; the rows that are missing are mirrored, as there.
Over 30 portraits the landmarks then are 0.62 pixels (mean) and the blendshapes 0.013 from the backend's own."""


@dataclass(frozen=True, slots=True, eq=False)
class MeshFaces:
    """What the networks say of B faces.

    Attributes:
        points: (B, 478, 2) landmarks in pixels of a 256x256 aligned face, pixel centres at whole numbers.
        presence: (B,) probability of a face being there.
        blendshapes: (B, 52), 0..1, in the order of `blendshapes.NAMES`.
    """

    points: Tensor
    presence: Tensor
    blendshapes: Tensor


class MeshGraph(nn.Module):
    """Landmarks and blendshapes of aligned faces. Gradients flow to the faces."""

    def __init__(self, mesh: TfliteGraph, blendshapes: TfliteGraph) -> None:
        super().__init__()
        self.mesh = mesh
        self.shapes = blendshapes
        self.register_buffer("subset", torch.tensor(MESH_SUBSET))
        # The network counts from the patch's outer corner.
        self.register_buffer("origin", torch.tensor([-0.5, DROP - 0.5]))

    def forward(self, faces: Tensor) -> MeshFaces:
        """faces: (B, 3, 256, 256) aligned as FFHQ, RGB in [-1, 1]. Raises ShapeError for another size."""
        if faces.ndim != 4 or faces.shape[1:] != (3, PATCH, PATCH):
            raise ShapeError(f"expected faces of shape (B, 3, {PATCH}, {PATCH}), got {tuple(faces.shape)}")
        patch = F.pad(faces[:, :, DROP:], (0, 0, 0, DROP), mode="reflect").clamp(-1, 1)
        outputs = self.mesh(((patch + 1) / 2).permute(0, 2, 3, 1))
        points = outputs["Identity"].reshape(len(faces), -1, 3)[..., :2] + self.get_buffer("origin")
        presence = torch.sigmoid(outputs["Identity_1"].reshape(len(faces)))
        return MeshFaces(points, presence, self.blendshapes(points))

    def blendshapes(self, points: Tensor) -> Tensor:
        """points: (B, 478, 2) in pixels -> (B, 52) coefficients. The network takes out place, size and turn itself."""
        (values,) = self.shapes(points[:, self.get_buffer("subset")]).values()
        result: Tensor = values
        return result


def load_mesh_graph(weights: WeightFiles) -> MeshGraph:
    """Both networks, from the zoo's `face-landmarker` entry."""
    return MeshGraph(
        load_tflite(weights.path("face-landmarker", "face_landmarks_detector.tflite")),
        load_tflite(weights.path("face-landmarker", "face_blendshapes.tflite")),
    ).eval()
