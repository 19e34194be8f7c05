"""Frame rate conversion: a stream of frames at other times. Only two frames are in memory at once."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from ...stream.frame import Original, Pixels
from ..common.errors import DynamicsError
from ..common.flow import FlowPair
from ..common.stage_timing import Stages
from ..tracking.scene_cut import is_cut, thumbnail
from .code_series import BEYOND
from .motion_blend import Seen, between, flow_between

SAME: Final = 6e-4
"""Seconds within which a requested time equals that of a frame, which is then shown unchanged: Matroska rounds times to
whole milliseconds."""

Bend = Callable[[Pixels, Seen, Seen, float, float], Pixels | None]
"""(a picture between two frames, the one, the other, its time, its share of the way) -> the picture with its faces
changed for that time, None if nothing changes. Beyond the ends of the clip both frames are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The picture to show at a time.

    Attributes:
        pixels: (H, W, 3) uint8.
        kind: "own", a frame of the stream at its time; "made", interpolated for this time; "held", a repeated
            frame.
        original: source of the frame, None if the picture is not one of the stream's.
        bent: whether a face was changed.
    """

    seconds: float
    pixels: Pixels
    kind: Literal["own", "made", "held"]
    original: Original | None = None
    bent: bool = False


def even_times(begin: Fraction, rate: Fraction) -> Iterator[float]:
    """`begin` and the times after it, `rate` a second, without end; each is rounded once, so errors do not add up."""
    return (float(begin + number / rate) for number in itertools.count())


def retime(
    frames: Iterable[Seen],
    seconds: Iterable[float],
    *,
    bend: Bend | None = None,
    lasting: Callable[[], float] | None = None,
    longest: float = math.inf,
    stages: Stages | None = None,
) -> Iterator[Moment]:
    """The pictures at ascending `seconds` of a stream of ascending frames.

    Between two frames both are warped along the flow between them, and blended. Across a cut, and over more than
    `longest` seconds, the earlier one is held. bend: changes faces in the warped picture. lasting: gives the seconds
    for which the last frame is shown, once it has come; `seconds` may then be endless, and stops there. stages: gets
    the time of the interpolation, as "between".

    Raises DynamicsError for a time more than half a second before the frames, or after them without `lasting`.
    """
    stages = stages or Stages()
    asked = iter(seconds)
    time = next(asked, None)
    begun = False
    for one, other in _pairs(frames):
        if time is not None and not begun and time < one.seconds - BEYOND:
            raise DynamicsError(f"{time:g} s is before the clip, which begins at {one.seconds:g} s")
        begun = True
        way = _Way(one, other, longest)
        while time is not None and (other is None or time < other.seconds - SAME):
            if other is None and lasting is not None and time >= one.seconds + max(lasting() - SAME, SAME):
                return
            if other is None and lasting is None and time > one.seconds + BEYOND:
                raise DynamicsError(f"{time:g} s is after the clip, which ends at {one.seconds:g} s")
            if abs(time - one.seconds) <= SAME:
                yield Moment(time, one.pixels, "own", one.original)
            else:
                with stages.time("between"):
                    moment = way.at(time, bend)
                yield moment
            time = next(asked, None)
        if time is None:
            return


class _Way:
    """The interpolation from a frame to the next; flow is measured once, on first use."""

    def __init__(self, one: Seen, other: Seen | None, longest: float) -> None:
        self._one = one
        self._other = other
        self._longest = longest
        self._joined: bool | None = None
        self._flow: FlowPair | None = None

    def at(self, time: float, bend: Bend | None) -> Moment:
        one, other = self._one, self._other
        end = one if other is None or time < one.seconds else other
        pixels, share = one.pixels, 0.0
        if end is not one:
            if not self._belong_together(end):
                return Moment(time, one.pixels, "held", one.original)
            self._flow = self._flow or flow_between(one, end)
            share = (time - one.seconds) / (end.seconds - one.seconds)
            pixels = between(one, end, self._flow, share)
        bent = None if bend is None else bend(pixels, one, end, time, share)
        if bent is None and end is one:
            return Moment(time, pixels, "held", one.original)
        return Moment(time, pixels if bent is None else bent, "made", bent=bent is not None)

    def _belong_together(self, other: Seen) -> bool:
        if self._joined is None:
            near = other.seconds - self._one.seconds <= self._longest
            self._joined = near and not is_cut(thumbnail(self._one.pixels), thumbnail(other.pixels))
        return self._joined


def _pairs(frames: Iterable[Seen]) -> Iterator[tuple[Seen, Seen | None]]:
    """Each frame with the one after it; the last one alone."""
    for one, other in itertools.pairwise(itertools.chain(frames, [None])):
        assert one is not None
        yield one, other
