"""Sampling of W+ codes for training."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from ...models.directions.directions import Direction
from ...models.generator.generator import CODE_SIZE, Generator

EXPRESSIONS: Final = ("smile", "mouth-open", "eyes-closed", "gaze", "brow", "yaw", "pitch")
"""Directions that move a face rather than make it another one."""


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


def stretch_codes(
    codes: Tensor,
    directions: Mapping[str, Direction],
    random: torch.Generator,
    *,
    share: float = 0.4,
    reach: float = 1.2,
) -> Tensor:
    """(B, codes, 512) moved along `EXPRESSIONS`, as far as they were measured to work and a little further.

    Faces as the generator draws them mostly look into the camera, with open eyes and half a smile.

    share: probability of each direction to be taken. reach: factor of its measured range.
    """
    moved = codes.clone()
    for name in EXPRESSIONS:
        direction = directions[name]
        taken = torch.rand(len(codes), generator=random) < share
        place = torch.rand(len(codes), generator=random)
        strength = reach * (direction.low + (direction.high - direction.low) * place) * taken
        offset = direction.offset(1.0).to(codes)
        moved += strength.to(codes)[:, None, None] * offset
    return moved
