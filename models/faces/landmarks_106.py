"""106 landmarks of aligned faces by InsightFace's `2d106det`: a second opinion, beside the mesh, for measuring."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.onnx_graph import OnnxGraph, load_onnx
from ..weight_files import WeightFiles

POINTS: Final = 106
SIZE: Final = 192
MIDDLE: Final = (128.0, 141.0)
SIDE: Final = 225.0
"""Where the face lies in a 256x256 crop aligned as FFHQ, 1.5 times as wide as its box, as InsightFace cuts it."""


class Landmarks106(nn.Module):
    """Places landmarks; gradients flow to the faces."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, faces: Tensor) -> Tensor:
        """faces: (B, 3, 256, 256) aligned as FFHQ, RGB in [-1, 1] -> (B, 106, 2) in pixels, centres at whole numbers.

        Raises ShapeError for another size.
        """
        if faces.ndim != 4 or faces.shape[1:] != (3, 256, 256):
            raise ShapeError(f"expected faces of shape (B, 3, 256, 256), got {tuple(faces.shape)}")
        scale = SIDE / 256
        shift = [2 * (place + 0.5) / 256 - 1 for place in MIDDLE]
        matrix = faces.new_tensor([[scale, 0, shift[0]], [0, scale, shift[1]]]).expand(len(faces), -1, -1)
        grid = F.affine_grid(matrix, [len(faces), 3, SIZE, SIZE], align_corners=False)
        patches = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
        found: Tensor = self.graph((patches + 1) * 127.5).unflatten(1, (POINTS, 2))
        # It counts from the patch's middle in halves of its side.
        return found * SIDE / 2 + faces.new_tensor(MIDDLE)


def load_landmarks_106(zoo: WeightFiles) -> Landmarks106:
    """The network with InsightFace's weights (non-commercial research), pulled on first use. Raises WeightsError."""
    return Landmarks106(load_onnx(zoo.path("landmarks-106"), (3, SIZE, SIZE), (2 * POINTS,)))
