"""A clip that goes on beyond its last frame, or a picture that begins to move: `dynstream extrapolate`."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Float64Array, FloatImage
from ...models.dynamics.motion_model import load_motion
from ...models.dynamics.vidstyleode import WEIGHTS, load_vidstyleode
from ...models.generator.generator import Generator
from ...stream.atomic import write_whole
from ...stream.colour import ColourTags
from ...stream.frame import Frame, Pixels
from ...stream.reader import VideoReader
from ..animation.driver import read_driver
from ..animation.latent_motion import LatentMotion
from ..common.annotate import encode_png
from ..common.errors import DynamicsError
from ..common.tensors import to_levels
from ..compositing.composite import FaceFlow
from ..motion.code_series import CodeSeries
from ..motion.frame_rate import SAME
from ..motion.motion_blend import Seen, bend_face
from ..motion.retimed_reader import RetimedReader
from ..tracking.backends import load_backend
from ..tracking.tracker import Tracker
from ..trajectory.code_extrapolation import hold, learned, line
from ..trajectory.losses import to_w_plus
from .interpolate import place
from .transcode import Seal, VideoOptions, open_writer

if TYPE_CHECKING:
    from ...models.zoo.zoo import Zoo

Method = Literal["auto", "hold", "line", "ode", "vidstyleode"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
MOST_SECONDS: Final = 60.0
STRIP: Final = 8
DEFAULT: Final = VideoOptions()
Codes = Callable[[Float64Array], Tensor]
"""Ascending times -> (T, codes, 512)."""


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """Counts of written frames: all, and those beyond the clip."""

    frames: int
    made: int


def check_method(name: str, dynamics: Path | None) -> Method:
    """The method of that name; of "auto" the best that can run. Raises DynamicsError."""
    if name not in METHODS:
        raise DynamicsError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")
    if dynamics is not None and name not in ("auto", "vidstyleode"):
        raise DynamicsError(f"--dynamics FILE is for --method vidstyleode, not for {name}; leave one of them out")
    if name == "auto":
        return "vidstyleode" if dynamics is not None or WEIGHTS.is_file() else "ode"
    return next(known for known in METHODS if known == name)


def check_seconds(seconds: float) -> float:
    """Raises DynamicsError for a length that is out of range."""
    if not (math.isfinite(seconds) and 0 < seconds <= MOST_SECONDS):
        raise DynamicsError(f"--seconds {seconds:g}: expected more than 0, and {MOST_SECONDS:g} at most")
    return seconds


def latent_motion(
    source: Path, zoo: "Zoo", series: CodeSeries, generator: Generator, path: Path | None
) -> LatentMotion:
    """The motion of a clip by a trained VidStyleODE. path: its weights, the shipped ones by default.

    Raises WeightsError where there are none, with how to train them.
    """
    model = load_vidstyleode(path or WEIGHTS)
    frames = read_driver(source, Tracker(load_backend("mesh", zoo)), crops=True)
    return LatentMotion(model, generator, to_w_plus(series.codes, generator).mean(0), frames)


def codes_by(method: Method, series: CodeSeries, latent: LatentMotion | None) -> Codes:
    """The codes function of a method. latent: for "vidstyleode"."""
    if method == "vidstyleode":
        assert latent is not None
        return latent.codes
    if method == "ode" and len(series) > 1:
        model = load_motion()
        return lambda seconds: learned(series, seconds, model)
    return lambda seconds: (line if method == "line" else hold)(series, seconds)


def extrapolate(
    source: Path,
    target: Path,
    seconds: float,
    series: CodeSeries,
    codes: Codes,
    generator: Generator,
    *,
    rate: Fraction,
    video: VideoOptions = DEFAULT,
    overwrite: bool = False,
    seal: Seal | None = None,
    progress: Callable[[int], None] = lambda _frames: None,
) -> Extrapolated:
    """Write `source`, and `seconds` more of it: its last frame with the face moved on.

    series: the observed codes, with "quads" and "landmarks". codes: a method's codes function. rate: frames a second
    of what is made. Sound is the source's, and ends with it.
    Raises SourceError, SinkError; DynamicsError where the last frame shows no face.
    """
    flow = FaceFlow()
    with (
        RetimedReader(source, rate) as timed,
        VideoReader(source) as reader,
        open_writer(target, as_video(timed), video, overwrite=overwrite, seal=seal) as writer,
    ):
        timed.side_data = reader.side_data
        last: Frame | None = None
        for frame in reader:
            last = frame
            writer.write(Frame(frame.pixels, timed.pts(frame.seconds), timed.time_base, frame.original))
            progress(writer.frames_written)
        if last is None:
            raise DynamicsError(f"{source} has no frame")
        quad, landmarks = place(series, last.seconds)
        if quad is None:
            raise DynamicsError(
                f"the last frame of {source} shows no face to move on; cut the clip where a face is seen "
                f"(the last one is at {series.seconds[-1]:.2f} s)"
            )
        seen = Seen(last.pixels, last.seconds, quad, landmarks)
        times = last.seconds + np.arange(1, math.floor(seconds * float(rate) + SAME * float(rate)) + 1) / float(rate)
        # The drawing at the last frame's own time comes by the same method, so that nothing jumps.
        found = codes(np.concatenate([[last.seconds], times]))
        straight = _draw(generator, found[:1])[0]
        for time, code in zip(times, found[1:], strict=True):
            pixels: Pixels = bend_face(last.pixels, seen, seen, straight, _draw(generator, code[None])[0], 0.0, flow)
            writer.write(Frame(pixels, timed.pts(float(time)), timed.time_base))
            progress(writer.frames_written)
    return Extrapolated(writer.frames_written, len(times))


def write_strip(result: Path, target: Path, made: int, *, overwrite: bool = False) -> None:
    """Write a PNG of up to eight pictures of a result: the source's last one, and those made after it."""
    with VideoReader(result) as reader:
        kept = deque((frame.pixels for frame in reader), maxlen=made + 1)
    rows = np.unique(np.linspace(0, len(kept) - 1, STRIP).round().astype(int))
    write_whole(target, encode_png(np.concatenate([kept[row] for row in rows], axis=1)), overwrite=overwrite)


def as_video(timed: RetimedReader) -> RetimedReader:
    """A picture's reader as that of a video, which is not RGB."""
    if timed.is_rgb:
        timed.pix_fmt, timed.is_rgb, timed.tags = "yuv420p", False, ColourTags()
    return timed


def _draw(generator: Generator, codes: Tensor) -> FloatImage:
    with torch.inference_mode():
        return to_levels(generator.synthesize(to_w_plus(codes, generator), size=256))
