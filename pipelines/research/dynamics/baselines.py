"""Baselines of a model of motion: hold the last code, go straight on, a constant-velocity Kalman filter.

All work on (codes, 512) codes of one face, every number by itself, and are fed in the same way.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Baseline(Protocol):
    """A predictor with a memory of its own, for one face of one clip."""

    def observe(self, seconds: float, codes: Tensor) -> None:
        """Take codes that were seen at a time later than all before."""
        ...

    def predict(self, seconds: float) -> Tensor:
        """Codes at a time not before the last observation."""
        ...


class HoldLast:
    """The last code, unchanged."""

    def __init__(self) -> None:
        self.last: Tensor | None = None

    def observe(self, seconds: float, codes: Tensor) -> None:
        """See `Baseline`."""
        self.last = codes

    def predict(self, seconds: float) -> Tensor:
        """See `Baseline`."""
        assert self.last is not None
        return self.last


class Linear:
    """Straight on from the last two codes."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Tensor]] = []

    def observe(self, seconds: float, codes: Tensor) -> None:
        """See `Baseline`."""
        self.seen = [*self.seen[-1:], (seconds, codes)]

    def predict(self, seconds: float) -> Tensor:
        """See `Baseline`."""
        last, codes = self.seen[-1]
        if len(self.seen) < 2:
            return codes
        before, old = self.seen[0]
        return codes + (codes - old) * ((seconds - last) / (last - before))


@dataclass(frozen=True)
class KalmanSettings:
    """Of a constant-velocity filter, relative to the variance of what is measured.

    Attributes:
        push: spectral density of the random acceleration, 1/s^3, in units of the measurement's variance.
    """

    push: float = 100.0


class ConstantVelocity:
    """Kalman filter of dx = v dt, dv = random acceleration; place is measured (Bar-Shalom, Li, Kirubarajan, 2001).

    All numbers share one covariance: it depends on the times alone.
    """

    def __init__(self, settings: KalmanSettings = KalmanSettings()) -> None:
        self.settings = settings
        self.seconds: float | None = None
        self.state = torch.zeros(0)
        self.covariance = torch.eye(2, dtype=torch.float64)

    def observe(self, seconds: float, codes: Tensor) -> None:
        """See `Baseline`."""
        if self.seconds is None:
            self.state = torch.stack([codes, torch.zeros_like(codes)])
            self.covariance = torch.diag(torch.tensor([1.0, 1e2], dtype=torch.float64))
            self.seconds = seconds
            return
        step = seconds - self.seconds
        phi = torch.tensor([[1.0, step], [0.0, 1.0]], dtype=torch.float64)
        push = torch.tensor([[step**3 / 3, step**2 / 2], [step**2 / 2, step]], dtype=torch.float64)
        covariance = phi @ self.covariance @ phi.T + self.settings.push * push
        gain = covariance[:, 0] / (covariance[0, 0] + 1)
        self.covariance = covariance - torch.outer(gain, covariance[0])
        moved = torch.tensordot(phi.float(), self.state, 1)
        self.state = moved + torch.einsum("i,...->i...", gain.float(), codes - moved[0])
        self.seconds = seconds

    def predict(self, seconds: float) -> Tensor:
        """See `Baseline`."""
        assert self.seconds is not None
        return self.state[0] + self.state[1] * (seconds - self.seconds)
