"""The right-hand side of a clip's equation of motion: a small network of the time and the state.

DynODE (Xia, Yang, Xue, arXiv 2208.11197) moves a latent code by dz/dt = f(t, z). Here z are normalised coordinates of
one clip, and the time enters through sines, so that one small network can hold a whole clip's motion.
"""

import math

import torch
from torch import Tensor, nn

from ..errors import ShapeError


class ODEField(nn.Module):
    """f(t, z) of first order, dz/dt, or of second order, d2z/dt2 for a state (z, dz/dt).

    A network beside a linear map of the same inputs, which can be solved for in closed form. Both start at zero.

    size: D, of z. duration: seconds that the motion lasts; time counts from its beginning. waves: how many sines of
    time the network sees, from half a wave over the duration up; 0 makes the equation autonomous. width, depth: of the
    hidden layers. order: 1 or 2.
    """

    waves: Tensor
    duration: Tensor

    def __init__(
        self, size: int, *, duration: float = 1.0, waves: int = 0, width: int = 128, depth: int = 2, order: int = 1
    ) -> None:
        super().__init__()
        if size < 1 or width < 1 or depth < 1 or waves < 0 or order not in (1, 2) or not duration > 0:
            raise ShapeError(
                "expected size, width, depth and duration above zero, waves of 0 or more and an order of 1 or 2, "
                f"got {size=}, {width=}, {depth=}, {duration=}, {waves=}, {order=}"
            )
        self.size = size
        self.order = order
        self.register_buffer("waves", torch.arange(1, waves + 1).float() * math.pi)
        self.register_buffer("duration", torch.tensor(float(duration)))
        layers: list[nn.Module] = []
        inside = 2 * waves + order * size
        for _ in range(depth):
            layers += [nn.Linear(inside, width), nn.SiLU()]
            inside = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(inside, size)
        self.skip = nn.Linear(2 * waves + order * size, size)
        for layer in (self.out, self.skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def state_size(self) -> int:
        """Of the state that the equation moves: D, or 2 D where it is of second order."""
        return self.order * self.size

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        """t: () or (..., 1) seconds, state: (..., state_size) -> its derivative, (..., state_size)."""
        if state.shape[-1] != self.state_size:
            raise ShapeError(f"expected a state of (..., {self.state_size}), got {tuple(state.shape)}")
        inputs = state if not len(self.waves) else torch.cat([self.features(t.to(state), state.shape[:-1]), state], -1)
        change: Tensor = self.out(self.layers(inputs)) + self.skip(inputs)
        return change if self.order == 1 else torch.cat([state[..., self.size :], change], -1)

    def features(self, t: Tensor, shape: torch.Size) -> Tensor:
        """(*shape, 2 waves): sines and cosines of the time."""
        angle = (t / self.duration).expand(*shape, 1) * self.waves
        return torch.cat([angle.sin(), angle.cos()], -1)
