"""Teach MobileStyleGAN's 256 output what its 1024 picture looks like when shrunk: `dynstream train tail`."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.generator.mobile_stylegan import MobileStyleGAN
from ...inversion.code_sampling import sample_codes
from .initial_tail import initial_tail
from .loop import LoopConfig, Step, train

CONFIG = LoopConfig(steps=3000, lr=1e-3, warmup=100, ema=0.998)
UNSEEN_SEED = 10_000_019


@dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """How many faces are kept, and how often a new one is drawn.

    Attributes:
        size: faces kept for reuse.
        batch: faces a step.
        fresh: steps between two new faces of the full generator.
    """

    size: int = 512
    batch: int = 4
    fresh: int = 4


class Replay:
    """Faces drawn by the full generator, kept while they are useful: drawing one costs more than ten steps."""

    def __init__(self, generator: MobileStyleGAN, config: ReplayConfig) -> None:
        self.generator = generator
        self.config = config
        self.items: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, random: torch.Generator) -> None:
        """Draw one more face; the oldest goes when there are too many."""
        codes = sample_codes(self.generator, 1, random)
        with torch.no_grad():
            features = self.generator.features(codes).bfloat16()
            target = self.generator.synthesize(codes, size=256, exact=True)
        self.items.append((codes, features, target))
        if len(self.items) > self.config.size:
            self.items.pop(0)

    def batch(self, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """codes (B, 18, 512), features (B, 256, 128, 128), targets (B, 3, 256, 256)."""
        chosen = torch.randint(len(self.items), (self.config.batch,), generator=random).tolist()
        codes, features, targets = zip(*(self.items[i] for i in chosen), strict=True)
        return torch.cat(codes), torch.cat(features).float(), torch.cat(targets)


def psnr(generator: MobileStyleGAN, count: int = 100) -> dict[str, float]:
    """Mean and worst PSNR in dB (peak 2, the range [-1, 1], both clipped to it) on codes that no training sees."""
    random = torch.Generator().manual_seed(UNSEEN_SEED)
    values = []
    with torch.no_grad():
        for _ in range(count):
            codes = sample_codes(generator, 1, random)
            truth = generator.synthesize(codes, size=256, exact=True).clamp(-1, 1)
            error = F.mse_loss(generator.synthesize(codes, size=256).clamp(-1, 1), truth).item()
            values.append(10 * math.log10(4 / error))
    return {"psnr": sum(values) / count, "psnr_worst": min(values)}


def train_tail(
    generator: MobileStyleGAN,
    run: Path,
    *,
    config: LoopConfig = CONFIG,
    replay: ReplayConfig = ReplayConfig(),
    unseen: int = 16,
) -> nn.Module:
    """Train `generator.tail` and return it. Loss: L2, which PSNR measures. `unseen`: faces scored while training."""
    generator.tail = initial_tail(generator).requires_grad_(True)
    tail = generator.tail
    faces = Replay(generator, replay)

    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        missing = min(replay.size, 16) - len(faces.items)
        for _ in range(max(missing, 1 if number and number % replay.fresh == 0 else 0)):
            faces.add(random)
        codes, features, targets = faces.batch(random)
        loss = F.mse_loss(tail(features, codes), targets)
        return loss, {"train_psnr": 10 * math.log10(4 / loss.item())}

    typed: Step = step
    return train(tail, typed, config, run, evaluate=lambda _m, _n: psnr(generator, unseen), evaluate_steps=500)
