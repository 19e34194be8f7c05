"""A clip at other times: `dynstream interpolate`. Memory holds two frames, however many are asked for."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...models.generator import Generator
from ...stream.frame import Frame
from ...stream.reader import VideoReader
from ..compositing.composite import FaceFlow, Picture
from ..errors import DynamicsError
from ..tensors import to_levels
from ..tracking.align import Quad
from ..transcode import VideoOptions, open_writer
from .between import linear, spline
from .losses import to_w_plus
from .motion_blend import Seen, bend_face, between, flow_between
from .retimed import RetimedReader
from .series import CodeSeries, Floats, check_times
from .trajectory import BEYOND, Trajectory

Method = Literal["ode", "linear", "spline"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT = VideoOptions()
BATCH = 8
SAME = 6e-4
"""Seconds within which an asked time is that of a frame, which is then shown as it is: Matroska rounds times to whole
milliseconds."""

Codes = Callable[[Floats], Iterator[Tensor]]
"""Ascending times -> codes, some at a time, in all one for each."""


@dataclass(frozen=True, slots=True)
class Written:
    """frames: written. shown: of these, frames of the clip as they are. drawn: with a face drawn for their time."""

    frames: int
    shown: int
    drawn: int


def check_method(name: str) -> Method:
    """The method of that name. Raises DynamicsError, which lists the known ones."""
    for known in METHODS:
        if name == known:
            return known
    raise DynamicsError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")


def codes_by(method: Method, series: CodeSeries, trajectory: Trajectory | None) -> Codes:
    """How a method answers. trajectory: of the same clip, for "ode"."""
    if method == "ode":
        if trajectory is None:
            raise DynamicsError('the method "ode" needs a fitted clip; `dynstream fit CLIP` makes one')
        return trajectory.stream
    ask = linear if method == "linear" else spline

    def stream(seconds: Floats) -> Iterator[Tensor]:
        for begin in range(0, len(seconds), BATCH):
            yield ask(series, seconds[begin : begin + BATCH])

    return stream


def times_at(begin: float, end: float, rate: float) -> Floats:
    """Even times from `begin` to `end`, `rate` a second. Raises DynamicsError for a rate that is not above zero."""
    if not (math.isfinite(rate) and 0 < rate <= 10_000):
        raise DynamicsError(f"expected a frame rate above 0 and at most 10000, got {rate:g}")
    return begin + np.arange(math.floor((end - begin) * rate + min(SAME * rate, 0.5)) + 1) / rate


def interpolate(
    source: Path,
    target: Path,
    seconds: Floats,
    series: CodeSeries,
    codes: Codes,
    generator: Generator,
    *,
    rate: Fraction,
    every: int = 1,
    video: VideoOptions = DEFAULT,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _frames: None,
) -> Written:
    """Write `source` at ascending `seconds`.

    series: the codes that were observed, with "quads" and "landmarks". codes: a method's answers. rate: that the file
    says it has. every: take one of so many frames of the source; the others are not looked at. Times before the first
    or after the last frame show that frame with the face moved on, for half a second at most.

    Raises SourceError, SinkError; DynamicsError for times that are not in the clip.
    """
    check_times(seconds)
    if "quads" not in series.extras or "landmarks" not in series.extras:
        raise DynamicsError("the codes were made without places of the face; encode the clip itself")
    draw = _Drawer(generator, codes, series, seconds)
    flow = FaceFlow()
    frames = shown = drawn = 0
    with (
        RetimedReader(source, rate) as timed,
        VideoReader(source) as reader,
        open_writer(target, timed, video, overwrite=overwrite) as writer,
    ):
        asked = iter(seconds)
        time = next(asked, None)
        last_pts: int | None = None
        for one, other in _pairs(reader, every, series):
            if time is not None and frames == 0 and time < one.seconds - BEYOND:
                raise DynamicsError(f"{time:g} s is before the clip, which begins at {one.seconds:g} s")
            pair = None
            while time is not None and (other is None or time < other.seconds - SAME):
                if other is None and time > one.seconds + BEYOND:
                    raise DynamicsError(f"{time:g} s is after the clip, which ends at {one.seconds:g} s")
                pixels, is_drawn = one.pixels, False
                if abs(time - one.seconds) > SAME:
                    end = one if other is None or time < one.seconds else other
                    share = 0.0 if end is one else (time - one.seconds) / (end.seconds - one.seconds)
                    if end is not one:
                        pair = pair or flow_between(one, end)
                        pixels = between(one, end, pair, share)
                    if one.quad is not None and end.quad is not None:
                        straight, bent = draw.at(time, one.seconds, end.seconds, share)
                        pixels = bend_face(pixels, one, end, straight, bent, share, flow)
                        is_drawn = True
                else:
                    shown += 1
                pts = timed.pts(time)
                if last_pts is None or pts > last_pts:
                    writer.write(Frame(pixels, pts, timed.time_base))
                    last_pts, frames, drawn = pts, frames + 1, drawn + is_drawn
                    progress(frames)
                time = next(asked, None)
            if time is None:
                break
    return Written(frames, shown, drawn)


def _pairs(reader: VideoReader, every: int, series: CodeSeries) -> Iterator[tuple[Seen, Seen | None]]:
    """Each frame with the one after it; the last one alone."""
    before: Seen | None = None
    for number, frame in enumerate(reader):
        if number % every:
            continue
        seen = Seen(frame.pixels, frame.seconds, *place(series, frame.seconds))
        if before is not None:
            yield before, seen
        before = seen
    if before is not None:
        yield before, None


def place(series: CodeSeries, seconds: float) -> tuple[Quad, npt.NDArray[np.float64]] | tuple[None, None]:
    """Quad and landmarks of the face in the frame at that time, where it was seen in it."""
    row = int(np.searchsorted(series.seconds, seconds - SAME))
    if row == len(series) or abs(series.seconds[row] - seconds) > SAME:
        return None, None
    return series.extras["quads"][row].double().numpy(), series.extras["landmarks"][row].double().numpy()


class _Drawer:
    """Draws the face at asked times; each code is asked for once, in the order of time, and those behind are let go."""

    def __init__(self, generator: Generator, codes: Codes, series: CodeSeries, asked: Floats) -> None:
        self._generator = generator
        times = np.union1d(series.seconds, asked)
        self._stream = zip(times.tolist(), (code for some in codes(times) for code in some), strict=True)
        self._ahead: dict[float, Tensor] = {}

    def at(self, seconds: float, begin: float, end: float, share: float) -> tuple[Picture, Picture]:
        """(straight, bent): drawn `share` of the way along the line between the codes at two frames, and at a time."""
        if self._ahead and min(self._ahead) < begin:
            self._ahead = {time: code for time, code in self._ahead.items() if time >= begin}
        straight = torch.lerp(self._code(begin), self._code(end), share)
        codes = torch.stack([straight, self._code(seconds)])
        with torch.inference_mode():
            first, second = to_levels(self._generator.synthesize(to_w_plus(codes, self._generator), size=256))
        return first, second

    def _code(self, seconds: float) -> Tensor:
        while seconds not in self._ahead:
            time, code = next(self._stream)
            self._ahead[time] = code
        return self._ahead[seconds]
