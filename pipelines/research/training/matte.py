"""Train the head matte: `dynstream train matte`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ....models.faces.matte import HEAD, REGIONS, HeadMatte
from ...common.tensors import to_tensor
from .loop import LoopConfig, train
from .matte_data import Parsed, enlarged, prepare

SCORED = 16
"""Faces in a batch of the evaluation."""


@dataclass(frozen=True, kw_only=True)
class MatteConfig:
    """Settings.

    Attributes:
        batch: faces a step.
        overlays: share of faces with something pasted in front.
        others: share of faces with a second head.
        loop: of the loop.
    """

    batch: int = 16
    overlays: float = 0.5
    others: float = 0.12
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=4000, lr=2e-3, warmup=100, ema=0.995))


def matte_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with soft targets, and one minus the soft Dice coefficient, which keeps small regions.

    logits, target: (B, 8, 128, 128).
    """
    entropy = -(target * logits.log_softmax(1)).sum(1).mean()
    shares = logits.softmax(1)
    overlap, total = (shares * target).sum((0, 2, 3)), (shares + target).sum((0, 2, 3))
    return entropy + 0.5 * (1 - (2 * overlap + 50) / (total + 50)).mean()


@torch.no_grad()
def intersection_over_union(network: nn.Module, data: Parsed) -> dict[str, float]:
    """Of the labels, the largest share at each of 128x128 places, with the parser's; regions that occur, and head."""
    counts = torch.zeros(len(REGIONS) + 1, 2)
    for start in range(0, len(data), SCORED):
        rows = slice(start, start + SCORED)
        faces = to_tensor(data.faces[rows].copy())
        found = network(faces).argmax(1)
        true = enlarged(torch.from_numpy(data.shares[rows].copy())).argmax(1)
        for region in range(len(REGIONS)):
            counts[region] += _overlap(found == region, true == region)
        counts[-1] += _overlap(_head(found), _head(true))
    names = (*REGIONS, "head")
    return {name: float(both / either) for name, (both, either) in zip(names, counts, strict=True) if either > 500}


def train_matte(
    data: Sequence[Parsed],
    run: Path,
    *,
    config: MatteConfig | None = None,
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
) -> HeadMatte:
    """Train, or go on training, the matte; returns it with the averaged weights, in evaluation mode.

    run: see `train`.
    """
    settings = config or MatteConfig()
    torch.manual_seed(settings.loop.seed)
    network = HeadMatte()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(_number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        pictures, target = prepare(data, settings.batch, random, overlays=settings.overlays, others=settings.others)
        return matte_loss(network(pictures.to(memory_format=torch.channels_last)), target), {}

    train(network, step, settings.loop, run, evaluate=evaluate, evaluate_steps=max(1, settings.loop.steps // 8))
    return network.eval().requires_grad_(False)


def _head(labels: Tensor) -> Tensor:
    wanted = torch.tensor([name in HEAD for name in REGIONS])
    return wanted[labels]


def _overlap(found: Tensor, true: Tensor) -> Tensor:
    return torch.stack([(found & true).sum(), (found | true).sum()]).float()
