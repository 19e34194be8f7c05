"""Did the edit do what was asked, and nothing else: shifts of attribute scores from the source to the result."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from ....models.arrays import Float64Array
from ...common.errors import PipelineError
from ..directions.attributes import NAMES

SPREADS: Final[Mapping[str, float]] = {
    "smile": 0.22,
    "age": 11.4,
    "gender": 0.38,
    "yaw": 8.1,
    "pitch": 3.7,
    "mouth-open": 0.058,
    "eyes-closed": 0.071,
}
"""Standard deviation of each score over people: 879 official portraits, frontal, most of them smiling adults. It
calibrates: a shift is told in these, so that years and degrees can be added."""

MOVED: Final = 0.5
"""An edit has done what was asked in a frame where its own attribute moved at least this many spreads that way."""


def shifts(before: Float64Array, after: Float64Array) -> Float64Array:
    """How far each attribute moved.

    Formula: (after - before) / spread. Source: ours; the calibration makes attributes comparable. Range: unbounded.
    Direction: as the edit asks; 0 for what should stay. Unit: standard deviations over people.

    Args:
        before, after: (..., 7).
    """
    moved: Float64Array = (after - before) / np.array([SPREADS[name] for name in NAMES])
    return moved


def manipulation_accuracy(before: Float64Array, after: Float64Array, asked: Mapping[str, float]) -> float:
    """In how many frames the edit did what was asked.

    Formula: mean over frames and asked attributes of [sign(asked) (after - before) / spread >= MOVED]. Source: after
    VidStyleODE (arXiv 2304.06020), with the zoo's scorers in place of its classifiers. Range: 0..1. Direction: higher
    is better. Unit: share of frames.

    Args:
        before, after: (N, 7) of the source and of the result.
        asked: attribute -> above zero for more, below zero for less.

    Raises:
        PipelineError: an attribute is unknown, or none is asked for.
    """
    wanted = {index(name): np.sign(amount) for name, amount in asked.items() if amount}
    if not wanted:
        raise PipelineError("manipulation accuracy needs an edit that was asked for, such as smile=2")
    moved = shifts(before, after)
    return float(np.mean([moved[:, position] * sign >= MOVED for position, sign in wanted.items()]))


def leakage(before: Float64Array, after: Float64Array, asked: Sequence[str]) -> float:
    """How far the attributes moved that should not have.

    Formula: mean over the other attributes of |mean_t (after - before)| / spread. Source: after Shen, Yang, Tang, Zhou,
    "InterFaceGAN", TPAMI 2020, section 4.3 (change of the other scores). Range: 0 up. Direction: lower is better.
    Unit: standard deviations over people.

    Args:
        before, after: (N, 7). asked: the attributes that were to move.

    Raises:
        PipelineError: an attribute is unknown.
    """
    wanted = {index(name) for name in asked}
    others = [position for position in range(len(NAMES)) if position not in wanted]
    return float(np.abs(shifts(before, after).mean(0))[others].mean())


def index(name: str) -> int:
    """Position of an attribute in the scores; PipelineError lists those there are."""
    if name not in NAMES:
        raise PipelineError(f"unknown attribute {name!r}; expected one of {', '.join(NAMES)}")
    return NAMES.index(name)
