"""The fit of an equation of motion to one clip's codes, after DynODE (Xia, Yang, Xue, arXiv 2208.11197).

There are two recipes. `paper`: 5000 steps of Adam at 0.01 on minibatches of ordered observations, each solved from its
first to the others. `fast`: first the most probable path through the observations. An equation that follows the path,
and returns to it after a deviation,

    dz/dt = s'(t) + k (s(t) - z)

is linear in z and in sines of time, so its weights are a least-squares solution, and few steps of the paper's kind
follow. Such an equation damps errors of the solver, and can be solved over the whole length of the clip.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ...models.dynamics.motion_model import MotionModel
from ...models.dynamics.ode_field import ODEField
from ..common.errors import DynamicsError
from ..motion.code_series import CodeSeries
from .code_interpolation import most_probable, spline
from .coordinates import Coordinates
from .losses import Losses, Weights
from .solver import Solver, solve
from .trajectory import Trajectory

Recipe = Literal["fast", "paper"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)

HIGHEST_HERTZ = 8.0
"""Highest frequency of the sines of time: quicker changes of a face are the encoder's jitter."""
MOST_WAVES = 512
RETURN_RATE = 6.0
"""k, in 1/s: a sixth of a second after a push, a third of it is left."""
DENSE_HERTZ = 128.0
RIDGE = 1e-6


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Settings of a fit.

    Attributes:
        steps: of Adam; None for the recipe's own number.
        lr: learning rate.
        order: of the equation.
        width, depth: of its network.
        window: observations in one of the `batch` pieces that are solved in a step.
        drawn: number of these observations with a picture loss, if the weights have one.
    """

    recipe: Recipe = "fast"
    steps: int | None = None
    lr: float = 0.01
    order: int = 1
    width: int = 128
    depth: int = 2
    window: int = 8
    batch: int = 8
    drawn: int = 2
    weights: Weights = field(default_factory=Weights)
    solver: Solver = field(default_factory=Solver)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise DynamicsError(f"unknown recipe {self.recipe!r}; expected one of {', '.join(RECIPES)}")
        if self.order not in (1, 2):
            raise DynamicsError(f"expected an equation of order 1 or 2, got {self.order}")
        if self.window < 2 or self.batch < 1 or not self.lr > 0 or (self.steps is not None and self.steps < 0):
            raise DynamicsError(
                f"expected a window of 2 or more, a batch of 1 or more and lr above zero, "
                f"got {self.window}, {self.batch}, {self.lr}, steps {self.steps}"
            )

    @property
    def number_of_steps(self) -> int:
        """Of Adam."""
        if self.steps is not None:
            return self.steps
        if self.recipe == "paper":
            return 5000
        return 60 if self.weights.of_pictures else 0


def fit_trajectory(
    series: CodeSeries,
    prior: MotionModel | None,
    *,
    config: FitConfig = FitConfig(),
    losses: Losses | None = None,
    start: Trajectory | None = None,
    progress: Callable[[int, float], None] = lambda _step, _loss: None,
) -> Trajectory:
    """The motion of a series of two or more codes.

    prior: the motion model; a cubic spline replaces it if it is None or for other codes. losses: for pictures, see
    `Losses`. start: an earlier fit of the same clip, whose coordinates and weights are used as the start. progress:
    called with the steps done and the loss.

    In a series with a pause of more than a minute the longest part is fitted. Raises DynamicsError for a single frame,
    and if the solver cannot continue.
    """
    series = series.longest_part()
    if len(series) < 2:
        raise DynamicsError(
            f"expected two or more frames with a face, got {len(series)}: one frame does not move; name a longer clip"
        )
    torch.manual_seed(config.seed)
    path = _Path.of(series, prior)
    if start is None:
        coordinates = Coordinates.of(path.codes, origin=path.codes[0])
        duration = float(series.seconds[-1] - series.seconds[0])
        waves = max(4, min(MOST_WAVES, round(2 * HIGHEST_HERTZ * duration)))
        equation = ODEField(
            coordinates.size, duration=max(duration, 1e-3), waves=waves, width=config.width, depth=config.depth,
            order=config.order,
        )  # fmt: skip
        states = path.states(coordinates, config.order)
        if config.recipe == "fast":
            follow_path(equation, path.times, states, path.second(coordinates))
    else:
        coordinates, equation = start.coordinates, start.equation.requires_grad_(True)
        if coordinates.origin.shape != series.shape or equation.order != config.order:
            raise DynamicsError("the earlier fit is of other codes or of another order; fit anew without it")
        states = path.states(coordinates, config.order)
    clip = _Clip(series, coordinates, path, states)
    tune(equation, clip, config, losses, progress)
    about = {
        "recipe": config.recipe, "steps": config.number_of_steps, "observations": len(series), "seed": config.seed,
        **series.about,
    }  # fmt: skip
    return Trajectory(
        coordinates, equation.eval().requires_grad_(False), clip.at_observations[0], float(series.seconds[0]),
        float(series.seconds[-1]), about, config.solver,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """The most probable path of the codes.

    Attributes:
        times: (M,) seconds from the first observation, dense.
        codes: (M, *shape).
    """

    times: Tensor
    codes: Tensor

    @classmethod
    def of(cls, series: CodeSeries, prior: MotionModel | None) -> "_Path":
        begin, end = series.seconds[0], series.seconds[-1]
        count = max(8, int(np.ceil((end - begin) * DENSE_HERTZ))) + 1
        seconds = np.linspace(begin, end, count)
        if prior is not None and series.shape == (prior.codes, prior.size):
            codes = most_probable(series, seconds, prior)
        else:
            codes = spline(series, seconds)
        return cls(torch.from_numpy(seconds - begin), codes)

    def states(self, coordinates: Coordinates, order: int) -> Tensor:
        """(M, state_size): z, and its speed if the order is 2."""
        z = coordinates.to(self.codes)
        return z if order == 1 else torch.cat([z, _slope(self.times, z)], 1)

    def second(self, coordinates: Coordinates) -> tuple[Tensor, Tensor]:
        """First and second derivative of z, (M, D) each."""
        speed = _slope(self.times, coordinates.to(self.codes))
        return speed, _slope(self.times, speed)


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    """The data of `tune`: observations, their states on the path, and times from the first one."""

    series: CodeSeries
    coordinates: Coordinates
    path: _Path
    states: Tensor

    @property
    def times(self) -> Tensor:
        return torch.from_numpy(self.series.seconds - self.series.seconds[0])

    @property
    def at_observations(self) -> Tensor:
        """(N, state_size) states on the path at the observed times."""
        return _between(self.path.times, self.states, self.times)


def follow_path(equation: ODEField, times: Tensor, states: Tensor, derivatives: tuple[Tensor, Tensor]) -> None:
    """Set the linear part so that solutions follow a path (M, state_size) at (M,) times, and return to it."""
    size = equation.size
    z, (speed, push) = states[:, :size], derivatives
    rate = RETURN_RATE
    target = speed + rate * z if equation.order == 1 else push + 2 * rate * speed + rate**2 * z
    features = equation.features(times[:, None].float(), torch.Size([len(times)])).double()
    columns = torch.cat([features, torch.ones(len(times), 1, dtype=torch.float64)], 1)
    gram = columns.T @ columns + RIDGE * len(times) * torch.eye(columns.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, columns.T @ target.double()).float()
    with torch.no_grad():
        equation.skip.weight.zero_()
        equation.skip.weight[:, : features.shape[1]] = weights[:-1].T
        equation.skip.bias.copy_(weights[-1])
        back = equation.skip.weight[:, features.shape[1] :]
        back[:, :size].fill_diagonal_(-rate if equation.order == 1 else -(rate**2))
        if equation.order == 2:
            back[:, size:].fill_diagonal_(-2 * rate)


def tune(
    equation: ODEField,
    clip: _Clip,
    config: FitConfig,
    losses: Losses | None,
    progress: Callable[[int, float], None],
) -> None:
    """Steps of Adam on pieces of the clip, solved side by side, each from its first observation to its others."""
    steps, weights = config.number_of_steps, config.weights
    if weights.of_pictures and losses is None:
        raise DynamicsError("a loss on pictures needs a generator; pass `losses`, or weigh codes alone")
    random = np.random.default_rng(config.seed)
    optimizer = torch.optim.Adam(equation.parameters(), lr=config.lr)
    times, states = clip.times, clip.at_observations
    size, length = equation.size, min(config.window, len(times))
    fast = config.recipe == "fast"
    # The target is the path if there is one, and the observations themselves under the paper's recipe.
    wanted = states[:, :size] if fast else clip.coordinates.to(clip.series.codes)
    for number in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - number / steps) if fast else config.lr
        rows = draw_pieces(random, len(times), length, config.batch)
        piece = times[rows]
        offsets = (piece - piece[:, :1]).flatten().unique()
        begin = piece[:, :1]
        started = states[rows[:, 0]] if fast else torch.cat([wanted[rows[:, 0]], states[rows[:, 0], size:]], 1)
        shifted = _Shifted(equation, begin)
        solved = solve(shifted, started, offsets, config.solver)[..., :size]
        place = torch.searchsorted(offsets, piece - begin)
        found = solved[place, torch.arange(len(rows))[:, None]]
        loss = weights.latent * (found - wanted[rows]).square().mean()
        if weights.of_pictures and losses is not None:
            chosen = random.permutation(rows.numel())[: config.drawn]
            flat = found.flatten(0, 1)[chosen]
            loss = loss + losses(clip.coordinates.back(flat), clip.series.codes[rows.flatten()[chosen]], weights)
        optimizer.zero_grad()
        try:
            loss.backward()
        except AssertionError as error:  # torchdiffeq's, from solving backwards
            raise DynamicsError(f"the solver cannot go back in time ({error}); fit without --adjoint") from error
        if not torch.isfinite(nn.utils.clip_grad_norm_(equation.parameters(), 1.0)):
            raise DynamicsError(f"the fit ran away at step {number}; fit again with a smaller --lr")
        optimizer.step()
        progress(number + 1, loss.item())


def draw_pieces(random: np.random.Generator, count: int, length: int, batch: int) -> Tensor:
    """(batch, length) ascending rows of `count`: neighbours, or every second, or any in order."""
    rows = []
    for _ in range(batch):
        stride = int(random.integers(1, 4))
        reach = min(count, length * stride)
        first = int(random.integers(count - reach + 1))
        rows.append(np.sort(random.choice(reach, length, replace=False)) + first)
    return torch.from_numpy(np.stack(rows))


class _Shifted(nn.Module):
    """The equation of pieces that begin at times of their own: (batch, 1)."""

    def __init__(self, equation: ODEField, begin: Tensor) -> None:
        super().__init__()
        self.equation = equation
        self.begin = begin

    def forward(self, t: Tensor, state: Tensor) -> Tensor:
        out: Tensor = self.equation(self.begin.to(state) + t.to(state), state)
        return out


def _slope(times: Tensor, values: Tensor) -> Tensor:
    (slope,) = torch.gradient(values.double(), spacing=(times,), dim=0, edge_order=1)
    return slope.float()


def _between(times: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """Straight lines through dense values."""
    right = torch.searchsorted(times, wanted).clamp(1, len(times) - 1)
    share = ((wanted - times[right - 1]) / (times[right] - times[right - 1])).clamp(0, 1)
    return torch.lerp(values[right - 1], values[right], share[:, None].float())


def with_recipe(config: FitConfig, recipe: str) -> FitConfig:
    """The same settings under the recipe of that name; DynamicsError lists the names."""
    for known in RECIPES:
        if recipe == known:
            return replace(config, recipe=known)
    raise DynamicsError(f"unknown recipe {recipe!r}; expected one of {', '.join(RECIPES)}")
