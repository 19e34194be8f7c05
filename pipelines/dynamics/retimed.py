"""Reading a video whose pictures will be written at other times."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from ...stream.reader import VideoReader
from ..errors import DynamicsError
from .series import Floats, check_times

FINEST: Final = 90_000
"""A second has at least so many units: any time that is asked for is met to a hundredth of a millisecond."""


class RetimedReader(VideoReader):
    """What a writer needs to know of a source, with another frame rate and a unit of time fine enough for it.

    Only for `VideoWriter`: the frames that it would yield still count in the source's own unit, which `source_unit` is.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        super().__init__(path)
        self.source_unit = self.time_base
        self.rate = rate
        whole = math.lcm(self.source_unit.denominator, rate.numerator)
        # Exact for the source's times and for even ones, where that is a unit that containers can hold.
        self.time_base = Fraction(1, whole * math.ceil(FINEST / whole)) if whole < 2**31 // 4 else Fraction(1, FINEST)
        self.last_duration = max(1, round(1 / (rate * self.time_base)))

    def pts(self, seconds: float) -> int:
        """The nearest time, in units of `time_base`."""
        return round(seconds / self.time_base)


def parse_times(text: str) -> Floats:
    """Ascending seconds of a list with commas. Raises DynamicsError."""
    try:
        seconds = np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise DynamicsError(f"--times {text!r}: expected seconds with commas between, such as 0,0.01,0.4") from None
    check_times(seconds)
    return seconds
