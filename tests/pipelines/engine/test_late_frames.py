"""A late frame drawn from what is foretold, and when it is not."""

import numpy as np
import pytest
import torch

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.editor.keyframed_renderer import KeyframedRenderer
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine.frame_concealment import LateFramePredictor
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, edits, frames, scene


def world(every: int = 1) -> tuple[FaceEditor, KeyframedRenderer, list[Frame]]:
    model = MotionModel(leading=2).requires_grad_(False)
    renderer = KeyframedRenderer(Renderer(LevelEncoder(), LevelGenerator()), model, every)  # type: ignore[arg-type]
    editor = FaceEditor(Tracker(OvalBackend()), renderer, edits("smile=1"), matte=None)
    return editor, renderer, frames([scene((90 + number, 60)) for number in range(4)])


def test_a_late_frame_is_drawn_without_the_encoder_and_not_remembered() -> None:
    editor, renderer, items = world()
    state, stages = SessionState(), Stages()
    for item in items[:3]:
        state, _ = editor.step(state, item, stages)
    _, analysis = editor.analyse(state.analysis, items[3], stages)
    remembered, calls = state.latents[next(iter(state.latents))], dict(stages.calls)
    edited = LateFramePredictor(renderer)(editor, state, analysis, stages)
    assert edited is not None
    assert stages.calls == {"encoded": calls["encoded"], "drawn": calls["drawn"] + 1}
    assert state.latents[next(iter(state.latents))] is remembered
    _, expected = editor.step(state, items[3], Stages())
    apart = np.abs(edited.frame.pixels.astype(int) - expected.frame.pixels)
    changed = np.abs(expected.frame.pixels.astype(int) - items[3].pixels)
    assert apart.mean() < 0.1 * changed.mean()


def test_a_new_face_and_a_failing_device_are_left_to_the_engine() -> None:
    editor, renderer, items = world()
    stages, conceal = Stages(), LateFramePredictor(renderer)
    _, analysis = editor.analyse(SessionState().analysis, items[0], stages)
    assert conceal(editor, SessionState(), analysis, stages) is None
    state, _ = editor.step(SessionState(), items[0], stages)
    _, analysis = editor.analyse(state.analysis, items[1], stages)

    def fail(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    renderer.renderer.generator.synthesize = fail  # type: ignore[method-assign]
    assert conceal(editor, state, analysis, stages) is None


def test_a_renderer_that_may_encode_is_refused() -> None:
    with pytest.raises(ValueError, match="auto"):
        LateFramePredictor(
            KeyframedRenderer(Renderer(LevelEncoder(), LevelGenerator()), MotionModel(leading=2), "auto")
        )  # type: ignore[arg-type]
