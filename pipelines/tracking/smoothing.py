"""Smoothing of the alignment points: One-Euro filters on the place, the size and the angle of the FFHQ quad.

The three are filtered separately, because their noise and their motion differ. A head moves across the
picture fast, but changes size and tilt slowly, while the measured size has the most jitter (speech moves
the mouth, and with it FFHQ's scale). Units are face sizes, so near and far faces are filtered alike.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ...models.arrays import Points, Quad
from . import one_euro
from .align import ffhq_quad, side
from .one_euro import OneEuro, OneEuroState

SMOOTHING: Final = OneEuro(
    min_cutoff=np.array([1.0, 1.0, 0.5, 0.5]),
    beta=np.array([10.0, 10.0, 5.0, 10.0]),
    derivative_cutoff=4.0,
    groups=(0, 0, 1, 2),
)
"""For (x, y, log size, angle): Hz, and Hz per (side / s), (e-fold / s), (radian / s).

Chosen on five real clips, three calm and two lively, from a grid of 60 for each of the three: a higher beta with
a faster derivative filter beats a higher cut-off at rest, because a head that swings back and forth has a mean
velocity of zero.
"""


def describe(quad: Quad, unit: float) -> npt.NDArray[np.float64]:
    """(4,): the quad's centre in `unit` pixels, the log of its side, its angle in radians."""
    across = quad[3] - quad[0]
    centre = quad.mean(axis=0) / unit
    return np.array([centre[0], centre[1], np.log(side(quad)), np.arctan2(across[1], across[0])])


def begin(points: Points, seconds: float) -> OneEuroState:
    """State after a face's first frame."""
    quad = ffhq_quad(points)
    return one_euro.start(describe(quad, side(quad)), seconds)


def follow(
    state: OneEuroState, points: Points, seconds: float, settings: OneEuro = SMOOTHING
) -> tuple[OneEuroState, Points]:
    """(new state, smoothed (3, 2) points) for the measured `points` of a frame at `seconds`.

    The measured points are moved by the similarity that takes their own quad to the filtered one, so the quad
    of the result is the filtered one exactly.
    """
    measured = ffhq_quad(points)
    # The unit of length is the side of the last output; the state's centre is converted to the new unit after.
    unit = float(np.exp(state.value[2]))
    value = describe(measured, unit)
    turn = value[3] - state.value[3]
    value[3] = state.value[3] + (turn + np.pi) % (2 * np.pi) - np.pi
    filtered = one_euro.step(settings, state, value, seconds)
    smoothed = move(points, value, filtered.value, unit)
    rescale = unit / float(np.exp(filtered.value[2]))
    scale = np.array([rescale, rescale, 1.0, 1.0])
    return OneEuroState(filtered.value * scale, filtered.velocity * scale, filtered.seconds), smoothed


def move(points: Points, source: npt.NDArray[np.float64], target: npt.NDArray[np.float64], unit: float) -> Points:
    """`points` under the similarity from quad description `source` to `target`."""
    growth, turn = np.exp(target[2] - source[2]), target[3] - source[3]
    matrix = growth * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved: Points = (points - source[:2] * unit) @ matrix.T + target[:2] * unit
    return moved
