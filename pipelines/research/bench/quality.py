"""What an edit did to a video: the surroundings, the smile, the identity, the steadiness, several results in one pass.

Source and results are read in step, the source's faces are tracked once, and source and results are scored in the same
place in the same way, so that a source against itself gives 0 and 1 to the last digit. No frame is kept.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ....models.faces.faces import Face, FaceBackend
from ....stream.frame import Frame, Pixels
from ....stream.reader import VideoReader
from ...common.errors import PipelineError
from ...common.flow import Flow, FlowPair
from ...tracking.align import crop
from ...tracking.face_selection import Policy
from ...tracking.face_track import FaceTrack
from ...tracking.tracker import Tracker, TrackerState
from ..directions.attributes import smile
from ..metrics.identity import Embedder, cosine, distance
from ..metrics.warp_error import VideoWarpError, WarpError, mean_error, pair_error

GROWTH: Final = 0.25
"""The face region is the box around the tracked landmarks, grown by this share of its width and height."""
SMILING: Final = 0.3
"""Frames that smile at least this much in the source are left out of the mean: they cannot rise by much."""
IDENTITY: Final[Mapping[str, Callable[..., npt.NDArray[np.float64]]]] = {"dlib": distance, "arcface": cosine}

Box = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class QualityScorers:
    """What looks at the frames. Those that are costly look at every `every`-th frame or pair of frames.

    backend, policy: find the faces; the policy is the one of the edit. embedders: a key of IDENTITY -> embedder.
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

    frames: compared. outside_psnr: dB of 8-bit RGB over all pixels of all frames outside the face region, "inf" where
    they are equal. outside_psnr_worst: of the worst frame.
    smile_frames: faces in frames that smile under SMILING in the source; smile_before, smile_after: their mean
    mouthSmile blendshape, left and right, 0..1.
    identity: "dlib" -> mean Euclidean distance to the source's face (below 0.6 for one person), "arcface" -> mean
    cosine. identity_frames: faces that this is the mean of.
    warp_error: flow-warped error of result and source, over the whole frame; face_warp_error: inside the face region.
    None where no flow was at hand.
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

    Raises SourceError where a file cannot be read, PipelineError where a result has another size or length.
    """
    scores = {name: _Scores(scorers) for name in results}
    tracker, state = Tracker(scorers.backend, scorers.policy), TrackerState()
    before: _Moment | None = None
    for index, (frame, edited) in enumerate(_in_step(source, results)):
        state, seen = tracker.step(state, frame)
        boxes = [face_region(track, frame.size) for track in seen.faces]
        outside = np.ones(frame.pixels.shape[:2], dtype=np.bool_)
        for box in boxes:
            outside[box] = False
        now = _Moment(frame.pixels, edited, outside)
        for name, score in scores.items():
            score.see_surroundings(frame.pixels, edited[name], outside)
        faces = [track for track in seen.faces if track.seen]
        _score_faces(faces, now, scores, scorers, costly=index % scorers.every == 0)
        if scorers.flow is not None and before is not None and index % scorers.every == 1 % scorers.every:
            _score_motion(before, now, scores, scorers.flow)
        before = now
        progress(index + 1)
    return {name: score.result() for name, score in scores.items()}


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


def _in_step(source: Path, results: Mapping[str, Path]) -> Iterator[tuple[Frame, dict[str, Pixels]]]:
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        others = {name: stack.enter_context(VideoReader(path)) for name, path in results.items()}
        for name, other in others.items():
            if other.size != reader.size:
                raise PipelineError(f"{results[name]} is {other.size}, {source} is {reader.size}; expected one size")
        frames = {name: iter(other) for name, other in others.items()}
        count = 0
        for frame in reader:
            found = {name: next(rest, None) for name, rest in frames.items()}
            for name, one in found.items():
                if one is None:
                    raise PipelineError(f"{results[name]} ends after {count} frames, before {source}")
            yield frame, {name: one.pixels for name, one in found.items() if one is not None}
            count += 1
        for name, rest in frames.items():
            if next(rest, None) is not None:
                raise PipelineError(f"{results[name]} goes on after the {count} frames of {source}")


def _score_faces(
    tracks: list[FaceTrack], now: _Moment, scores: "Mapping[str, _Scores]", scorers: QualityScorers, *, costly: bool
) -> None:
    for track in tracks:
        region = scorers.backend.follow(Face(track.landmarks, track.layout, track.presence, track.blendshapes))
        before = smile(scorers.backend.locate(now.source, region))
        for name, score in scores.items():
            score.see_smile(before, smile(scorers.backend.locate(now.edited[name], region)))
        if not costly:
            continue
        for family, embedder in scorers.embedders.items():
            crops = [crop(now.source, track.quad), *(crop(now.edited[name], track.quad) for name in scores)]
            own, *others = embedder.embed(crops)
            for score, other in zip(scores.values(), others, strict=True):
                score.see_identity(family, float(IDENTITY[family](own, other)))


def _score_motion(before: _Moment, now: _Moment, scores: "Mapping[str, _Scores]", flow: Flow) -> None:
    pair: FlowPair = flow.pair(flow.look(before.source), flow.look(now.source))
    source = (before.source, now.source)
    inside = (~now.outside).astype(np.float32)
    for name, score in scores.items():
        result = (before.edited[name], now.edited[name])
        score.warp_errors.append(pair_error(source, result, pair))
        if inside.any():
            score.face_warp_errors.append(pair_error(source, result, pair, inside))


class _Scores:
    """Running sums over one result."""

    def __init__(self, scorers: QualityScorers) -> None:
        self._scorers = scorers
        self._frames = 0
        self._squares, self._values, self._worst = 0.0, 0, 0.0
        self._smiles = np.zeros(3)
        self._identity: dict[str, list[float]] = {family: [] for family in scorers.embedders}
        self.warp_errors: list[WarpError] = []
        self.face_warp_errors: list[WarpError] = []

    def see_surroundings(self, source: Pixels, edited: Pixels, outside: npt.NDArray[np.bool_]) -> None:
        self._frames += 1
        difference = source[outside].astype(np.int32) - edited[outside]
        if difference.size == 0:
            return
        squares = float(np.square(difference).sum(dtype=np.int64))
        self._squares += squares
        self._values += difference.size
        self._worst = max(self._worst, squares / difference.size)

    def see_smile(self, before: float, after: float) -> None:
        if before < SMILING:
            self._smiles += (1, before, after)

    def see_identity(self, family: str, value: float) -> None:
        self._identity[family].append(value)

    def result(self) -> Quality:
        count, before, after = (float(value) for value in self._smiles)
        has_flow = self._scorers.flow is not None
        return Quality(
            frames=self._frames,
            outside_psnr=_decibel(self._squares / self._values) if self._values else math.nan,
            outside_psnr_worst=_decibel(self._worst) if self._values else math.nan,
            smile_frames=int(count),
            smile_before=before / count if count else math.nan,
            smile_after=after / count if count else math.nan,
            identity={
                family: float(np.mean(values)) if values else math.nan for family, values in self._identity.items()
            },
            identity_frames=max((len(values) for values in self._identity.values()), default=0),
            warp_error=mean_error(self.warp_errors) if has_flow else None,
            face_warp_error=mean_error(self.face_warp_errors) if has_flow else None,
        )


def _decibel(mean_square: float) -> float:
    """PSNR of 8-bit values."""
    return 10 * math.log10(255**2 / mean_square) if mean_square > 0 else math.inf
