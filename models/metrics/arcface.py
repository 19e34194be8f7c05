"""ArcFace identity embedding: InsightFace's `w600k_mbf`, differentiable.

Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, with the
backbone of Chen, Liu, Gao, Han, "MobileFaceNets", CCBR 2018.
"""

from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ShapeError
from ..formats.onnx_graph import OnnxGraph, load_onnx
from ..weight_files import WeightFiles
from .ffhq_crop import Box, crop_box

SIZE: Final = 112
EMBEDDING: Final = 512

TEMPLATE: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where InsightFace puts the eye on the image's left, the other eye, the tip of the nose and the corners of the mouth,
in pixels of the 112x112 input (pixel centres at whole numbers)."""

FFHQ_BOX: Final[Box] = (0.1095, 0.1017, 0.8875, 0.8797)
"""The part of an FFHQ crop that `TEMPLATE` covers: the box with the greatest cosine between the fixed crop and the
five-point alignment of the same face (mean 0.972, 10th percentile 0.956, over 198 portraits)."""


class ArcFace(nn.Module):
    """Embeds faces by who they are; the cosine of two is 0.6-0.9 for one person in one clip, about 0 for strangers."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """Embeds aligned faces; gradients flow to them.

        Args:
            x: (B, 3, 112, 112) float, RGB in [-1, 1], aligned to `TEMPLATE`.

        Returns:
            (B, 512) embeddings of unit length.

        Raises:
            ShapeError: of another shape.
        """
        if x.dim() != 4 or x.shape[1:] != (3, SIZE, SIZE):
            raise ShapeError(f"ArcFace got {tuple(x.shape)}, expected (B, 3, {SIZE}, {SIZE})")
        return F.normalize(self.graph(x), dim=1)

    def embed_ffhq(self, x: Tensor) -> Tensor:
        """Embeds FFHQ-aligned faces through the fixed crop.

        Args:
            x: (B, 3, S, S) float, RGB in [-1, 1], aligned as FFHQ; S of at least 64.

        Returns:
            (B, 512) embeddings of unit length.

        Raises:
            ShapeError: not square RGB, or too small.
        """
        return self.forward(crop_ffhq(x))


def crop_ffhq(x: Tensor) -> Tensor:
    """(B, 3, S, S) aligned as FFHQ -> (B, 3, 112, 112) aligned to `TEMPLATE`, for the average face."""
    return crop_box(x, FFHQ_BOX, SIZE)


def load_arcface(zoo: WeightFiles) -> ArcFace:
    """ArcFace with InsightFace's weights (non-commercial research), pulled on first use.

    Raises:
        WeightsError: the weights are not available, or are those of another network.
    """
    return ArcFace(load_onnx(zoo.path("arcface"), (3, SIZE, SIZE), (EMBEDDING,)))
