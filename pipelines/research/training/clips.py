"""Clips as aligned faces with their landmarks and flow, found once and cached: what recurrent training reads."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ....stream.errors import SourceError
from ....stream.reader import VideoReader
from ...common.clips import VIDEO_SUFFIXES
from ...common.errors import PipelineError, TrainingError
from ...common.flow import Flow
from ...tracking.align import crop, landmarks_in_crop
from ...tracking.tracker import Tracker, TrackerState
from ..common.flow_cache import ClipFlows, FlowCache
from ..synth.truth import load_truth
from .crops import data_files

SHORTEST: Final = 8
VERSION: Final = 1  # of what is cached; a new one where alignment changes


@dataclass(frozen=True, slots=True, eq=False)
class FaceStretch:
    """N frames of one face that is in sight all the time, aligned; the attributes are those of `FaceClip`."""

    name: str
    faces: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float64]
    codes: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class FaceClip:
    """The same with its flow.

    Attributes:
        faces: (N, 256, 256, 3) uint8.
        points: (N, P, 2) float32 landmarks in crop pixels.
        seconds: (N,) float64, rising.
        codes: (N, codes, 512) float32 that drew the face, where the project drew it; None for a real one.
        flows: between consecutive faces.
    """

    name: str
    faces: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float64]
    codes: npt.NDArray[np.float32] | None
    flows: ClipFlows

    def __post_init__(self) -> None:
        counts = (len(self.faces), len(self.points), len(self.seconds), len(self.flows.back) + 1)
        if len(set(counts)) > 1 or (self.codes is not None and len(self.codes) != counts[0]):
            raise ValueError(f"expected as many faces as landmarks, times and flows, got {counts}")

    def __len__(self) -> int:
        return len(self.faces)


def read_clips(
    files: Sequence[Path],
    tracker: Tracker,
    flow: Flow,
    folder: Path,
    *,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[FaceClip]:
    """The faces of each clip, one `FaceClip` for each stretch in which the largest face is in sight.

    folder: where crops and flow are cached. `skipped` is told of a file that gives nothing. Raises TrainingError where
    none gives anything.
    """
    cache = FlowCache(folder)
    found: list[FaceClip] = []
    for path in files:
        for one in stretches(path, tracker, folder, skipped=skipped, progress=progress):
            progress(f"{one.name}: flow")
            flows = cache.get(one.faces, flow)
            found.append(FaceClip(one.name, one.faces, one.points, one.seconds, one.codes, flows))
    if not found:
        raise TrainingError(f"none of {len(files)} clips shows a face for {SHORTEST} frames; name another folder")
    return found


def stretches(
    path: Path,
    tracker: Tracker,
    folder: Path,
    *,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[FaceStretch]:
    """Each stretch of a clip in which its largest face is in sight; none where the clip cannot be read, see `skipped`.

    folder: where crops are cached.
    """
    try:
        cached = _cached_clip(path, tracker, folder, progress)
    except SourceError as error:
        skipped(path, f"cannot be read: {error}")
        return []
    # A map, not memory: the crops of an hour of video are 20 GB.
    faces = np.load(cached / "faces.npy", mmap_mode="r")
    points, seconds, numbers = (np.load(cached / f"{what}.npy") for what in ("points", "seconds", "numbers"))
    codes = _drawn_codes(path)
    found = [
        FaceStretch(
            f"{path.name}[{numbers[first]}:{numbers[last - 1] + 1}]", faces[first:last], points[first:last],
            seconds[first:last], None if codes is None else codes[numbers[first:last]],
        )
        for first, last in _stretches(np.load(cached / "link.npy"))
    ]  # fmt: skip
    if not found:
        skipped(path, f"has no stretch of {SHORTEST} frames with a face")
    return found


def clip_files(folders: Sequence[Path], exclude: Sequence[str] = ()) -> list[Path]:
    """Clips below `folders`, without those whose name matches a pattern, and without drawn clips' edited twins."""
    files = [path for path in data_files(folders, exclude) if path.suffix.lower() in VIDEO_SUFFIXES]
    return [path for path in files if not path.stem.endswith(".edited")]


def _cached_clip(path: Path, tracker: Tracker, folder: Path, progress: Callable[[str], None]) -> Path:
    """Folder of the clip's crops, landmarks, times and links; made where it is not there."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    cached = folder / f"clip-{VERSION}-{digest[:20]}"
    if cached.is_dir():
        return cached
    progress(f"{path.name}: looking for its face")
    faces, points, seconds, numbers, link = [], [], [], [], []
    state, last_id = TrackerState(), None
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            state, seen = tracker.step(state, frame)
            if seen.cut:
                last_id = None
            shown = [track for track in seen.faces if track.seen]
            if not shown:
                last_id = None
                continue
            track = shown[0]
            faces.append(crop(frame.pixels, track.quad))
            points.append(landmarks_in_crop(track.landmarks, track.quad).astype(np.float32))
            seconds.append(frame.seconds)
            numbers.append(number)
            link.append(track.id == last_id)
            last_id = track.id
    part = cached.with_name(f"{cached.name}.{os.getpid()}.part")
    part.mkdir(parents=True, exist_ok=True)
    empty = np.zeros((0, 256, 256, 3), np.uint8)
    arrays: dict[str, npt.NDArray[Any]] = {
        "faces": np.stack(faces) if faces else empty,
        "points": np.stack(points) if points else np.zeros((0, 0, 2), np.float32),
        "seconds": np.array(seconds, np.float64),
        "numbers": np.array(numbers, np.int64),
        "link": np.array(link, bool),
    }
    for name, array in arrays.items():
        np.save(part / f"{name}.npy", array)
    part.rename(cached)
    return cached


def _stretches(link: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last + 1) of each run of linked frames that is long enough."""
    starts = [*np.flatnonzero(~link), len(link)]
    return [(int(first), int(last)) for first, last in pairwise(starts) if last - first >= SHORTEST]


def _drawn_codes(path: Path) -> npt.NDArray[np.float32] | None:
    """(N, codes, 512) of a clip that the project drew; None for any other."""
    try:
        return np.asarray(load_truth(path).read("codes"), dtype=np.float32)
    except PipelineError:
        return None
