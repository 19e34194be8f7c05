"""What VidStyleODE's training sees: faces that move at irregular times, and what the mesh says of them.

Real clips show few people. So portraits are set in motion, too: a picture is bent so that its landmarks move by what
those of a clip move, which shows the same motion on many people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import Points
from ....models.dynamics.dynamics_encoder import FRAME
from ....models.faces.mesh_graph import MeshGraph
from ....models.faces.mesh_measures import openings
from ....stream.frame import Pixels
from ...common.errors import TrainingError
from ...common.tensors import to_tensor
from ...compositing.shape_match import displacement
from ...tracking.align import CROP
from ...tracking.tracker import Tracker
from .clips import stretches

GAINS: Final = 0.12
"""Standard deviation of log exposure."""


@dataclass(frozen=True, slots=True, eq=False)
class MovingFace:
    """N frames of a face, as the dynamics encoder sees it.

    Attributes:
        faces: (N, 128, 128, 3) uint8.
        points: (N, 478, 2) float32 landmarks in crop pixels.
        openings: (N, 8), see `expression.openings`.
        blendshapes: (N, 52).
        codes: (N, codes, 512) that drew it; None for a real face.
    """

    name: str
    faces: Pixels
    points: Tensor
    openings: Tensor
    blendshapes: Tensor
    seconds: npt.NDArray[np.float64]
    codes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.faces)


def shrink(face: Pixels) -> Pixels:
    """(256, 256, 3) -> (128, 128, 3)."""
    return np.asarray(cv2.resize(face, (FRAME, FRAME), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def read_moving(
    files: Sequence[Path],
    tracker: Tracker,
    mesh: MeshGraph,
    folder: Path,
    *,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[MovingFace]:
    """The faces of clips, found once and cached in `folder`. Raises TrainingError where there are none."""
    found = []
    for path in files:
        for one in stretches(path, tracker, folder, skipped=skipped, progress=progress):
            points = torch.from_numpy(one.points)
            with torch.no_grad():
                shapes = torch.cat([mesh.blendshapes(part) for part in points.split(64)])
            codes = None if one.codes is None else torch.from_numpy(np.asarray(one.codes))
            faces = np.stack([shrink(np.asarray(face)) for face in one.faces])
            found.append(MovingFace(one.name, faces, points, openings(points), shapes, one.seconds, codes))
    if not found:
        raise TrainingError(f"none of {len(files)} clips shows a face; name another folder")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """B windows of T frames.

    Attributes:
        frames: (B, T, 3, 128, 128) in [-1, 1].
        seconds: (B, T) from each window's first frame.
        given: (B, T), False for frames that are left out.
        points, openings, blendshapes: (B, T, ...) of the frames.
    """

    frames: Tensor
    seconds: Tensor
    given: Tensor
    points: Tensor
    openings: Tensor
    blendshapes: Tensor


@dataclass(frozen=True, eq=False)
class Portraits:
    """Still faces (N, 256, 256, 3) with their landmarks."""

    faces: Pixels
    points: Sequence[Points]


class MotionData:
    """Windows of clips, and of portraits that move as clips do, without end."""

    def __init__(
        self, clips: Sequence[MovingFace], portraits: Portraits | None, *, frames: int = 8, seconds: float = 3.0,
        hidden: int = 3, still: float = 0.4,
    ) -> None:  # fmt: skip
        """frames, seconds: of a window, at most. hidden: frames left out, at most. still: share of portraits."""
        self._clips = [clip for clip in clips if len(clip) >= frames]
        if not self._clips:
            raise TrainingError(f"expected a clip of {frames} frames or more")
        self._portraits, self._frames, self._seconds = portraits, frames, seconds
        self._hidden, self._still = hidden, still
        # Long clips count for more, but not by their length: motion repeats.
        weights = np.sqrt([len(clip) for clip in self._clips])
        self._weights = weights / weights.sum()

    def windows(self, count: int, random: np.random.Generator) -> Windows:
        """B windows at random."""
        rows = [self._window(random) for _ in range(count)]
        return Windows(*(torch.stack(part) for part in zip(*rows, strict=True)))

    def _window(self, random: np.random.Generator) -> tuple[Tensor, ...]:
        clip = self._clips[int(random.choice(len(self._clips), p=self._weights))]
        rate = (len(clip) - 1) / max(1e-6, float(clip.seconds[-1] - clip.seconds[0]))
        length = int(np.clip(random.uniform(0.3, 1) * self._seconds * rate, self._frames, len(clip)))
        first = int(random.integers(len(clip) - length + 1))
        rows = first + np.sort(random.choice(length, self._frames, replace=False))
        given = torch.ones(self._frames, dtype=torch.bool)
        given[
            torch.from_numpy(random.permutation(np.arange(1, self._frames))[: int(random.integers(self._hidden + 1))])
        ] = False
        points, faces = clip.points[rows], clip.faces[rows]
        shapes, opened = clip.blendshapes[rows], clip.openings[rows]
        if self._portraits is not None and random.random() < self._still:
            faces, points = self._moved(points, random)
            opened = openings(points)
        gain = np.exp(random.normal(0, GAINS) + random.normal(0, GAINS / 3, 3)).astype(np.float32)
        frames = ((to_tensor(np.ascontiguousarray(faces)) + 1) * torch.from_numpy(gain)[:, None, None] - 1).clamp(-1, 1)
        seconds = torch.from_numpy(clip.seconds[rows] - clip.seconds[rows[0]]).float()
        return frames, seconds, given, points, opened, shapes

    def _moved(self, points: Tensor, random: np.random.Generator) -> tuple[Pixels, Tensor]:
        """A portrait's frames, and its landmarks, which move as those of a clip move from its first frame on."""
        assert self._portraits is not None
        number = int(random.integers(len(self._portraits.points)))
        face, own = self._portraits.faces[number], self._portraits.points[number]
        places = own + (points - points[:1]).double().numpy()
        grid = np.stack(np.meshgrid(np.arange(CROP, dtype=np.float32), np.arange(CROP, dtype=np.float32)), -1)
        frames = []
        for place in places:
            field = np.asarray(grid + displacement(place, own), dtype=np.float32)
            bent = cv2.remap(face, field[..., 0], field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            frames.append(shrink(np.asarray(bent, dtype=np.uint8)))
        return np.stack(frames), torch.from_numpy(places).float()
