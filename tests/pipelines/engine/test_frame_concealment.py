"""Lost frames made from those before them: moved on, bent by the codes, bounded, and held where that is better."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.dynamics.motion_model import MotionModel
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import FaceEditor, FrameAnalysis, SessionState
from dynstream.pipelines.editor.keyframed_renderer import KeyframedRenderer
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine.frame_concealment import ConcealmentState, FrameConcealment, extrapolate
from dynstream.pipelines.inversion.latent_memory import GAP_SECONDS
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame, Pixels

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, edits, frames, scene

PACE = 3
SETTLED = 5


class World:
    """A stream of ovals that walk, edited, and what lost frames are made from."""

    def __init__(self, *, pace: float = PACE) -> None:
        self.generator = LevelGenerator()
        model = MotionModel(leading=2).requires_grad_(False)
        renderer = KeyframedRenderer(Renderer(LevelEncoder(), self.generator), model, 1)  # type: ignore[arg-type]
        self.editor = FaceEditor(Tracker(OvalBackend()), renderer, edits("smile=1"), matte=None)
        self.lost = FrameConcealment(self.generator, model)
        self.pace = pace
        self.state = SessionState()
        self.concealment: ConcealmentState | None = None
        self.shown: list[Frame] = []
        self.analysis: FrameAnalysis | None = None

    def picture(self, number: int) -> Pixels:
        return scene((70 + self.pace * number, 60))

    def come(self, first: int, count: int) -> ConcealmentState:
        for frame in frames([self.picture(first + number) for number in range(count)], first_pts=first):
            analysed, self.analysis = self.editor.analyse(self.state.analysis, frame, Stages())
            rendered = self.editor.renderer.render(
                self.analysis.jobs, self.analysis.memories(self.state.latents), Stages()
            )
            finish, edited = self.editor.composite(self.state.composites, self.analysis, rendered, Stages())
            latents = self.analysis.remember(self.state.latents, rendered)
            self.state = SessionState(analysed, latents, finish)
            self.shown.append(edited.frame)
            self.concealment = self.lost.came(self.concealment, edited.frame, self.analysis, latents)
        assert self.concealment is not None
        return self.concealment


def apart(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_a_lost_frame_is_nearer_to_the_truth_than_the_last_one_again() -> None:
    world = World()
    concealment = world.come(0, SETTLED)
    after, made = world.lost.make(concealment, SETTLED / 25)
    assert made is not None
    world.come(SETTLED, 1)
    truth = world.shown[-1].pixels
    assert apart(made, truth) < 0.6 * apart(concealment.last, truth)
    assert (after.seconds, after.analysed) == (pytest.approx(SETTLED / 25), pytest.approx((SETTLED - 1) / 25))


def test_what_was_made_is_what_the_next_is_made_from() -> None:
    world = World()
    first, one = world.lost.make(world.come(0, SETTLED), SETTLED / 25)
    second, other = world.lost.make(first, (SETTLED + 1) / 25)
    assert one is not None
    assert other is not None
    assert second.last is other
    assert second.before is one
    world.come(SETTLED, 2)
    truth = world.shown[-1].pixels
    assert apart(other, truth) < min(apart(one, truth), apart(world.shown[-3].pixels, truth))


def test_the_codes_bend_the_face_of_a_made_frame_with_its_edit() -> None:
    world = World()
    concealment = world.come(0, SETTLED)
    (face,) = concealment.faces
    motion = face.memory.motion
    assert motion is not None
    better = replace(face, memory=replace(face.memory, motion=replace(motion, held=2.0, foretold=1.0)))
    worse = replace(face, memory=replace(face.memory, motion=replace(motion, held=1.0, foretold=2.0)))

    class Rising:
        def predict(self, _state: object, seconds: float) -> tuple[Tensor, Tensor]:
            return torch.full((18, 512), 10 * (seconds - concealment.seconds)), torch.zeros(())

    world.lost._updater = Rising()  # type: ignore[assignment]
    world.generator.asked.clear()
    _, plain = world.lost.make(replace(concealment, faces=(worse,)), SETTLED / 25)
    assert world.generator.asked == []
    after, bent = world.lost.make(replace(concealment, faces=(better,)), SETTLED / 25)
    straight, risen = (codes.mean() for codes in world.generator.asked)
    edited = face.memory.codes.mean() + float(face.offset.mean() if isinstance(face.offset, Tensor) else 0.0)
    assert float(straight) == pytest.approx(float(edited), abs=1e-4)
    assert float(risen - straight) == pytest.approx(0.4, abs=1e-4)
    assert plain is not None
    assert bent is not None
    (x, y), brighter = face.quad.mean(0).round().astype(int), bent.astype(int) - plain
    assert brighter[y, x].mean() > 20
    assert np.abs(brighter[:10]).max() == 0
    # The second goes on from the first: its face is not bent twice.
    world.generator.asked.clear()
    world.lost.make(after, (SETTLED + 1) / 25)
    straight, risen = (codes.mean() for codes in world.generator.asked)
    assert float(straight - edited) == pytest.approx(0.4, abs=1e-4)
    assert float(risen - edited) == pytest.approx(0.8, abs=1e-4)


def test_what_cannot_be_made_is_held() -> None:
    world = World()
    assert world.lost.make(world.come(0, 1), 1 / 25)[1] is None  # no motion is known yet
    concealment = world.come(1, SETTLED)
    now = concealment.seconds
    assert world.lost.make(concealment, now + GAP_SECONDS - 0.01)[1] is not None
    assert world.lost.make(concealment, now + GAP_SECONDS + 0.01)[1] is None
    assert world.lost.make(concealment, now)[1] is None
    assert world.lost.make(replace(concealment, faces=()), now + 0.04)[1] is None
    assert world.lost.make(replace(concealment, held=1.0, carried=1.0), now + 0.04)[1] is None


def test_a_clip_that_stands_still_is_held() -> None:
    world = World(pace=0)
    concealment = world.come(0, SETTLED)
    assert concealment.carried >= concealment.held
    assert world.lost.make(concealment, SETTLED / 25)[1] is None


def test_a_new_face_another_size_and_a_time_that_runs_back_begin_anew() -> None:
    world = World()
    concealment = world.come(0, SETTLED)
    assert concealment.before is not None
    analysis, latents = world.analysis, world.state.latents
    assert analysis is not None
    last = world.shown[-1]
    later = Frame(last.pixels, last.pts + 1, last.time_base)
    assert world.lost.came(concealment, later, analysis, latents).before is not None
    fresh = replace(analysis, faces=tuple(replace(observed, fresh=True) for observed in analysis.faces))
    assert world.lost.came(concealment, later, fresh, latents).before is None
    assert world.lost.came(concealment, last, analysis, latents).before is None
    assert world.lost.came(concealment, later.with_pixels(last.pixels[::2, ::2]), analysis, latents).before is None


def test_large_frames_are_carried_on_by_the_motion_of_small_ones() -> None:
    pictures = [scene((300 + 6 * number, 260), size=(800, 480)) for number in range(3)]
    moved = extrapolate(pictures[0], pictures[1])
    assert moved.shape == pictures[0].shape
    assert apart(moved, pictures[2]) < 0.6 * apart(pictures[1], pictures[2])
    assert apart(extrapolate(pictures[0], pictures[1], 0.0), pictures[1]) == 0
