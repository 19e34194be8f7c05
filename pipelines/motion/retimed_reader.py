"""A video reader for pictures that will be written at other times."""

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from ...models.arrays import Float64Array
from ...stream.frame import Frame
from ...stream.reader import VideoReader
from ..common.errors import DynamicsError
from .code_series import check_times
from .frame_rate import Moment

LEAST_RATE: Final = 0.01
MOST_RATE: Final = 1000.0
"""Largest frame rate; a higher one is taken for a typing error."""
LARGEST: Final = 2**31 // 4
"""Numerator and denominator of a unit of time are below this: containers keep 32 bits of each."""
FINEST: Final = 90_000
"""Least number of units in a second: any requested time is exact to a hundredth of a millisecond."""


class RetimedReader(VideoReader):
    """The properties of a source for a writer, with another frame rate and a unit of time fine enough for it.

    begin: seconds of its first frame. Only for `VideoWriter`: the frames that it would yield still count in the
    source's own unit, which `source_unit` is.
    """

    at_own_times = False

    def __init__(self, path: Path, rate: Fraction, *, even: bool = False) -> None:
        """even: all times will be `begin` and whole frames after it. The unit then is as coarse as possible, since
        some encoders and containers support no finer one.
        """
        super().__init__(path)
        self._lasts = super().duration
        self.source_unit = self.time_base
        self.begin = self.first_pts * self.source_unit
        self.rate = rate
        self.time_base = _unit(self.begin, 1 / rate) if even else _unit(self.source_unit, 1 / rate, finest=FINEST)
        self.last_duration = max(1, round(1 / (rate * self.time_base)))

    @property
    def duration(self) -> Fraction | None:
        """Of the source, in seconds."""
        return self._lasts

    @property
    def frame_count_estimate(self) -> int | None:
        """Frames of the result, if they are evenly spaced; None if the source has no duration."""
        return None if self._lasts is None else max(1, math.ceil(self._lasts * self.rate - Fraction(1, 100)))

    def pts(self, seconds: float) -> int:
        """The nearest time, in units of `time_base`."""
        return round(seconds / self.time_base)

    def frame(self, moment: Moment) -> Frame:
        """The frame for a writer."""
        return Frame(moment.pixels, self.pts(moment.seconds), self.time_base, moment.original)


def _unit(one: Fraction, other: Fraction, *, finest: int = 1) -> Fraction:
    """The largest unit of which both are whole numbers, or a part of it that a second has `finest` of; near enough
    where containers could not hold that one."""
    unit = Fraction(math.gcd(one.numerator * other.denominator, other.numerator * one.denominator), 1)
    unit /= one.denominator * other.denominator
    unit /= math.ceil(unit * finest)
    return unit if unit.numerator < LARGEST and unit.denominator < LARGEST else Fraction(1, FINEST)


def check_rate(rate: float | Fraction) -> None:
    """Raise DynamicsError for a frame rate out of range."""
    if not (math.isfinite(rate) and LEAST_RATE <= rate <= MOST_RATE):
        raise DynamicsError(
            f"expected a frame rate of {LEAST_RATE:g} to {MOST_RATE:g} a second, such as 60, got {float(rate):g}"
        )


def parse_rate(text: str) -> Fraction:
    """Frames a second: 60, 59.94 (which means 60000/1001) or 60000/1001. Raises DynamicsError."""
    try:
        # Fraction itself would compute 1e999999999.
        rate = Fraction(text) if re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,9}|/\d{1,9})?", text) else None
    except ZeroDivisionError:
        rate = None
    if rate is None:
        raise DynamicsError(f"--fps {text!r}: expected frames a second, such as 60, 29.97 or 30000/1001")
    check_rate(rate)
    television = Fraction(1000 * round(rate * 1001 / 1000), 1001)
    if rate.denominator > 1 and rate > 10 and abs(rate - television) < Fraction(5, 1000):
        return television
    return rate.limit_denominator(1001)


def parse_times(text: str) -> Float64Array:
    """Ascending seconds of a list with commas. Raises DynamicsError."""
    try:
        seconds = np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise DynamicsError(f"--times {text!r}: expected seconds with commas between, such as 0,0.01,0.4") from None
    check_times(seconds)
    return seconds
