"""Codes beyond the last one that was observed, by what the clip's own codes say: held, a line, the learned equation."""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Float64Array
from ...models.dynamics.motion_model import MotionModel
from ..motion.code_series import CodeSeries
from ..motion.online_predictor import OnlineDynamics

LINE_SECONDS: Final = 0.2
"""Over which the velocity at the end is measured."""
SLOWING_SECONDS: Final = 0.15
"""Time constant by which a line comes to a stop: a face that moves turns round soon."""
OBSERVED: Final = 100
"""Latest codes that the equation sees."""


def hold(series: CodeSeries, seconds: Float64Array) -> Tensor:
    """(T, *shape): the last code."""
    return series.codes[-1].expand(len(seconds), *series.shape).clone()


def line(series: CodeSeries, seconds: Float64Array) -> Tensor:
    """(T, *shape): on with the velocity of the last codes, which fades away."""
    end = series.seconds[-1]
    rows = np.flatnonzero(series.seconds >= end - LINE_SECONDS)
    if len(rows) < 2:
        return hold(series, seconds)
    times = series.seconds[rows] - series.seconds[rows].mean()
    codes = series.codes[torch.from_numpy(rows)]
    slope = torch.einsum("t,t...->...", torch.from_numpy(times).float(), codes) / float(np.square(times).sum())
    way = SLOWING_SECONDS * (1 - np.exp(-np.maximum(0.0, seconds - end) / SLOWING_SECONDS))
    return series.codes[-1] + torch.from_numpy(way).float().view(-1, *[1] * len(series.shape)) * slope


def learned(series: CodeSeries, seconds: Float64Array, model: MotionModel) -> Tensor:
    """(T, *shape): by the equations of motion that were learned across clips, from the clip's last codes on.

    They slow down towards the mean of what they saw.
    """
    dynamics = OnlineDynamics(model)
    first = max(0, len(series) - OBSERVED)
    with torch.inference_mode():
        state = dynamics.start(float(series.seconds[first]), series.codes[first])
        for row in range(first + 1, len(series)):
            state = dynamics.observe(state, float(series.seconds[row]), series.codes[row])
        found = [dynamics.predict(state, float(time))[0].float().clone() for time in seconds]
    return torch.stack(found)
