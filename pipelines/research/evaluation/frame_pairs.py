"""Several videos of one scene, read in step: frames that belong together, or an error that says why they do not."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from ....stream.frame import Frame, Pixels
from ....stream.reader import VideoReader
from ...common.errors import PipelineError

REMEDY: Final = "pass --align to compare the frames whose times agree, scaled to the source's size"


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """What one pass over a file found.

    Attributes:
        size: (width, height).
        rate: frames per second, as the file says.
        seconds: (N,) float64, after the first frame.
        notes: of the reader.
    """

    path: Path
    size: tuple[int, int]
    rate: Fraction
    seconds: npt.NDArray[np.float64]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Which frames are compared.

    Attributes:
        indices: for each video the (N,) numbers of its frames, rising; the i-th of each belong together.
        notes: what was left out or changed to make them fit.
    """

    indices: Mapping[str, npt.NDArray[np.int64]]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Frames that belong together.

    Attributes:
        number: from zero.
        frame: of the source.
        pixels: of each video, all of the source's size.
    """

    number: int
    frame: Frame
    pixels: Mapping[str, Pixels]


def scan(path: Path) -> Scanned:
    """Reads a file once for its times, so that what is wrong is said before anything is computed.

    Raises:
        SourceError: it cannot be read.
    """
    with VideoReader(path) as reader:
        times = [frame.pts for frame in reader]
        seconds = (np.array(times) - times[0]) * float(reader.time_base)
        return Scanned(path, reader.size, reader.rate, seconds, reader.notes)


def match(source: str, videos: Mapping[str, Scanned], *, align: bool, remedy: str = REMEDY) -> Matching:
    """Which frames of `videos` belong to which of videos[source].

    align: False wants as many frames of one size at the same times, by half a frame. True compares the frames that are
        each other's nearest in time, by half a frame, and scales pictures to the source's size.
    remedy: what to do where they do not fit.

    Raises:
        PipelineError: they do not fit, or have no frame in common.
    """
    base = videos[source]
    if align:
        return _align(source, videos)
    for name, other in videos.items():
        if other.size != base.size:
            raise PipelineError(
                f"the {source} {base.path} is {_size(base)}, the {name} {other.path} {_size(other)}; {remedy}"
            )
        if len(other.seconds) != len(base.seconds):
            raise PipelineError(
                f"the {source} {base.path} has {len(base.seconds)} frames, the {name} {other.path} "
                f"{len(other.seconds)}; {remedy}"
            )
        off = np.abs(other.seconds - base.seconds)
        if off.max() > _half_interval(base):
            first = int(np.argmax(off > _half_interval(base)))
            raise PipelineError(
                f"frame {first} of the {source} {base.path} is shown at {base.seconds[first]:.3f} s, of the {name} "
                f"{other.path} at {other.seconds[first]:.3f} s ({_rate(base)} and {_rate(other)}); {remedy}"
            )
    every = np.arange(len(base.seconds))
    return Matching(dict.fromkeys(videos, every), _notes(videos))


def _align(source: str, videos: Mapping[str, Scanned]) -> Matching:
    base = videos[source]
    partners: dict[str, npt.NDArray[np.int64]] = {}
    common = np.ones(len(base.seconds), bool)
    for name, other in videos.items():
        partners[name] = nearest(base.seconds, other.seconds)
        mutual = nearest(other.seconds, base.seconds)[partners[name]] == np.arange(len(base.seconds))
        close = np.abs(other.seconds[partners[name]] - base.seconds) <= max(_half_interval(base), _half_interval(other))
        common &= mutual & close
    if not common.any():
        raise PipelineError(f"no frames of {' and '.join(str(v.path) for v in videos.values())} agree in time")
    notes = [
        f"{name}: {len(video.seconds) - int(common.sum())} of {len(video.seconds)} frames have no partner in time"
        for name, video in videos.items()
        if common.sum() < len(video.seconds)
    ]
    notes += [
        f"{name}: scaled from {_size(video)} to {_size(base)}"
        for name, video in videos.items()
        if video.size != base.size
    ]
    return Matching({name: partner[common] for name, partner in partners.items()}, (*_notes(videos), *notes))


def nearest(times: npt.NDArray[np.float64], candidates: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """For each of `times` the number of the nearest of `candidates`, both rising; the earlier one of two as near."""
    after = np.clip(np.searchsorted(candidates, times), 0, len(candidates) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(candidates[before] - times) <= np.abs(candidates[after] - times)
    return cast("npt.NDArray[np.int64]", np.where(earlier, before, after).astype(np.int64))


def read(source: str, videos: Mapping[str, Scanned], matching: Matching) -> Iterator[Step]:
    """The matched frames, in order; holds one frame of each video. Raises SourceError."""
    size = videos[source].size
    with ExitStack() as stack:
        readers = {name: iter(stack.enter_context(VideoReader(video.path))) for name, video in videos.items()}
        places = dict.fromkeys(videos, -1)
        for number in range(len(matching.indices[source])):
            frames: dict[str, Frame] = {}
            for name, reader in readers.items():
                wanted = int(matching.indices[name][number])
                while places[name] < wanted:
                    frames[name] = next(reader)
                    places[name] += 1
            yield Step(number, frames[source], {name: _scaled(frame.pixels, size) for name, frame in frames.items()})


def _scaled(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    how = cv2.INTER_AREA if pixels.shape[1] > size[0] else cv2.INTER_CUBIC
    return cast("Pixels", cv2.resize(pixels, size, interpolation=how))


def _half_interval(video: Scanned) -> float:
    if len(video.seconds) < 2:
        return float(1 / video.rate) / 2
    return float(np.median(np.diff(video.seconds))) / 2


def _notes(videos: Mapping[str, Scanned]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for name, video in videos.items() for note in video.notes)


def _size(video: Scanned) -> str:
    return f"{video.size[0]}x{video.size[1]}"


def _rate(video: Scanned) -> str:
    return f"{float(video.rate):.5g} frames a second"
