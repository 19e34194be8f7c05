"""Encoding of a clip to a file of codes: track the largest face, crop it, encode it, and cache the codes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...stream.frame import Frame
from ...stream.reader import VideoReader
from ..common.errors import DynamicsError
from ..common.tensors import to_tensor
from ..motion.code_series import CodeSeries, load_series, save_series
from ..tracking.align import crop, landmarks_in_crop
from ..tracking.face_track import FaceTrack
from ..tracking.tracker import Tracker, TrackerState

VERSION = "1"
"""Changed when the same clip and encoder give other codes than before."""

LEAST_CONFIDENCE = 0.5


class Inverter(Protocol):
    """Anything that turns (B, 3, 256, 256) aligned faces in [-1, 1] into (B, *shape) codes."""

    def __call__(self, faces: Tensor) -> Tensor: ...


def encode_clip(
    path: Path,
    tracker: Tracker,
    inverter: Inverter,
    *,
    every: int = 1,
    limit: int | None = None,
    watch: Callable[[Frame, FaceTrack], None] = lambda _frame, _track: None,
    progress: Callable[[int], None] = lambda _frames: None,
) -> CodeSeries:
    """Codes of the largest face over the frames with a confident track; only the track of the first such face.

    every: encode one frame in so many; the others are only tracked. limit: frames to read. watch: gets each encoded
    frame. `about` of the result has the times of the clip's first and last frame.

    Raises DynamicsError if no face is found, SourceError for a file that cannot be read.
    """
    state = TrackerState()
    seconds, codes, quads, landmarks = [], [], [], []
    ends: list[float] = []
    face_id: int | None = None
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            if number == limit:
                break
            state, seen = tracker.step(state, frame)
            ends = [*ends[:1], frame.seconds]
            progress(number + 1)
            track = next((one for one in seen.faces if face_id is None or one.id == face_id), None)
            if number % every or track is None or not track.seen or track.confidence < LEAST_CONFIDENCE:
                continue
            face_id = track.id
            with torch.inference_mode():
                codes.append(inverter(to_tensor(crop(frame.pixels, track.quad)[None]))[0].float().cpu().clone())
            seconds.append(frame.seconds)
            quads.append(track.quad)
            landmarks.append(landmarks_in_crop(track.landmarks, track.quad))
            watch(frame, track)
    if not codes:
        raise DynamicsError(f"no face is seen in {path}; name a clip with a face")
    extras = {
        "quads": torch.from_numpy(np.stack(quads)),
        "landmarks": torch.from_numpy(np.stack(landmarks)).float(),
    }
    about = {"source": path.name, "every": str(every), "begin": repr(ends[0]), "end": repr(ends[-1])}
    return CodeSeries(np.array(seconds), torch.stack(codes), extras, about)


def cached_codes(
    path: Path,
    cache: Path,
    encoder_digest: str,
    make: Callable[[], CodeSeries],
    *,
    every: int = 1,
    limit: int | None = None,
) -> CodeSeries:
    """The cached result of `make()` for the same clip, encoder and settings, or a new one.

    cache: folder of the user's cache. A file in it that cannot be read is made again.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"/{encoder_digest}/{every}/{limit}/{VERSION}".encode())
    kept = cache / "codes" / f"{digest.hexdigest()[:32]}.safetensors"
    if kept.exists():
        try:
            return load_series(kept)
        except DynamicsError:
            pass
    series = make()
    save_series(series, kept)
    return series


def weights_digest(network: torch.nn.Module) -> str:
    """A digest of a network's weights: another training of it gives other codes."""
    found = hashlib.sha256()
    for name, value in network.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
