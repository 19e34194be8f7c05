"""What an edit did to a video: the surroundings, the smile, the identity, the steadiness, several results in one pass.

Source and results are read in step, the source's faces are tracked once, and source and results are scored in the same
place in the same way, so that a source against itself gives 0 and 1 to the last digit. No frame is kept.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ....models.faces.faces import Face, FaceBackend
from ....stream.frame import Pixels
from ...common.flow import Flow
from ...common.image_ops import mse
from ...tracking.align import crop
from ...tracking.face_selection import Policy
from ...tracking.face_track import FaceTrack
from ...tracking.tracker import Tracker, TrackerState
from ..directions.attributes import smile
from ..evaluation.frame_pairs import match, read, scan
from ..evaluation.running_sums import Curves
from ..metrics.identity import Embedder, cosine, distance
from ..metrics.reconstruction import psnr
from ..metrics.warp_error import VideoWarpError, pair_errors

GROWTH: Final = 0.25
"""The face region is the box around the tracked landmarks, grown by this share of its width and height."""
SMILING: Final = 0.3
"""Frames that smile at least this much in the source are left out of the mean: they cannot rise by much."""
IDENTITY: Final[Mapping[str, Callable[..., npt.NDArray[np.float64]]]] = {"dlib": distance, "arcface": cosine}

SOURCE: Final = "source"
REMEDY: Final = "measure results that keep their source's frames and times"

Box = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class QualityScorers:
    """What looks at the frames. Those that are costly look at every `every`-th frame or pair of frames.

    Attributes:
        backend, policy: find the faces; the policy is the one of the edit.
        embedders: a key of IDENTITY -> embedder.
        flow: None leaves the steadiness out.
    """

    backend: FaceBackend
    policy: Policy
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    flow: Flow | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"expected every first frame or more, got {self.every}")
        if unknown := set(self.embedders) - set(IDENTITY):
            raise ValueError(f"no measure for the identity {unknown}; known are {', '.join(IDENTITY)}")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One result against its source; NaN where no frame could be scored.

    Attributes:
        frames: compared.
        outside_psnr: dB of 8-bit RGB over all pixels of all frames outside the face region, "inf" where they are equal.
        outside_psnr_worst: of the worst frame.
        smile_frames: faces in frames that smile under SMILING in the source.
        smile_before, smile_after: their mean mouthSmile blendshape, left and right, 0..1.
        identity: "dlib" -> mean Euclidean distance to the source's face (below 0.6 for one person), "arcface" -> mean
            cosine.
        identity_frames: faces that this is the mean of.
        warp_error: flow-warped error of result and source, over the whole frame; None without a flow.
        face_warp_error: the same inside the face region.
    """

    frames: int
    outside_psnr: float
    outside_psnr_worst: float
    smile_frames: int
    smile_before: float
    smile_after: float
    identity: Mapping[str, float]
    identity_frames: int
    warp_error: VideoWarpError | None
    face_warp_error: VideoWarpError | None

    @property
    def smile_rise(self) -> float:
        """How much the smile rose."""
        return self.smile_after - self.smile_before


def measure_quality(
    source: Path,
    results: Mapping[str, Path],
    scorers: QualityScorers,
    progress: Callable[[int], None] = lambda _frames: None,
) -> dict[str, Quality]:
    """The quality of each result, by its name in `results`; all in one pass over the source.

    Raises SourceError where a file cannot be read, PipelineError where a result has another size, length or times.
    """
    videos = {name: scan(path) for name, path in {SOURCE: source, **results}.items()}
    matching = match(SOURCE, videos, align=False, remedy=REMEDY)
    sums = {name: _Sums() for name in results}
    tracker, state = Tracker(scorers.backend, scorers.policy), TrackerState()
    before: _Moment | None = None
    for step in read(SOURCE, videos, matching):
        index, frame, edited = step.number, step.frame, step.pixels
        state, seen = tracker.step(state, frame)
        outside = np.ones(frame.pixels.shape[:2], dtype=np.bool_)
        for track in seen.faces:
            outside[face_region(track, frame.size)] = False
        now = _Moment(frame.pixels, edited, outside)
        for name, own in sums.items():
            own.add_surroundings(frame.pixels[outside], edited[name][outside])
        for track in seen.faces:
            if track.seen:
                _score_face(track, now, sums, scorers, costly=index % scorers.every == 0)
        if scorers.flow is not None and before is not None and index % scorers.every == 1 % scorers.every:
            _score_motion(before, now, sums, scorers.flow)
        before = now
        progress(index + 1)
    return {name: own.quality(scorers) for name, own in sums.items()}


def face_region(track: FaceTrack, size: tuple[int, int], growth: float = GROWTH) -> Box:
    """(rows, columns) of the face's box, grown, as far as it lies in a frame of `size` (width, height)."""
    left, top, right, bottom = track.box
    across, down = growth * (right - left) / 2, growth * (bottom - top) / 2
    ends = (top - down, bottom + down + 1, left - across, right + across + 1)
    low_row, high_row, low_column, high_column = (
        int(np.clip(rounded(end), 0, limit))
        for rounded, end, limit in zip(
            (math.floor, math.ceil) * 2, ends, (size[1], size[1], size[0], size[0]), strict=True
        )
    )
    return slice(low_row, high_row), slice(low_column, high_column)


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """A frame of the source and of each result, and which pixels lie outside the faces."""

    source: Pixels
    edited: Mapping[str, Pixels]
    outside: npt.NDArray[np.bool_]


def _score_face(
    track: FaceTrack, now: _Moment, sums: "Mapping[str, _Sums]", scorers: QualityScorers, *, costly: bool
) -> None:
    region = scorers.backend.follow(Face(track.landmarks, track.layout, track.presence, track.blendshapes))
    before = smile(scorers.backend.locate(now.source, region))
    for name, own in sums.items():
        after = smile(scorers.backend.locate(now.edited[name], region))
        if before < SMILING:
            own.curves.add({"smile-before": before, "smile-after": after})
    for family, embedder in scorers.embedders.items() if costly else ():
        pictures = [now.source, *(now.edited[name] for name in sums)]
        source, *results = embedder.embed([crop(pixels, track.quad) for pixels in pictures])
        for own, result in zip(sums.values(), results, strict=True):
            own.curves.add({family: float(IDENTITY[family](source, result))})


def _score_motion(before: _Moment, now: _Moment, sums: "Mapping[str, _Sums]", flow: Flow) -> None:
    pair = flow.pair(flow.prepare(before.source), flow.prepare(now.source))
    inside = (~now.outside).astype(np.float32)
    for name, own in sums.items():
        result = (before.edited[name], now.edited[name])
        errors = pair_errors((before.source, now.source), result, pair, [None, inside])
        for where, error in zip(("frame", "face"), errors, strict=True):
            if not math.isnan(error.result):
                own.curves.add({f"warp-{where}": error.result, f"warp-{where}-source": error.source})


@dataclass(slots=True)
class _Sums:
    """What is gathered of one result.

    Attributes:
        outside: mean square in [-1, 1] and number of values outside the faces, of each frame.
        curves: the other values, of each face and of each pair of frames.
    """

    outside: list[tuple[float, int]] = field(default_factory=list)
    curves: Curves = field(default_factory=Curves)

    def add_surroundings(self, source: Pixels, edited: Pixels) -> None:
        self.outside.append((mse(source, edited) if source.size else math.nan, source.size))

    def quality(self, scorers: QualityScorers) -> Quality:
        curves = self.curves
        squares = [found for found in self.outside if found[1]]
        total = sum(count for _, count in squares)
        return Quality(
            frames=len(self.outside),
            outside_psnr=psnr(sum(square * count for square, count in squares) / total) if total else math.nan,
            outside_psnr_worst=psnr(max(squares)[0]) if total else math.nan,
            smile_frames=curves.count("smile-before"),
            smile_before=curves.mean("smile-before"),
            smile_after=curves.mean("smile-after"),
            identity={family: curves.mean(family) for family in scorers.embedders},
            identity_frames=max((curves.count(family) for family in scorers.embedders), default=0),
            warp_error=self._warp_error("frame") if scorers.flow is not None else None,
            face_warp_error=self._warp_error("face") if scorers.flow is not None else None,
        )

    def _warp_error(self, where: str) -> VideoWarpError:
        name = f"warp-{where}"
        return VideoWarpError(self.curves.mean(name), self.curves.mean(f"{name}-source"), self.curves.count(name))
