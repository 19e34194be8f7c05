"""Draw a late frame from codes that are foretold: what `Engine` takes as `predict`.

It spares the encoder and the wait, not the generator, and draws beside the device's own thread. So it is for a device
that is late because much is queued, a GPU with many sessions; where drawing itself is what takes long, as on a CPU,
moving the last drawing costs a hundredth of it and is in time.
"""

from dataclasses import replace

from ..common.stage_timing import Stages
from ..editor.face_editor import Edited, FrameAnalysis, SessionState
from ..editor.keyframed_renderer import KeyframedRenderer
from .drawing import Share, draw
from .session import Editor


class LateFramePredictor:
    """See `engine.Predict`. Nothing is remembered of a concealed frame."""

    def __init__(self, renderer: KeyframedRenderer) -> None:
        """renderer: with whose drawings the sessions' memories were made; one that encodes by number, not by "auto"."""
        if renderer.every == "auto":
            raise ValueError('expected a renderer that encodes every K-th frame; "auto" may encode a late one')
        self._renderer = renderer

    def __call__(self, editor: Editor, state: SessionState, analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """None where a face is new or the device has no memory: the engine then moves what was drawn before."""
        memories = analysis.memories(state.latents)
        if not memories or any(memory is None or memory.motion is None for memory in memories):
            return None
        jobs = [replace(job, encode=False) for job in analysis.jobs]
        (rendered,) = draw(self._renderer, [Share(jobs, memories)], stages).results
        if isinstance(rendered, Exception):
            return None
        return editor.composite(state.composites, analysis, rendered, stages)[1]
