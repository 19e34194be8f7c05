"""Interpolation of a clip at other times: `dynstream interpolate`. Only two frames are in memory at once."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...models.arrays import Float64Array, FloatImage, Quad
from ...models.generator.generator import Generator
from ...stream.frame import Pixels
from ...stream.reader import VideoReader
from ..animation.latent_motion import LatentMotion
from ..common.errors import DynamicsError
from ..common.tensors import to_levels
from ..compositing.composite import FaceFlow
from ..motion.code_series import CodeSeries, check_times
from ..motion.frame_rate import SAME, retime
from ..motion.motion_blend import Seen, bend_face
from ..motion.retimed_reader import RetimedReader, check_rate
from ..trajectory.code_interpolation import linear, spline
from ..trajectory.losses import to_w_plus
from ..trajectory.trajectory import Trajectory
from .transcode import Seal, VideoOptions, open_writer

Method = Literal["ode", "linear", "spline", "vidstyleode"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT = VideoOptions()
BATCH = 8

Codes = Callable[[Float64Array], Iterator[Tensor]]
"""Ascending times -> batches of codes, one code for each time."""


@dataclass(frozen=True, slots=True)
class Written:
    """Counts of written frames.

    Attributes:
        frames: frames written.
        shown: of these, frames of the clip that are unchanged.
        drawn: frames with a face drawn for their time.
    """

    frames: int
    shown: int
    drawn: int


def check_method(name: str) -> Method:
    """The method of that name. Raises DynamicsError, which lists the names."""
    for known in METHODS:
        if name == known:
            return known
    raise DynamicsError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")


def codes_by(
    method: Method, series: CodeSeries, trajectory: Trajectory | None, latent: LatentMotion | None = None
) -> Codes:
    """The codes function of a method. trajectory: of the same clip, for "ode". latent: likewise for "vidstyleode"."""
    if method == "vidstyleode":
        if latent is None:
            raise DynamicsError('the method "vidstyleode" needs its model; `dynstream train vidstyleode` makes one')
        return latent.stream
    if method == "ode":
        if trajectory is None:
            raise DynamicsError('the method "ode" needs a fitted clip; `dynstream fit CLIP` makes one')
        return trajectory.stream
    ask = linear if method == "linear" else spline

    def stream(seconds: Float64Array) -> Iterator[Tensor]:
        for begin in range(0, len(seconds), BATCH):
            yield ask(series, seconds[begin : begin + BATCH])

    return stream


def times_at(begin: float, end: float, rate: float) -> Float64Array:
    """Even times from `begin` to `end`, `rate` a second. Raises DynamicsError for a rate out of range."""
    check_rate(rate)
    return begin + np.arange(math.floor((end - begin) * rate + min(SAME * rate, 0.5)) + 1) / rate


def interpolate(
    source: Path,
    target: Path,
    seconds: Float64Array,
    series: CodeSeries,
    codes: Codes,
    generator: Generator,
    *,
    rate: Fraction,
    every: int = 1,
    video: VideoOptions = DEFAULT,
    overwrite: bool = False,
    seal: Seal | None = None,
    progress: Callable[[int], None] = lambda _frames: None,
) -> Written:
    """Write `source` at ascending `seconds`.

    series: the observed codes, with "quads" and "landmarks". codes: a method's codes function. rate: frame rate in the
    file's header. every: use one frame of the source in so many; the others are ignored. seal: see `VideoWriter`.
    Times before the first or after the last frame show that frame with the face moved on, for half a second at most.

    Raises SourceError, SinkError; DynamicsError for times that are not in the clip.
    """
    check_times(seconds)
    if "quads" not in series.extras or "landmarks" not in series.extras:
        raise DynamicsError("the codes were made without places of the face; encode the clip itself")
    draw = _Drawer(generator, codes, series, seconds)
    flow = FaceFlow()

    def bend(pixels: Pixels, one: Seen, other: Seen, time: float, share: float) -> Pixels | None:
        if one.quad is None or other.quad is None:
            return None
        straight, bent = draw.at(time, one.seconds, other.seconds, share)
        return bend_face(pixels, one, other, straight, bent, share, flow)

    counts = Counter[str]()
    with (
        RetimedReader(source, rate) as timed,
        VideoReader(source) as reader,
        open_writer(target, timed, video, overwrite=overwrite, seal=seal) as writer,
    ):
        timed.side_data = reader.side_data
        last_pts: int | None = None
        for moment in retime(_seen(reader, every, series), seconds.tolist(), bend=bend):
            frame = timed.frame(moment)
            if last_pts is None or frame.pts > last_pts:
                writer.write(frame)
                last_pts = frame.pts
                counts.update(shown=moment.kind == "own", drawn=moment.bent)
                progress(writer.frames_written)
    return Written(writer.frames_written, counts["shown"], counts["drawn"])


def _seen(reader: VideoReader, every: int, series: CodeSeries) -> Iterator[Seen]:
    """One frame in `every`, with its face."""
    for frame in islice(reader, None, None, every):
        quad, landmarks = place(series, frame.seconds)
        yield Seen(frame.pixels, frame.seconds, quad, landmarks, frame.original)


def place(series: CodeSeries, seconds: float) -> tuple[Quad, npt.NDArray[np.float64]] | tuple[None, None]:
    """Quad and landmarks of the face in the frame at that time, if it was found there."""
    row = int(np.searchsorted(series.seconds, seconds - SAME))
    if row == len(series) or abs(series.seconds[row] - seconds) > SAME:
        return None, None
    return series.extras["quads"][row].double().numpy(), series.extras["landmarks"][row].double().numpy()


class _Drawer:
    """Draws the face at requested times; each code is computed once, in order of time, and dropped after its use."""

    def __init__(self, generator: Generator, codes: Codes, series: CodeSeries, asked: Float64Array) -> None:
        self._generator = generator
        times = np.union1d(series.seconds, asked)
        self._stream = zip(times.tolist(), (code for some in codes(times) for code in some), strict=True)
        self._ahead: dict[float, Tensor] = {}

    def at(self, seconds: float, begin: float, end: float, share: float) -> tuple[FloatImage, FloatImage]:
        """(straight, bent): the face drawn at `share` of the line between two frames' codes, and at the time's code."""
        needed = min(begin, seconds)  # times before the first frame come before its own
        if self._ahead and min(self._ahead) < needed:
            self._ahead = {time: code for time, code in self._ahead.items() if time >= needed}
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
