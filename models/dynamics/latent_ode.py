"""The latent ODE of VidStyleODE: dz/dt = f(z) on 8x8 maps, solved by torchdiffeq's dopri5 (arXiv 2304.06020, eq. 3)."""

from typing import Final

import torch
from torch import Tensor, nn

from ..errors import ModelError, ShapeError
from .dynamics_encoder import TIME_UNIT, ConvField

RTOL: Final = 1e-3
ATOL: Final = 1e-4
MOST_EVALUATIONS: Final = 2000


class LatentODE(nn.Module):
    """Where maps are at other times. The field knows no time: the same state always moves on in the same way.

    size: C, of z. hidden: channels of the field. order: 1, or 2, where the initial speed is read from z by a 1x1 layer.
    """

    def __init__(self, size: int, hidden: int, *, order: int = 1) -> None:
        super().__init__()
        self.field = ConvField(size, hidden, layers=2, order=order)
        self.speed = nn.Conv2d(size, size, 1) if order == 2 else None

    def forward(self, initial: Tensor, elapsed: Tensor, *, rtol: float = RTOL, atol: float = ATOL) -> Tensor:
        """z at each window's times.

        initial: (B, C, 8, 8). elapsed: (B, T) seconds from the initial state on, in any order, below zero for the past.
        Returns (B, T, C, 8, 8). Differentiable in all. Raises ShapeError; ModelError where the solver does not arrive.
        """
        if initial.ndim != 4 or elapsed.ndim != 2 or len(initial) != len(elapsed):
            raise ShapeError(f"expected z (B, C, 8, 8) and times (B, T), got {initial.shape} and {elapsed.shape}")
        if not torch.isfinite(elapsed).all():
            raise ShapeError("expected finite times, got NaN or infinity")
        if elapsed.numel() == 0:
            return initial.new_zeros(*elapsed.shape, *initial.shape[1:])
        state = initial if self.speed is None else torch.cat([initial, self.speed(initial)], 1)
        units = (elapsed / TIME_UNIT).to(initial)
        ahead = self._solve(state, units, 1.0, rtol, atol)
        if (units < 0).any():
            back = self._solve(state, units, -1.0, rtol, atol)
            ahead = torch.where((units < 0)[:, :, None, None, None], back, ahead)
        return ahead[:, :, : initial.shape[1]]

    def _solve(self, state: Tensor, units: Tensor, way: float, rtol: float, atol: float) -> Tensor:
        """(B, T, ...) at the times on one side of zero; those on the other side are taken as zero."""
        from torchdiffeq import odeint

        times, place = (units * way).clamp_min(0).unique(return_inverse=True)
        grid = torch.cat([times.new_zeros(1), times[times > 0]])
        place = place + (1 if float(times[0]) > 0 else 0)
        if len(grid) == 1:
            return state[:, None].expand(-1, units.shape[1], -1, -1, -1)
        count = 0

        def change(_time: Tensor, z: Tensor) -> Tensor:
            nonlocal count
            count += 1
            if count > MOST_EVALUATIONS:
                raise ModelError(_failure(float(grid[-1]) * TIME_UNIT, f"more than {MOST_EVALUATIONS} evaluations"))
            moved: Tensor = self.field(z) * way
            return moved

        try:
            path = odeint(change, state, grid, rtol=rtol, atol=atol, method="dopri5")
        except AssertionError as error:  # torchdiffeq's, for a step that underflows and for what is not finite
            raise ModelError(_failure(float(grid[-1]) * TIME_UNIT, str(error).splitlines()[0][:80])) from error
        result: Tensor = path[place, torch.arange(len(state), device=state.device)[:, None]]
        return result


def _failure(seconds: float, why: str) -> str:
    return (
        f"the latent ODE cannot be solved over {seconds:.3g} s ({why}): its field is too stiff or runs away; ask for "
        "shorter times, or train again with a lower --lr"
    )
