"""Age and gender of a face: two small dlib networks, differentiable.

`dnn_age_predictor_v1` and `dnn_gender_classifier_v1` of Cydral Technology (dlib-models, CC0), published as ONNX. Both
take a dlib chip with a padding of 0.2. Their output describes the appearance in a picture. It is fit to steer and to
measure an edit, and is not a statement about a person.
"""

from typing import Final

import torch
from torch import Tensor, nn

from ..errors import ShapeError
from ..formats.onnx_graph import OnnxGraph, load_onnx
from ..weight_files import WeightFiles
from .dlib_chip import ffhq_box
from .ffhq_crop import crop_box

AGE_SIZE: Final = 64
GENDER_SIZE: Final = 32
PADDING: Final = 0.2
"""Of the chips, for `dlib_chip.cut_chip`."""

YEARS: Final = (0.25, *range(1, 81))
"""Age that each of the 81 classes of the age network stands for."""

MEAN: Final = (122.782, 117.001, 104.298)
"""dlib's mean colour, RGB in 0..255; its networks then divide by 256."""


class ChipNetwork(nn.Module):
    """A graph that gives class probabilities for a dlib chip."""

    mean: Tensor

    def __init__(self, graph: OnnxGraph, size: int) -> None:
        super().__init__()
        self.graph = graph
        self.size = size
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def probabilities(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, size, size) chips, RGB in [-1, 1]. Returns: (B, classes), rows that sum to 1.

        Raises:
            ShapeError: of another shape.
        """
        if x.dim() != 4 or x.shape[1:] != (3, self.size, self.size):
            expected = f"(B, 3, {self.size}, {self.size})"
            raise ShapeError(f"{type(self).__name__} got {tuple(x.shape)}, expected {expected}")
        y: Tensor = self.graph(((x + 1) * 127.5 - self.mean) / 256)
        return y

    def crop_ffhq(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) aligned as FFHQ -> (B, 3, size, size) chips, for the average face."""
        return crop_box(x, ffhq_box(PADDING), self.size)


class AgeModel(ChipNetwork):
    """Apparent age in years."""

    years: Tensor

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__(graph, AGE_SIZE)
        self.register_buffer("years", torch.tensor(YEARS), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, 64, 64) chips, RGB in [-1, 1]. Returns: (B,) expected age in years, 0.25 to 80."""
        return self.probabilities(x) @ self.years

    def of_ffhq(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, S, S) aligned as FFHQ, RGB in [-1, 1]. Returns: (B,) expected age in years."""
        return self.forward(self.crop_ffhq(x))


class GenderModel(ChipNetwork):
    """Which of the two labels of its training set the network would give."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__(graph, GENDER_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, 32, 32) chips, RGB in [-1, 1]. Returns: (B,) probability of "male", 0 to 1."""
        return self.probabilities(x)[:, 1]

    def of_ffhq(self, x: Tensor) -> Tensor:
        """Args: x, (B, 3, S, S) aligned as FFHQ, RGB in [-1, 1]. Returns: (B,) probability of "male"."""
        return self.forward(self.crop_ffhq(x))


def load_age(zoo: WeightFiles) -> AgeModel:
    """The age network with its weights (CC0), pulled on first use. Raises WeightsError if they are not available."""
    return AgeModel(load_onnx(zoo.path("age"), (3, AGE_SIZE, AGE_SIZE), (len(YEARS),)))


def load_gender(zoo: WeightFiles) -> GenderModel:
    """The gender network with its weights (CC0), pulled on first use. Raises WeightsError if they are not available."""
    return GenderModel(load_onnx(zoo.path("gender"), (3, GENDER_SIZE, GENDER_SIZE), (2,)))
