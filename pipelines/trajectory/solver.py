"""A solver of dz/dt = f(t, z) with torchdiffeq that always ends: with a solution, or with an error and its reason."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..common.errors import DynamicsError

FieldLike = Callable[[Tensor, Tensor], Tensor]
"""(time (), state (..., D)) -> derivative (..., D)."""

ADAPTIVE: Final = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")
FIXED: Final = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams")
METHODS: Final = ADAPTIVE + FIXED
ORDER: Final = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4}


@dataclass(frozen=True, kw_only=True)
class Solver:
    """How an equation is solved.

    Raises DynamicsError for settings that make no sense.

    Attributes:
        method: one of METHODS.
        rtol, atol: tolerances of the adaptive ones.
        step: largest step of the fixed ones, in units of time.
        adjoint: gradients by solving backwards in time, in constant memory, rather than through the steps.
        max_evaluations: of the field in one solution; a field that needs more is stiff, or badly fitted.
    """

    method: str = "dopri5"
    rtol: float = 1e-4
    atol: float = 1e-5
    step: float = 0.02
    adjoint: bool = False
    max_evaluations: int = 100_000

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DynamicsError(f"unknown solver {self.method!r}; expected one of {', '.join(METHODS)}")
        for name in ("rtol", "atol", "step"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DynamicsError(f"solver {self.method}: expected {name} above zero, got {value}")
        if self.max_evaluations < 1:
            raise DynamicsError(f"expected one evaluation or more, got {self.max_evaluations}")


class _Bounded(nn.Module):
    """The field with a count of calls: torchdiffeq limits them for adaptive methods only, and per output time."""

    def __init__(self, field: FieldLike, most: int) -> None:
        super().__init__()
        self.field = field
        self.most = most
        self.count = 0

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        self.count += 1
        if self.count > self.most:
            raise DynamicsError(
                f"the equation needs more than {self.most} evaluations, at time {float(t):.4g}: it is too stiff; "
                "fit it again with a lower --lr or a larger --rtol, or take --solver rk4"
            )
        return self.field(t, z)


def solve(field: FieldLike, initial: Tensor, times: Tensor, solver: Solver = Solver()) -> Tensor:
    """States at `times`, differentiable in the initial state and, where `field` is a module, in its weights.

    initial: (..., D), the state at times[0]. times: (T,) ascending or descending, without repeats; one is enough.
    Returns (T, ..., D). Raises DynamicsError: bad times, a state that is not finite, a step that underflows, too many
    evaluations.
    """
    _check(initial, times)
    if len(times) == 1:
        return initial[None]
    bounded = _Bounded(field, solver.max_evaluations)
    # Between its long steps dopri8 uses a polynomial of lower order: every requested time ends a step, too.
    options: dict[str, Any] = {"step_t": times[1:]} if solver.method == "dopri8" else {}
    if solver.method in FIXED:
        span = abs(float(times[-1] - times[0]))
        if span / solver.step > solver.max_evaluations:
            raise DynamicsError(
                f"{span:.4g} in steps of {solver.step:g} are more than {solver.max_evaluations}; choose a larger step"
            )
        # Between its steps torchdiffeq interpolates linearly: every requested time ends a step.
        options = {"grid_constructor": lambda _f, _y, t: _grid(t, solver.step)}
    try:
        if solver.adjoint:
            from torchdiffeq import odeint_adjoint

            if not isinstance(field, nn.Module):
                raise DynamicsError("the adjoint method needs a field that is a torch module, to find its weights")
            path = odeint_adjoint(
                bounded, initial, times, rtol=solver.rtol, atol=solver.atol, method=solver.method, options=options
            )
        else:
            from torchdiffeq import odeint

            path = odeint(
                bounded, initial, times, rtol=solver.rtol, atol=solver.atol, method=solver.method, options=options
            )
    except AssertionError as error:  # torchdiffeq's error for an underflow and for states that are not finite
        raise DynamicsError(
            f"the solver {solver.method} cannot go on ({_short(error)}): the fitted equation is too stiff or runs "
            "away; fit it again with a lower --lr, or take --solver rk4"
        ) from error
    if not torch.isfinite(path).all():
        raise DynamicsError(f"the solution by {solver.method} is not finite: the equation runs away; fit it again")
    return torch.as_tensor(path)


def _check(initial: Tensor, times: Tensor) -> None:
    if not torch.isfinite(initial).all():
        raise DynamicsError("the initial state has values that are not finite; leave that observation out")
    if times.ndim != 1 or not len(times) or not torch.isfinite(times).all():
        raise DynamicsError(f"expected one or more finite times, got {times.tolist()[:8]}")
    steps = times.diff()
    if len(steps) and not ((steps > 0).all() or (steps < 0).all()):
        raise DynamicsError("expected times that only grow, or only fall, without repeats")


def _grid(times: Tensor, step: float) -> Tensor:
    """Every requested time, with steps of at most `step` between them."""
    parts = [times[:1]]
    for begin, end in pairwise(times):
        count = max(1, math.ceil(abs(float(end - begin)) / step - 1e-9))
        inner = begin + (end - begin) * torch.arange(1, count, dtype=times.dtype, device=times.device) / count
        parts += [inner, end[None]]
    return torch.cat(parts)


def _short(error: AssertionError) -> str:
    return str(error).splitlines()[0][:80] if str(error) else "no reason given"
