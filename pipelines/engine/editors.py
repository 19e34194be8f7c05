"""The editor interface of an engine, and the factory that makes one for each session."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...stream.frame import Frame
from ..common.stage_timing import Stages
from ..editor.composite_state import CompositeState
from ..editor.face_editor import AnalysisState, Edited, FrameAnalysis
from ..editor.renderer import Rendered
from ..edits.edit import Edits
from .settings import SessionSpec


class Editor(Protocol):
    """The part of `face_editor.FaceEditor` that an engine uses; see there."""

    edits: Edits

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        """Find the faces of a frame and crop those to draw."""
        ...

    def composite(
        self,
        state: Mapping[int, CompositeState],
        analysis: FrameAnalysis,
        rendered: Sequence[Rendered],
        stages: Stages,
        *,
        show: bool = True,
    ) -> tuple[dict[int, CompositeState], Edited]:
        """Put the drawn faces into their frame."""
        ...

    def reproject(self, state: Mapping[int, CompositeState], analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """The frame with the last drawings reprojected onto it."""
        ...


class Editors(Protocol):
    """Makes the editor of a session, and a new one when its mode or its choice of faces changes."""

    def __call__(self, spec: SessionSpec, before: Editor | None) -> Editor:
        """before: the session's editor so far, whose face backend can be reused."""
        ...
