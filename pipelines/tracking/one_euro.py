"""One-Euro filter: steady when the signal rests, quick when it moves (Casiez, Roussel, Vogel, CHI 2012).

It is a first-order low pass whose cut-off rises with the signal's own speed: f_c = min_cutoff + beta * |dx/dt|
(equation 5 there). It uses the samples' timestamps, so the rate may be irregular.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...models.arrays import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class OneEuro:
    """Settings for a vector of n coordinates; any may be one number for all, or (n,) for each.

    Attributes:
        min_cutoff: Hz, above zero; cut-off at rest. Lower is steadier and lags more when it starts to move.
        beta: Hz per (unit / s), zero or more; how fast the cut-off rises with speed.
        derivative_cutoff: Hz, above zero; low pass of the speed itself.
        groups: (n,) small whole numbers; coordinates of one group share the length of their joint velocity,
            so a point is filtered alike in every direction. None: each coordinate is filtered separately.
    """

    min_cutoff: float | Float64Array = 1.0
    beta: float | Float64Array = 0.0
    derivative_cutoff: float | Float64Array = 1.0
    groups: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (np.all(np.asarray(self.min_cutoff) > 0) and np.all(np.asarray(self.derivative_cutoff) > 0)):
            raise ValueError(
                f"expected cut-offs above zero, got min_cutoff={self.min_cutoff}, "
                f"derivative_cutoff={self.derivative_cutoff}"
            )
        if not np.all(np.asarray(self.beta) >= 0):
            raise ValueError(f"expected a beta of zero or more, got {self.beta}")
        if self.groups is not None and any(group < 0 for group in self.groups):
            raise ValueError(f"expected groups numbered from zero, got {self.groups}")


@dataclass(frozen=True, slots=True, eq=False)
class OneEuroState:
    """State of the filter: its last output, the filtered velocity, and their time (seconds)."""

    value: Float64Array
    velocity: Float64Array
    seconds: float


def start(value: Float64Array, seconds: float) -> OneEuroState:
    """State after a first sample: at rest at `value`, (n,)."""
    held = np.array(value, dtype=np.float64)
    return OneEuroState(held, np.zeros_like(held), seconds)


def smoothing(cutoff: float | Float64Array, interval: float) -> Float64Array:
    """Weight of the new sample, 0..1, for a cut-off in Hz and an interval in seconds (equations 3 and 4)."""
    reach = 2 * math.pi * np.asarray(cutoff, dtype=np.float64) * interval
    weight: Float64Array = reach / (1 + reach)
    return weight


def step(settings: OneEuro, state: OneEuroState, value: Float64Array, seconds: float) -> OneEuroState:
    """State after the sample `value`, (n,), taken at `seconds`; its `.value` is the filtered sample.

    A sample that is not later than the last one changes nothing.
    Raises ValueError if the number of coordinates changes.
    """
    if value.shape != state.value.shape:
        raise ValueError(f"expected {state.value.shape} coordinates as before, got {value.shape}")
    interval = seconds - state.seconds
    if interval <= 0:
        return state
    raw = (value - state.value) / interval
    velocity = state.velocity + smoothing(settings.derivative_cutoff, interval) * (raw - state.velocity)
    speed = np.abs(velocity)
    if settings.groups is not None:
        members = np.array(settings.groups)
        speed = np.sqrt(np.bincount(members, weights=velocity**2))[members]
    weight = smoothing(settings.min_cutoff + settings.beta * speed, interval)
    return OneEuroState(state.value + weight * (value - state.value), velocity, seconds)
