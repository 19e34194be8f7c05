"""Scores of a face from its picture, with a gradient: what `face_scores` says, learned from labelled faces.

The landmark networks have no gradients, so their scores are read from features that have: linear in the pooled features
of LPIPS' backbone, by ridge regression. Age and gender come from their own networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ...common.errors import TrainingError

GRIDS: Final = (0, 8, 8, 6, 4)
"""Cells across, into which each level of features is pooled; 0 leaves a level out."""
RIDGE: Final = 0.3
HELD_OUT: Final = 5  # every fifth face tells how well the others predict it


class Features(Protocol):
    """LPIPS, as far as it is used here."""

    def features(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> five levels (B, C, H, W)."""
        ...


def pooled(network: Features, faces: Tensor) -> Tensor:
    """(B, 3, 256, 256) in [-1, 1] -> (B, D)."""
    levels = zip(network.features(faces), GRIDS, strict=True)
    parts = [F.adaptive_avg_pool2d(level, grid).flatten(1) * grid for level, grid in levels if grid]
    return torch.cat(parts, dim=1)


@dataclass(frozen=True, eq=False)
class ScoreReader:
    """A linear map from pooled features to scores, in standard deviations from their mean.

    Attributes:
        weight: (D, scores).
        mean: (D,) of the features.
        explained: (scores,) share of each score's variance that it explains on faces that it was not fitted to.
    """

    network: Features
    mean: Tensor
    weight: Tensor
    explained: Tensor

    def __call__(self, faces: Tensor) -> Tensor:
        """(B, 3, 256, 256) in [-1, 1] -> (B, scores), in standard deviations."""
        return (pooled(self.network, faces) - self.mean) @ self.weight


def fit_reader(
    network: Features, faces: Sequence[Callable[[], Tensor]], scores: Tensor, progress: Callable[[int], None]
) -> ScoreReader:
    """faces: give (1, 3, 256, 256) each, when they are asked for. scores: (N, scores) in standard deviations.

    Raises TrainingError for fewer than ten faces.
    """
    if len(faces) != len(scores) or len(scores) < 10:
        raise TrainingError(f"expected ten labelled faces or more, got {len(faces)} with {len(scores)} scores")
    rows = []
    with torch.no_grad():
        for number, face in enumerate(faces):
            rows.append(pooled(network, face()))
            progress(number + 1)
    features = torch.cat(rows)
    mean = features.mean(0)
    features = features - mean
    held = torch.arange(len(features)) % HELD_OUT == 0
    trial = _ridge(features[~held], scores[~held])
    error = (features[held] @ trial - scores[held]).square().mean(0)
    explained = 1 - error / scores[held].var(0).clamp_min(1e-6)
    return ScoreReader(network, mean, _ridge(features, scores), explained)


def _ridge(features: Tensor, scores: Tensor) -> Tensor:
    """The dual form: there are fewer faces than features."""
    kernel = (features @ features.T).double()
    strength = RIDGE * kernel.diagonal().mean()
    dual = torch.linalg.solve(kernel + strength * torch.eye(len(kernel), dtype=kernel.dtype), scores.double())
    weights: Tensor = features.double().T @ dual
    return weights.float()
