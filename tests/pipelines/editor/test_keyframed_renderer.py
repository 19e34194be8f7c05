"""Encoding every K-th frame: who is asked when, what stands in between, and what is remembered."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.models.encoders.recurrent_encoder import RecurrentEncoder
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import FaceEditor, SessionState
from dynstream.pipelines.editor.keyframed_renderer import KeyframedRenderer
from dynstream.pipelines.editor.renderer import FaceJob, Rendered, Renderer
from dynstream.pipelines.engine.serialization import from_bytes, to_bytes
from dynstream.pipelines.inversion.latent_memory import LatentState
from dynstream.pipelines.inversion.recurrent_inverter import RecurrentInverter
from dynstream.pipelines.motion.keyframes import Every

from ..fakes import LevelEncoder, LevelGenerator, editor, frames, scene

RATE = 25


class LineEncoder(nn.Module):
    """Codes that go straight on with the face's level; it keeps the levels that it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.broken = False

    def forward(self, faces: Tensor) -> Tensor:
        levels = (faces.mean((1, 2, 3)) + 1) * 127.5
        self.asked += levels.round().int().tolist()
        codes = (1 + levels / 50)[:, None, None].expand(-1, 18, 512).clone()
        return codes * math.nan if self.broken else codes


def model() -> MotionModel:
    torch.manual_seed(0)
    made = MotionModel(leading=2)
    made.basis.copy_(torch.linalg.qr(torch.randn(18 * 512, 2))[0].T)
    return made.requires_grad_(False)


def keyframed(every: Every, **options: object) -> KeyframedRenderer:
    return KeyframedRenderer(Renderer(LineEncoder(), LevelGenerator(), **options), model(), every)  # type: ignore[arg-type]


def job(number: int, **options: object) -> FaceJob:
    """Frame number `number`, whose face has that level."""
    face = np.full((256, 256, 3), number, np.uint8)
    return FaceJob(face, None, number / RATE, **options)  # type: ignore[arg-type]


def at(level: int, number: int) -> FaceJob:
    return replace(job(number), face=np.full((256, 256, 3), level, np.uint8))


def go(
    renderer: Renderer, jobs: Sequence[FaceJob], memory: LatentState | None = None, stages: Stages | None = None
) -> list[Rendered]:
    out = []
    for one in jobs:
        (rendered,) = renderer.render([one], [memory], stages or Stages())
        memory = rendered.latent
        out.append(rendered)
    return out


def asked(renderer: Renderer) -> list[int]:
    return renderer.renderer.encoder.asked  # type: ignore[return-value]


@pytest.mark.parametrize(("every", "expected"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (4, [0, 4])])
def test_every_kth_frame_is_encoded_and_all_are_drawn(every: int, expected: list[int]) -> None:
    renderer, stages = keyframed(every), Stages()
    go(renderer, [job(number) for number in range(7)], stages=stages)
    assert asked(renderer) == expected
    assert stages.calls == {"encoded": len(expected), "drawn": 7}
    assert {"predict", "invert", "synthesize"} <= set(stages.summary())


def test_every_frame_encoded_is_what_the_plain_renderer_draws() -> None:
    jobs = [job(number) for number in range(5)]
    plain = Renderer(LineEncoder(), LevelGenerator())
    for mine, theirs in zip(go(keyframed(1), jobs), go(plain, jobs), strict=True):
        assert torch.equal(mine.latent.codes, theirs.latent.codes)
        assert np.array_equal(mine.edited, theirs.edited)


def test_codes_are_held_until_predicting_has_proved_better_and_then_foretold() -> None:
    swing = [round(100 + 60 * math.sin(2 * math.pi * 2 * number / RATE)) for number in range(33)]
    memories = [one.latent.motion for one in go(keyframed(4), [at(level, i) for i, level in enumerate(swing)])]
    assert memories[3] is not None
    assert not memories[3].predicts
    assert memories[-1] is not None
    assert memories[-1].predicts


def test_where_holding_is_better_the_guess_is_the_last_encoded_code() -> None:
    found = go(keyframed(4), [at(level, i) for i, level in enumerate([100] * 9 + [150] * 7)])
    motion = found[-1].latent.motion
    assert motion is not None
    assert not motion.predicts
    torch.testing.assert_close(motion.key, torch.full((18, 512), 1 + 150 / 50))
    # Averaged towards the key as E0's own would be, frame by frame.
    coarse = [float(one.latent.codes[0, 0]) for one in found[12:]]
    assert coarse == sorted(coarse)
    assert coarse[0] < coarse[-1] < 4


def test_auto_asks_seldom_and_at_least_every_eighth_time() -> None:
    renderer = keyframed("auto")
    go(renderer, [job(number) for number in range(26)])
    gaps = np.diff(asked(renderer))
    assert gaps.min() >= 1
    assert 1 < gaps.max() <= 8


def test_no_time_is_no_encoding_but_for_a_new_face_or_a_poor_guess() -> None:
    hurried = keyframed(1)
    go(hurried, [job(number, encode=False) for number in range(6)])
    assert asked(hurried) == [0]
    auto = keyframed("auto")
    go(auto, [job(number, encode=False) for number in range(18)])
    assert asked(auto)[0] == 0
    assert 1 < len(asked(auto)) < 10


def test_a_face_is_met_anew_after_a_gap_backward_in_time_and_when_it_is_another() -> None:
    renderer = keyframed(8)
    (_, _, *_, before) = go(renderer, [job(number) for number in range(4)])
    for number in (4 + 15, 1):
        renderer.renderer.encoder.asked.clear()  # type: ignore[union-attr]
        (after,) = go(renderer, [job(number)], before.latent)
        assert asked(renderer) == [number]
        assert after.latent.motion is not None
        assert float(after.latent.motion.dynamics.seen) == 1
    near = keyframed(1)
    *_, first = go(near, [job(0), job(1)])
    (other,) = go(near, [at(250, 2)], first.latent)
    assert other.latent.motion is not None
    assert float(other.latent.motion.dynamics.seen) == 1


def test_codes_that_are_not_finite_teach_nothing() -> None:
    renderer = keyframed(2)
    *_, before = go(renderer, [job(0), job(1)])
    renderer.renderer.encoder.broken = True  # type: ignore[assignment]
    (after,) = go(renderer, [job(2)], before.latent)
    assert after.latent.motion is not None
    assert torch.isfinite(after.latent.motion.key).all()
    new = keyframed(2)
    new.renderer.encoder.broken = True  # type: ignore[assignment]
    (nothing,) = go(new, [job(0)])
    assert nothing.latent.motion is None


def test_faces_of_a_batch_keep_their_own_rhythm() -> None:
    renderer = keyframed(3)
    (_, early) = go(renderer, [job(0), job(1)])
    (late,) = go(renderer, [job(101)])
    renderer.renderer.encoder.asked.clear()  # type: ignore[union-attr]
    alone = [go(renderer, [job(number)], memory)[0] for number, memory in ((2, early.latent), (102, late.latent))]
    together = renderer.render([job(2), job(102), job(200)], [early.latent, late.latent, None], Stages())
    assert asked(renderer) == [200]
    for one, other in zip(alone, together, strict=False):
        torch.testing.assert_close(one.latent.codes, other.latent.codes)


def test_memory_goes_on_from_bytes() -> None:
    points = np.random.default_rng(0).uniform(50, 200, (478, 2))
    jobs = [job(number, landmarks=points + number / 10) for number in range(14)]
    renderer = keyframed(2)
    *_, before = go(renderer, jobs[:9])
    again = from_bytes(to_bytes(before.latent))
    straight, resumed = go(renderer, jobs[9:], before.latent), go(renderer, jobs[9:], again)
    assert torch.equal(straight[-1].latent.codes, resumed[-1].latent.codes)
    motion = straight[-1].latent.motion
    assert motion is not None
    assert motion.landmarks is not None
    assert float(motion.landmarks.seen) == 7


def test_the_recurrent_encoder_is_asked_as_seldom_and_its_correction_stays() -> None:
    calls: list[int] = []
    torch.manual_seed(1)
    network = RecurrentEncoder().eval().requires_grad_(False)
    with torch.no_grad():
        network.codes.weight.copy_(torch.randn(network.codes.weight.shape) * 0.3)
    network.register_forward_hook(lambda *_: calls.append(1))
    generator = LevelGenerator()
    renderer = Renderer(LineEncoder(), generator, recurrent=RecurrentInverter(network, generator))
    found = go(KeyframedRenderer(renderer, model(), 4), [job(number) for number in range(6)])
    assert len(calls) == 3 + 1  # it meets a face in three passes
    memories = [one.latent.recurrent for one in found]
    assert all(memory is not None for memory in memories)
    assert torch.equal(memories[3].state.compensation, memories[0].state.compensation)  # type: ignore[union-attr]
    assert np.array_equal(memories[3].face, job(3).face)  # type: ignore[union-attr]
    assert not torch.equal(memories[4].state.compensation, memories[0].state.compensation)  # type: ignore[union-attr]


def test_a_stream_of_frames_is_edited_in_every_frame() -> None:
    of, stages = editor("smile=1"), Stages()
    of = FaceEditor(
        of.tracker, KeyframedRenderer(Renderer(LevelEncoder(), LevelGenerator()), model(), 4), of.edits, matte=None
    )
    state = SessionState()
    for frame in frames([scene((90 + number, 60)) for number in range(6)]):
        state, edited = of.step(state, frame, stages)
        assert str(edited.outcome) == "edited"
    assert stages.calls == {"encoded": 2, "drawn": 6}
    (memory,) = state.latents.values()
    assert memory.motion is not None
    assert memory.motion.landmarks is not None


def test_how_often_must_make_sense() -> None:
    with pytest.raises(ValueError, match="every frame or every K-th"):
        keyframed(0)
