"""Sampling of W+ codes for training."""

import torch
from torch import Tensor

from ...models.generator.generator import CODE_SIZE, Generator


def sample_codes(
    generator: Generator, count: int, random: torch.Generator, *, low: float = 0.5, high: float = 1.0, mix: float = 0.5
) -> Tensor:
    """Draw (count, codes, 512) W+ codes.

    Each face is truncated by its own psi in [low, high]; with probability `mix` the codes from a random index on are
    another face's (style mixing, Karras et al. 2019, sec. 3.1).
    """
    z = torch.randn(2 * count, CODE_SIZE, generator=random)
    psi = torch.rand(2 * count, 1, generator=random) * (high - low) + low
    mean = generator.mean_w()
    with torch.no_grad():
        w = torch.lerp(mean, generator.map(z.to(mean.device)), psi.to(mean.device))
    first, second = w[:count], w[count:]
    start = torch.randint(1, generator.codes, (count, 1), generator=random)
    mixed = torch.rand(count, 1, generator=random) < mix
    other = mixed & (torch.arange(generator.codes) >= start)
    other = other.to(mean.device)
    return torch.where(other[:, :, None], second[:, None], first[:, None])
