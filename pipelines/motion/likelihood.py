"""Likelihood of codes under the linear part of a motion model, and its maximum-likelihood constants.

The linear part is a Gaussian process for each channel (see `dynamics.motion_model`), so the probability of a whole clip
has a closed form: -2 log p = log det K + y' K^-1 y.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...models.dynamics.motion_model import CONTENT_DRIFT, CONTENT_SPREAD, MotionModel
from .code_series import CodeSeries


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A clip's codes in channels.

    Attributes:
        seconds: (N,).
        leading: (N, D).
        rest: (N, codes, R), some numbers of each code.
    """

    seconds: Tensor
    leading: Tensor
    rest: Tensor


def to_parts(model: MotionModel, series: CodeSeries, columns: npt.NDArray[np.int64]) -> Parts:
    """The channels of a series, its motion scaled to a mean variance of one. columns: which numbers of each code."""
    centred = normalised(series)
    leading, rest = model.project(centred)
    return Parts(torch.from_numpy(series.seconds), leading, rest[..., torch.from_numpy(columns)])


def normalised(series: CodeSeries) -> Tensor:
    """(N, codes, size): codes about their mean, of a mean variance of one; a still face stays all zeros."""
    centred = series.codes - series.codes.mean(0)
    spread = centred.square().mean().sqrt()
    return centred / spread if spread > 1e-6 else torch.zeros_like(centred)


def covariance(model: MotionModel, seconds: Tensor, others: Tensor, stretch: float = 1.0) -> Tensor:
    """(groups, N, M): between channels of each group at (N,) and at (M,) times, without noise, in the group's units.

    stretch: of the component, see `dynamics.motion_model`.
    """
    origin = torch.minimum(seconds.min(), others.min())
    since = torch.minimum(seconds[:, None], others[None]) - origin
    lag = (seconds[:, None] - others[None]).abs()[..., None] * model.rates.to(seconds) / stretch
    motion = (1 + lag) * (-lag).exp()
    content = CONTENT_SPREAD + CONTENT_DRIFT * since
    return content + torch.einsum("gj,nmj->gnm", model.shares().to(seconds), motion)


def negative_log_likelihood(model: MotionModel, parts: Parts) -> Tensor:
    """(): per observed number, of the linear part; in nats."""
    count = len(parts.seconds)
    times = parts.seconds.double()
    observed = covariance(model, times, times) + torch.diag_embed(model.noise().double()[:, None].expand(-1, count))
    factor = torch.linalg.cholesky(observed)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_scale = model.log_scale.double()
    total = log_det.new_zeros(())
    at = 0
    for values in (parts.leading[:, None], parts.rest.permute(0, 2, 1)):  # (N, channels of a group, groups)
        groups = values.shape[2]
        own = slice(at, at + groups)
        y = values.permute(2, 0, 1).double() / log_scale[own].exp()[:, None, None]
        white = torch.linalg.solve_triangular(factor[own], y, upper=False)
        channels = y.shape[2]
        total = total + 0.5 * white.square().sum() + channels * (0.5 * log_det[own] + count * log_scale[own]).sum()
        at += groups
    mean: Tensor = total / (parts.leading.numel() + parts.rest.numel())
    return mean


def begin_constants(model: MotionModel, clips: Sequence[Parts]) -> None:
    """Set the scale of every group to its measured value, before training."""
    with torch.no_grad():
        leading = torch.cat([one.leading for one in clips]).std(0)
        rest = torch.cat([one.rest for one in clips]).std((0, 2))
        model.log_scale.copy_(torch.cat([leading, rest]).clamp_min(1e-3).log())
