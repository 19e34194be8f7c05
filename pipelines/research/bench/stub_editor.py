"""An editor and networks that do nothing, for measuring and testing what is around them."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from ....stream.frame import Frame
from ...common.outcome import EDITED
from ...common.stage_timing import Stages
from ...editor.composite_state import CompositeState
from ...editor.face_editor import AnalysisState, Edited, FaceObservation, FaceVisibility, FrameAnalysis
from ...editor.renderer import FaceJob, Rendered
from ...edits.edit import Edits
from ...inversion.latent_memory import LatentState
from ...tracking.face_track import FaceTrack

NO_EDITS = Edits((), {})
_PICTURE = np.zeros((1, 1, 3), np.float32)
_CODES = torch.zeros(1, 512)
_POINTS, _QUAD = np.zeros((1, 3)), np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
_DRAWN: Any = SimpleNamespace(weight=1.0)


class StubEditor:
    """An engine's Editor that sees one face in every frame, the same one, and changes nothing."""

    draw_sizes = None

    def __init__(self, edits: Edits = NO_EDITS, faces: int = 1) -> None:
        self.edits = edits
        self.faces = faces

    def analyse(self, state: AnalysisState, frame: Frame, _stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        """See `face_editor.FaceEditor.analyse`."""
        presence = FaceVisibility(1.0, np.zeros(0), frame.seconds)
        job = FaceJob(np.zeros((1, 1, 3), np.uint8), None, frame.seconds)
        observations = tuple(
            FaceObservation(
                cast("FaceTrack", SimpleNamespace(id=name, landmarks=_POINTS, quad=_QUAD)), presence, False, job, EDITED
            )
            for name in range(1, 1 + self.faces)
        )
        begin = frame.seconds if state.begin is None else state.begin
        return AnalysisState(begin=begin), FrameAnalysis(frame, observations)

    def composite(
        self,
        _state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        _stages: Stages,
        *,
        show: bool = True,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """See `face_editor.FaceEditor.composite`."""
        if len(rendered) != len(analysis.jobs):
            raise ValueError(f"expected {len(analysis.jobs)} drawn faces, got {len(rendered)}")
        kept = {
            observed.track.id: CompositeState(seconds=analysis.frame.seconds, drawn=_DRAWN)
            for observed in analysis.faces
        }
        return kept, Edited(analysis.frame, analysis.outcome)

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, _stages: Stages) -> Edited | None:
        """See `face_editor.FaceEditor.reproject`."""
        return Edited(analysis.frame, EDITED) if state else None

    def carry(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        _later: Mapping[int, CompositeState],
        _stages: Stages,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """See `face_editor.FaceEditor.carry`."""
        return dict(state), Edited(analysis.frame, analysis.outcome)


class StubRenderer:
    """An engine's renderer that draws nothing; it keeps how many faces it was asked for at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def render(
        self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], _stages: Stages
    ) -> list[Rendered]:
        """See `render.Renderer.render`."""
        if len(jobs) != len(memories):
            raise ValueError(f"expected a memory for each of {len(jobs)} faces, got {len(memories)}")
        self.sizes.append(len(jobs))
        return [Rendered(_PICTURE, _PICTURE, LatentState(_CODES, job.seconds)) for job in jobs]
