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

LEAST_PRESENCE: Final = 0.5
LEAST_OPEN: Final = 0.12
"""Opening of an eye, in eye widths, below which its iris is a guess."""
FINE_WEIGHT: Final = 4.0

RIGHT_EYE: Final = (33, 133)  # outer and inner corner
LEFT_EYE: Final = (263, 362)
LIDS: Final = (((159, 145), (158, 153), (160, 144)), ((386, 374), (385, 380), (387, 373)))
"""Upper and lower points of the right eye and of the left one."""
LIPS: Final = ((13, 14), (82, 87), (312, 317), (0, 17), (61, 291), (78, 308))
"""Inner lips in three places, outer lips, and both widths of the mouth."""
IRISES: Final = (468, 473)
FINE: Final = (
    # lids
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    *(263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    # irises
    *range(468, 478),
    # outer and inner lips
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415),
)
"""Landmarks of lids, irises and lips."""
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


def own_frame(points: Tensor) -> Tensor:
    """(B, 478, 2) -> the same, moved, turned and scaled so that the eyes lie at (-0.5, 0) and (0.5, 0)."""
    right, left = points[:, list(RIGHT_EYE)].mean(1), points[:, list(LEFT_EYE)].mean(1)
    across = left - right
    down = torch.stack([-across[:, 1], across[:, 0]], 1)
    axes = torch.stack([across, down], 2) / across.square().sum(1)[:, None, None]
    return (points - (right + left)[:, None] / 2) @ axes


def openings(points: Tensor) -> Tensor:
    """(B, 478, 2) -> (B, 8): of the right and the left eye in eye widths, and of the lips, in eye distances."""
    lips = torch.stack([_distance(points, *pair) for pair in LIPS], 1)
    between = (points[:, list(RIGHT_EYE)].mean(1) - points[:, list(LEFT_EYE)].mean(1)).norm(dim=1)
    return torch.cat([lid_openings(points), lips / between[:, None]], 1)


def lid_openings(points: Tensor) -> Tensor:
    """(B, 478, 2) -> (B, 2): mean distance of the lids of the right and of the left eye, in eye widths."""
    return torch.stack(
        [
            torch.stack([_distance(points, *pair) for pair in pairs], 1).mean(1) / _distance(points, *corners)
            for pairs, corners in zip(LIDS, (RIGHT_EYE, LEFT_EYE), strict=True)
        ],
        1,
    )


def irises(points: Tensor) -> Tensor:
    """(B, 478, 2) -> (B, 2, 2): x along the line of the eye's corners, y across, from their middle, in eye widths.

    Both eyes are measured from the picture's left to its right.
    """
    rows = []
    for iris, (left, right) in zip(IRISES, (RIGHT_EYE, LEFT_EYE[::-1]), strict=True):
        across = points[:, right] - points[:, left]
        offset = points[:, iris] - (points[:, right] + points[:, left]) / 2
        square = across.square().sum(1)
        x = (offset * across).sum(1) / square
        y = (offset[:, 1] * across[:, 0] - offset[:, 0] * across[:, 1]) / square
        rows.append(torch.stack([x, y], 1))
    return torch.stack(rows, 1)


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


def _distance(points: Tensor, first: int, second: int) -> Tensor:
    return (points[:, first] - points[:, second]).square().sum(1).add(1e-6).sqrt()
