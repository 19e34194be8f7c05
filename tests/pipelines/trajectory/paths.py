"""Small codes that move along known paths, and a model of motion for them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.research.dynamics.leading_directions import leading_directions

SHAPE = (3, 8)


def axes(seed: int = 0, count: int = 3) -> Tensor:
    """(count, 24) orthonormal directions."""
    random = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(24, count, generator=random, dtype=torch.float64))[0].T


def codes_at(seconds: Any) -> Tensor:
    """(T, 3, 8): two oscillations and a slow turn about a code that is not zero."""
    t = torch.as_tensor(np.asarray(seconds))
    motion = torch.stack([torch.sin(2 * t), 0.5 * torch.cos(5 * t), 0.3 * torch.tanh(t - 1.5)], 1)
    return (2.0 + motion @ axes()).float().unflatten(1, SHAPE)


def series(count: int = 60, rate: float = 25.0, *, noise: float = 0.0, seed: int = 0) -> CodeSeries:
    """`codes_at` even times, with an encoder's shiver where `noise` is above zero."""
    seconds = 3.0 + np.arange(count) / rate  # a clip need not begin at zero
    shiver = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return CodeSeries(seconds, codes_at(seconds - 3.0) + noise * shiver)


def walk(count: int = 120, rate: float = 25.0, *, hold: float = 0.4, shiver: float = 0.3, seed: int = 0) -> CodeSeries:
    """Codes that are drawn back to where they rest within `hold` seconds, seen with noise: there is no going on."""
    random = torch.Generator().manual_seed(seed)
    keep = float(np.exp(-1 / rate / hold))
    place, out = torch.zeros(3), []
    for _ in range(count):
        place = keep * place + (1 - keep**2) ** 0.5 * torch.randn(3, generator=random)
        out.append(place)
    codes = 1 + torch.stack(out) @ axes().float()
    codes = codes + shiver * torch.randn(codes.shape, generator=random) / 24**0.5
    return CodeSeries(np.arange(count) / rate, codes.unflatten(1, SHAPE))


def model(*clips: CodeSeries, leading: int = 3) -> MotionModel:
    """A model of motion for codes of this size, with its directions where clips are given."""
    torch.manual_seed(0)
    found = MotionModel(*SHAPE, leading=leading)
    if clips:
        found.basis.copy_(leading_directions(clips, leading))
    return found
