"""Interpolation of codes without an equation: straight lines, a cubic spline, and the most probable path.

The last uses the covariance over time that was learned across clips (`dynamics.motion_model`). It removes the jitter of
the encoder, and tends to the mean in a gap longer than a movement. It is combined with the line and the spline, each
weighted by how well it predicts observations from the others. A fit starts from this path.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Float64Array
from ...models.dynamics.motion_model import COMPONENTS, MotionModel
from ..common.errors import DynamicsError
from ..motion.code_series import CodeSeries
from ..motion.likelihood import covariance

WINDOW: Final = 200
"""Observations that are smoothed at once; longer clips are smoothed in overlapping parts."""
OVERLAP: Final = 40
CHUNK: Final = 256
"""Times that are computed at once: memory does not grow with their number."""
STRETCHES: Final = tuple(sorted({stretch for stretch, _ in COMPONENTS}))
SHIVER: Final = 0.2
"""Share of the learned noise that is smoothed away. Few observations cannot separate noise from quick motion: with a
share fitted to the clip, wide gaps looked like noise, and the path missed the observations."""
TRUST: Final = 6.0
"""A predictor with half the mean squared error has 2^6 times the weight."""
GUESSED: Final = 32
"""Observations, spread over the part, that are predicted from the others. Never the first or last: a clip's gaps are
within it, and a predictor that is bad beyond its ends may be good there."""


def linear(series: CodeSeries, seconds: Float64Array) -> Tensor:
    """(T, *shape): straight lines between neighbours; the first and last code before and after them."""
    if len(series) == 1:
        return series.codes.expand(len(seconds), *series.shape).clone()
    right = np.searchsorted(series.seconds, seconds).clip(1, len(series) - 1)
    begin, end = series.seconds[right - 1], series.seconds[right]
    share = torch.from_numpy(((seconds - begin) / (end - begin)).clip(0, 1)).float()
    share = share.view(-1, *[1] * len(series.shape))
    return torch.lerp(series.codes[torch.from_numpy(right - 1)], series.codes[torch.from_numpy(right)], share)


def spline(series: CodeSeries, seconds: Float64Array) -> Tensor:
    """(T, *shape): the natural cubic spline through the codes, extended linearly by a quarter of a second at its ends.

    With fewer than three codes it is `linear`.
    """
    if len(series) < 3:
        return linear(series, seconds)
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(series.seconds, series.codes.flatten(1).numpy(), bc_type="natural")
    first, last = series.seconds[0], series.seconds[-1]
    inside = seconds.clip(first, last)
    beyond = (seconds - inside).clip(-0.25, 0.25)
    values = curve(inside) + curve(inside, 1) * beyond[:, None]
    codes: Tensor = torch.from_numpy(np.asarray(values, np.float32)).unflatten(1, series.shape)
    return codes


def most_probable(series: CodeSeries, seconds: Float64Array, model: MotionModel) -> Tensor:
    """(T, codes, size): the most probable codes given all observations, under the model's linear part, lines, a spline.

    Raises DynamicsError for codes of another shape than the model's.
    """
    if series.shape != (model.codes, model.size):
        raise DynamicsError(f"expected codes {(model.codes, model.size)} for this model, got {series.shape}")
    if len(series) == 1:
        return linear(series, seconds)
    out = torch.empty(len(seconds), *series.shape)
    for part, (low, high) in _windows(series):
        rows = np.flatnonzero((seconds >= low) & (seconds < high))
        if len(rows):
            out[torch.from_numpy(rows)] = _condition(part, seconds[rows], model)
    return out


def _windows(series: CodeSeries) -> list[tuple[CodeSeries, tuple[float, float]]]:
    """Parts of a series, each with the times that it covers: to the middle of its overlap with the next."""
    count, step = len(series), WINDOW - OVERLAP
    begins = range(0, max(1, count - OVERLAP), step)
    parts = []
    for begin in begins:
        low = -np.inf if begin == 0 else float(series.seconds[begin + OVERLAP // 2])
        last = begin + WINDOW >= count
        high = np.inf if last else float(series.seconds[begin + step + OVERLAP // 2])
        parts.append((series.select(slice(begin, begin + WINDOW)), (low, high)))
        if last:
            break
    return parts


def _condition(series: CodeSeries, seconds: Float64Array, model: MotionModel) -> Tensor:
    """Regression, each group of channels with its own kernel and all channels of it at once."""
    mean = series.codes.mean(0)
    times, asked = torch.from_numpy(series.seconds), torch.from_numpy(seconds)
    with torch.no_grad():
        leading, rest = model.project(series.codes - mean)
        values = leading.T[..., None].double(), rest.transpose(0, 1).double()  # (groups, N, channels)
        curves = _Curves.of(times)
        parts = [
            _Conditioned.of(model, times, own, groups, curves)
            for own, groups in zip(values, _groups(model), strict=True)
        ]
        out = []
        for some in asked.split(CHUNK):
            through = curves.at(some)
            found_leading, found_rest = (part.at(some, through) for part in parts)
            out.append(mean + model.restore(found_leading[..., 0].T, found_rest.transpose(0, 1)))
        return torch.cat(out)


def _groups(model: MotionModel) -> tuple[slice, slice]:
    return slice(0, model.leading), slice(model.leading, model.groups)


@dataclass(frozen=True, slots=True, eq=False)
class _Conditioned:
    """One kind of channels given its observations, by components of all stretches, lines and a spline together.

    Attributes:
        weights: of each stretch (groups, N, channels), K^-1 y times the weight of the stretch.
        curves: of the line and the spline, y times the weight of each.
    """

    model: MotionModel
    times: Tensor
    groups: slice
    weights: tuple[Tensor, ...]
    curves: tuple[Tensor, ...]

    @classmethod
    def of(cls, model: MotionModel, times: Tensor, values: Tensor, groups: slice, curves: "_Curves") -> "_Conditioned":
        """Each weighted by how well it predicts observations from the others."""
        shiver = SHIVER * model.noise()[groups].double()[:, None, None] * torch.eye(len(times), dtype=torch.float64)
        found, errors = [], []
        for stretch in STRETCHES:
            known = covariance(model, times, times, stretch)[groups] + shiver
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(known))
            found.append(inverse @ values)
            # The leave-one-out error is (K^-1 y)_i / (K^-1)_ii (Rasmussen, Williams, 2006, eq. 5.12).
            missed = found[-1] / inverse.diagonal(dim1=-2, dim2=-1)[..., None]
            errors.append(missed[:, curves.rows].square().sum())
        errors += [(guess @ values - values[:, curves.rows]).square().sum() for guess in curves.guesses]
        shares = (-TRUST * torch.stack(errors).clamp_min(1e-12).log()).softmax(0)
        weights = tuple((w * share).float() for w, share in zip(found, shares[: len(found)], strict=True))
        return cls(model, times, groups, weights, tuple((values * share).float() for share in shares[len(found) :]))

    def at(self, seconds: Tensor, through: Sequence[Tensor]) -> Tensor:
        """(groups, T, channels): means at (T,) times. through: of the curves, there."""
        total = torch.zeros(())
        for stretch, weights in zip(STRETCHES, self.weights, strict=True):
            total = total + covariance(self.model, seconds, self.times, stretch)[self.groups].float() @ weights
        for curve, values in zip(through, self.curves, strict=True):
            total = total + curve.float() @ values
        return total


CURVES: Final = (linear, spline)


def _through(curve: Callable[[CodeSeries, Float64Array], Tensor], times: Tensor, seconds: Tensor) -> Tensor:
    """(T, N): the weight of each of N observations in a curve through them at (T,) times; it is linear in them."""
    return curve(CodeSeries(times.numpy(), torch.eye(len(times))), seconds.numpy()).double()


def _guess(curve: Callable[[CodeSeries, Float64Array], Tensor], times: Tensor, row: int) -> Tensor:
    """(N,): the weight of each observation in the prediction of the one left out."""
    weights = torch.zeros(len(times), dtype=torch.float64)
    others = torch.arange(len(times)) != row
    weights[others] = _through(curve, times[others], times[row : row + 1])[0]
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """The line and the spline through observations at (N,) times, for any values; none with few observations.

    Attributes:
        rows: of observations by which all predictors are scored.
        guesses: of each curve, (rows, N).
    """

    times: Tensor
    rows: Tensor
    guesses: tuple[Tensor, ...] = ()

    @classmethod
    def of(cls, times: Tensor) -> "_Curves":
        count = len(times)
        if count <= 3:
            return cls(times, torch.arange(count))
        rows = torch.linspace(1, count - 2, min(GUESSED, count - 2)).round().long()
        return cls(times, rows, tuple(torch.stack([_guess(c, times, row) for row in rows.tolist()]) for c in CURVES))

    def at(self, seconds: Tensor) -> tuple[Tensor, ...]:
        """(T, N) of each curve."""
        return tuple(_through(curve, self.times, seconds) for curve in CURVES[: len(self.guesses)])
