"""Measures of the 478 mesh points, with gradients: the face's own frame, openings of lids and lips, gaze."""

from typing import Final

import torch
from torch import Tensor

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


def _distance(points: Tensor, first: int, second: int) -> Tensor:
    return (points[:, first] - points[:, second]).square().sum(1).add(1e-6).sqrt()
