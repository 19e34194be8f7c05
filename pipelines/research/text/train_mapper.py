"""Train the text mapper on codes alone: `dynstream train text-mapper`.

VidStyleODE's losses (arXiv 2304.06020, eq. 10) ask for drawn faces, seconds a step on a CPU. Here a small network says
what the embedding would see in the face of a code. It is distilled from drawn faces first, and the losses run through
it: direction (the embedding moves as the texts do), length (the offset, in W's own spread), what the text does not
speak of, and cycle ("without glasses" undoes "with glasses").
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....models.directions.latent_transformer import SPREAD
from ....models.directions.text_mapper import STYLE, TextMapper
from ....models.generator.generator import Generator
from ...inversion.code_sampling import sample_codes
from ..directions.gradients import covariance
from ..training.loop import LoopConfig, train
from .claims import CLAIMS

CONFIG: Final = LoopConfig(steps=1500, lr=1e-3, warmup=50, ema=0.99, log_steps=100)
BATCH: Final = 32
LIVE: Final = 16
"""Codes that change a picture."""
LENGTH, REST, CYCLE, AMOUNT = 0.02, 0.3, 0.3, 0.35
"""Weights of the losses, and how far the embedding shall move at a strength of 1."""


class CodeEmbedding(nn.Module):
    """(B, codes, 512) -> (B, STYLE) of unit length: what the embedding sees in the face of a code."""

    mean: Tensor

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.each = nn.Linear(512, 48)
        self.hidden = nn.Sequential(nn.Dropout(0.2), nn.Linear(48 * LIVE, hidden), nn.GELU(), nn.Linear(hidden, STYLE))
        self.straight = nn.Linear(48 * LIVE, STYLE)
        self.register_buffer("mean", torch.zeros(512))

    def forward(self, w_plus: Tensor) -> Tensor:
        x = self.each((w_plus[:, :LIVE] - self.mean) / SPREAD).flatten(1)
        return F.normalize(self.hidden(x) + self.straight(x), dim=1)


def distil(
    codes: Tensor,
    vectors: Tensor,
    mean: Tensor,
    run: Path,
    *,
    config: LoopConfig = CONFIG,
    echo: Callable[[str], None] = print,
) -> tuple[CodeEmbedding, float]:
    """(the network, mean cosine on a tenth of the faces that it has not seen).

    codes: (N, codes, 512). vectors: (N, D).
    """
    held = torch.arange(len(codes)) % 10 == 0
    torch.manual_seed(config.seed)
    network = CodeEmbedding()
    network.mean.copy_(mean)
    known, wanted = codes[~held], vectors[~held]

    def step(_number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = torch.randint(0, len(known), (128,), generator=generator)
        noise = 0.05 * torch.randn(128, *known.shape[1:], generator=generator)
        loss = 1 - (network(known[rows] + noise) * wanted[rows]).sum(1).mean()
        return loss, {}

    train(network, step, config, run, echo=echo)
    network.eval().requires_grad_(False)
    return network, float((network(codes[held]) * vectors[held]).sum(1).mean())


def opposites(texts: Callable[[list[str]], Tensor]) -> tuple[Tensor, Tensor]:
    """(P, D) sources and targets: pairs of claims about one attribute, in several phrasings each."""
    rng = random.Random(0)
    pairs = []
    for one in CLAIMS:
        for other in CLAIMS:
            if one.attribute == other.attribute and one is not other and one.attribute != "background":
                for _ in range(3):
                    pairs.append((rng.choice(one.phrases), rng.choice(other.phrases)))
    sources, targets = (texts([f"a person {pair[side]}" for pair in pairs]) for side in (0, 1))
    return sources, targets


def train_mapper(
    generator: Generator,
    judge: CodeEmbedding,
    texts: Callable[[list[str]], Tensor],
    run: Path,
    *,
    config: LoopConfig = CONFIG,
    echo: Callable[[str], None] = print,
) -> TextMapper:
    """Train on, or go on with what `run` holds. judge: distilled, frozen."""
    sources, targets = opposites(texts)
    styles = F.normalize(targets - sources, dim=1)
    precision = torch.linalg.inv(covariance(generator) + 1e-4 * torch.eye(512))
    torch.manual_seed(config.seed)
    mapper = TextMapper(generator.codes)
    mapper.mean.copy_(generator.mean_w().cpu())

    def step(_number: int, random_: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        codes = sample_codes(generator, BATCH, random_, low=0.5, high=1.0)
        style = styles[torch.randint(0, len(styles), (BATCH,), generator=random_)]
        strength = 0.3 + torch.rand(BATCH, 1, 1, generator=random_)
        added = strength * mapper(codes, style)
        moved = judge(codes + added) - judge(codes)
        along = (moved * style).sum(1)
        direction = 1 - F.cosine_similarity(moved + 1e-6, style).mean()
        amount = (along - AMOUNT * strength.flatten()).square().mean()
        across = (moved - along[:, None] * style).square().sum(1).mean()
        length = torch.einsum("bcd,de,bce->b", added, precision, added).div(LIVE).mean()
        back = added + strength * mapper(codes + added, -style)
        cycle = back.square().sum((1, 2)).mean() / SPREAD**2 / LIVE / 512
        loss = direction + 10 * amount + REST * across + LENGTH * length + CYCLE * cycle
        return loss, {"along": float(along.detach().mean()), "length": float(length.detach())}

    train(mapper, step, config, run, echo=echo)
    return mapper.eval().requires_grad_(False)
