"""`--first-frame-edit`: edit only the first code, and propagate the edit by the clip's motion, as in DynODE.

A frame's code comes from the trajectory, which starts from the edited code. The encoder does not run again: it saw one
frame in `every` when the clip was fitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...models.dynamics.motion_model import MotionModel
from ...models.generator.generator import Generator
from ..common.errors import DynamicsError
from ..common.stage_timing import Stages
from ..common.tensors import to_levels
from ..editor.face_editor import FaceEditor
from ..editor.renderer import FaceJob, Rendered
from ..edits.edit import Move, apply
from ..inversion.latent_memory import LatentState
from ..motion.code_series import BEYOND
from ..trajectory.encode_clip import encode_clip
from ..trajectory.fit import FitConfig, fit_trajectory
from ..trajectory.trajectory import Trajectory

DEFAULT = FitConfig()
TABLE_HERTZ = 120.0
"""Points per second of the stored path; codes between two of them are interpolated linearly."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Network calls of a first-frame edit, beside those of an edit frame by frame.

    Attributes:
        frames: frames drawn.
        encoder, edits: calls made; frame by frame, each would be `frames`.
    """

    frames: int
    encoder: int
    edits: int

    def __str__(self) -> str:
        return (
            f"{self.frames} frames: {self.encoder} encoder calls and {self.edits} edit, "
            f"where frame by frame there are {self.frames} of each"
        )


class FirstFrameRenderer:
    """Draws faces of one clip from its trajectory, in place of the encoder. Its only state is the count of calls."""

    def __init__(self, generator: Generator, trajectory: Trajectory, edit: Tensor | Move | None, seen: int) -> None:
        """edit: at full strength, applied here once. seen: frames that the encoder saw for the fit."""
        self._generator = generator
        self.seen = seen
        self.drawn = 0
        self._edit = edit
        self._coordinates = trajectory.coordinates
        origin = self._coordinates.origin
        self._step = torch.zeros_like(origin) if edit is None else apply(origin, edit) - origin
        count = int(np.ceil((trajectory.end - trajectory.begin + 2 * BEYOND) * TABLE_HERTZ)) + 2
        self._seconds = trajectory.begin - BEYOND + np.arange(count) / TABLE_HERTZ
        self._path = torch.cat([self._coordinates.to(codes) for codes in trajectory.stream(self._seconds)])

    @property
    def calls(self) -> Calls:
        """The counts so far."""
        return Calls(self.drawn, self.seen, int(self._edit is not None))

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`; of a job's own edit only the fade is used."""
        if not jobs:
            return []
        results = []
        for job in jobs:
            with stages.time("invert"):
                z = self._at(job.seconds)
                own = self._coordinates.back(z)
                start = self._coordinates.origin + self._weight(job.offset) * self._step
                edited = self._coordinates.back(z, start)
            with stages.time("synthesize"), torch.inference_mode():
                codes = torch.stack([own] if job.offset is None else [own, edited])
                pictures = to_levels(self._generator.synthesize(codes, size=256))
            self.drawn += 1
            results.append(Rendered(pictures[0], pictures[-1], LatentState(own, job.seconds)))
        return results

    def _weight(self, faded: Tensor | Move | None) -> float:
        """0..1: the fade of the edit, from the offset that it would have frame by frame."""
        if faded is None or self._edit is None:
            return 0.0
        if isinstance(faded, Move) and isinstance(self._edit, Move):
            return faded.nonlinear[0][1] / self._edit.nonlinear[0][1]
        assert isinstance(faded, Tensor)
        assert isinstance(self._edit, Tensor)
        return float(faded.norm() / self._edit.norm())

    def _at(self, seconds: float) -> Tensor:
        place = (seconds - float(self._seconds[0])) * TABLE_HERTZ
        low = min(max(int(place), 0), len(self._path) - 2)
        return torch.lerp(self._path[low], self._path[low + 1], min(max(place - low, 0.0), 1.0))


def apply_first_frame_edit(
    editor: FaceEditor,
    source: Path,
    prior: MotionModel | None,
    *,
    every: int = 4,
    config: FitConfig = DEFAULT,
    progress: Callable[[int], None] = lambda _frames: None,
) -> FaceEditor:
    """The same editor with the clip's trajectory in place of the encoder; `FirstFrameRenderer.calls` counts.

    every: the encoder sees one frame in so many. Raises DynamicsError for an edit that changes over time, which a first
    frame cannot have, and for a clip with no face or a single frame of one.
    """
    ramps = [spec.name for spec in editor.edits.specs if spec.start != spec.end]
    if ramps:
        raise DynamicsError(
            f"--first-frame-edit carries one edit through the clip, and {', '.join(ramps)} changes over time; "
            "give a constant strength, or edit frame by frame"
        )
    networks = editor.plain_renderer()
    series = encode_clip(source, editor.tracker, networks.encoder, every=every, progress=progress)
    trajectory = fit_trajectory(series, prior, config=config)
    renderer = FirstFrameRenderer(networks.generator, trajectory, editor.edits.move(0.0), len(series))
    return FaceEditor(editor.tracker, renderer, editor.edits, mode=editor.mode, matte=editor.matte)
