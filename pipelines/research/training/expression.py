"""How well a drawn face shows the expression of its target, by the face mesh: a loss for the encoder's training.

Pictures alone do not teach expressions: a closed eye is a hundred of 65,536 pixels. So landmarks are compared in the
face's own frame, the openings of lids and lips and the place of the irises by themselves (a blink moves its landmarks
by less than they tremble), and the blendshapes that were measured to be lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ....models.faces.blendshapes import NAMES
from ....models.faces.mesh_graph import MeshFaces
from ....models.faces.mesh_measures import FINE, irises, lid_openings, openings, own_frame

LEAST_PRESENCE: Final = 0.5
LEAST_OPEN: Final = 0.12
"""Opening of an eye, in eye widths, below which its iris is a guess."""
FINE_WEIGHT: Final = 4.0

SHAPE_WEIGHTS: Final[Mapping[str, float]] = {
    "jawOpen": 6.0, "eyeBlink": 4.0, "eyeLook": 3.0, "eyeSquint": 1.5, "eyeWide": 2.0, "mouthSmile": 3.0,
    "mouthPucker": 2.0, "mouthFunnel": 3.0, "brow": 2.0, "_neutral": 0.0,
}  # fmt: skip
"""Weight of the blendshapes whose names begin so; 1 for others."""


@dataclass(frozen=True, kw_only=True)
class ExpressionLossWeights:
    """Weight of each part.

    Attributes:
        landmarks: mean distance of the points, in distances between the eyes.
        openings: of lids (in eye widths) and lips (in distances between the eyes).
        gaze: place of the iris between the corners of the eye, in eye widths.
        blendshapes: mean difference of the coefficients.
    """

    landmarks: float = 3.0
    openings: float = 1.0
    gaze: float = 2.0
    blendshapes: float = 2.0


def expression_losses(
    drawn: MeshFaces, target: MeshFaces, weights: ExpressionLossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and its parts without weights; zero for faces that the mesh does not find in the target."""
    found = (target.presence > LEAST_PRESENCE).float()
    parts = {
        "landmarks": _landmarks(drawn.points, target.points),
        "openings": (openings(drawn.points) - openings(target.points)).abs().mean(1),
        "gaze": _gaze(drawn.points, target.points),
        "blendshapes": (drawn.blendshapes - target.blendshapes).abs() @ shape_weights().to(drawn.points),
    }
    means = {name: (value * found).sum() / found.sum().clamp_min(1) for name, value in parts.items()}
    total = torch.stack([getattr(weights, name) * value for name, value in means.items()]).sum()
    return total, means


def shape_weights() -> Tensor:
    """(52,) weights of the blendshapes; their sum is 1."""
    weights = torch.tensor(
        [next((value for name, value in SHAPE_WEIGHTS.items() if one.startswith(name)), 1.0) for one in NAMES]
    )
    return weights / weights.sum()


def _landmarks(drawn: Tensor, target: Tensor) -> Tensor:
    weights = drawn.new_ones(drawn.shape[1])
    weights[list(FINE)] = FINE_WEIGHT
    distance = (own_frame(drawn) - own_frame(target)).square().sum(2).add(1e-6).sqrt()
    return distance @ (weights / weights.sum())


def _gaze(drawn: Tensor, target: Tensor) -> Tensor:
    open_eyes = (lid_openings(target) > LEAST_OPEN).float()
    apart = (irises(drawn) - irises(target)).abs().sum(2)
    return (apart * open_eyes).mean(1)
