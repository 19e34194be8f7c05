"""Frame concealment: a lost frame is made from those before it, a late one is drawn from predicted codes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Points, Quad
from ...models.dynamics.motion_model import MotionModel
from ...models.generator.generator import Generator
from ...stream.frame import Frame, Pixels
from ..common.flow import dis_flow
from ..common.image_ops import mse, warp_pixels
from ..common.stage_timing import Stages
from ..common.tensors import to_levels
from ..compositing.composite import FaceFlow
from ..editor.face_editor import Edited, FrameAnalysis, SessionState
from ..editor.keyframed_renderer import KeyframedRenderer, on_cpu
from ..edits.edit import Move, apply
from ..inversion.latent_memory import GAP_SECONDS, LatentState
from ..motion.motion_blend import Seen, bend_face, flow_scale
from ..motion.online_predictor import OnlineDynamics
from ..tracking.align import to_crop
from .drawing import Share, draw
from .editors import Editor

ONWARD: Final = 0.8
"""Of the last motion, what is carried on: all of it overshoots as soon as a head slows down."""
MOST_STEPS: Final = 2.0
"""The last motion is stretched by no more than this, where the lost frame is further off than that step was long."""
KEPT: Final = 0.9
"""Of what is known of past guesses, at each frame: about the last ten count."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """A drawn face of the last frame that came.

    Attributes:
        quad: (4, 2) in it.
        landmarks: (N, 2) in crop pixels.
        memory: of its codes.
        offset: what the edit does to them.
    """

    quad: Quad
    landmarks: Points
    memory: LatentState
    offset: Tensor | Move | None


@dataclass(frozen=True, slots=True, eq=False)
class ConcealmentState:
    """What a lost frame is made from; times are seconds of the stream.

    Attributes:
        last: (H, W, 3) uint8, shown last, at `seconds`.
        before: shown before it, `step` seconds earlier; None where they do not belong together.
        analysed: time of the last frame that came, whose faces are `faces`.
        held, carried: mean squares of what holding the last picture and what carrying it on said wrongly of the
            frames that then came, summed, older ones counting less.
    """

    last: Pixels
    seconds: float
    analysed: float
    before: Pixels | None = None
    step: float = 0.0
    faces: tuple[ShownFace, ...] = ()
    held: float = 0.0
    carried: float = 0.0


class FrameConcealment:
    """Makes frames that never came. It has no state: each stream's `ConcealmentState` goes in and comes out."""

    def __init__(self, generator: Generator, model: MotionModel) -> None:
        """generator: whose codes they are. model: of their motion, which is kept on the CPU."""
        self._generator = generator
        self._updater = OnlineDynamics(model.cpu())

    def came(
        self,
        concealment: ConcealmentState | None,
        shown: Frame,
        analysis: FrameAnalysis,
        latents: Mapping[int, LatentState],
    ) -> ConcealmentState:
        """After a frame that came.

        shown: what was shown for it, at its own time. analysis: of the frame. latents: memory of its faces' codes.
        """
        pixels, seconds = shown.pixels, shown.seconds
        faces, fresh = [], False
        for observed in analysis.faces:
            if observed.job is None:
                continue
            fresh = fresh or observed.fresh
            memory = latents.get(observed.track.id)
            if memory is not None:
                points = to_crop(observed.track.landmarks[:, :2].astype(np.float64), observed.track.quad)
                faces.append(ShownFace(observed.track.quad, points, memory, observed.job.offset))
        if (
            concealment is None
            or fresh
            or concealment.last.shape != pixels.shape
            or not seconds - concealment.seconds > 0
        ):
            return ConcealmentState(pixels, seconds, seconds, faces=tuple(faces))
        held, carried = concealment.held, concealment.carried
        if concealment.before is not None:
            some = slice(None, None, flow_scale(pixels))
            guess = extrapolate(concealment.before, concealment.last)
            held = KEPT * held + mse(concealment.last[some, some], pixels[some, some])
            carried = KEPT * carried + mse(guess[some, some], pixels[some, some])
        step = seconds - concealment.seconds
        return ConcealmentState(pixels, seconds, seconds, concealment.last, step, tuple(faces), held, carried)

    def make(self, concealment: ConcealmentState, seconds: float) -> tuple[ConcealmentState, Pixels | None]:
        """The frame of that time, (H, W, 3): (what the next is made from, pixels).

        None where the last picture is best held: nothing is drawn in it, it has no past to be carried on from, holding
        has proved nearer, or no frame came within `latent.GAP_SECONDS` before.
        """
        before, last = concealment.before, concealment.last
        step = seconds - concealment.seconds
        near = step > 0 and seconds - concealment.analysed <= GAP_SECONDS
        if (
            not near
            or before is None
            or not concealment.faces
            or concealment.step <= 0
            or concealment.carried >= concealment.held
        ):
            return replace(
                concealment, before=last, seconds=max(seconds, concealment.seconds), step=max(step, 0.0)
            ), None
        pixels = extrapolate(before, last, min(MOST_STEPS, step / concealment.step))
        for face in concealment.faces:
            pixels = self._bend(pixels, concealment, face, seconds)
        return replace(concealment, last=pixels, seconds=seconds, before=last, step=step), pixels

    def _bend(self, pixels: Pixels, concealment: ConcealmentState, face: ShownFace, seconds: float) -> Pixels:
        """Its face changed from the codes of what was shown last to those of the time."""
        memory = face.memory
        if memory.motion is None or not memory.motion.predicts:
            return pixels
        dynamics = on_cpu(memory.motion).dynamics
        with torch.inference_mode():
            came, shown, then = (
                self._updater.predict(dynamics, time)[0]
                for time in (concealment.analysed, concealment.seconds, seconds)
            )
            codes = memory.codes + torch.stack([shown - came, then - came]).to(memory.codes)
            straight, bent = to_levels(self._generator.synthesize(apply(codes, face.offset), size=256))
        seen = Seen(pixels, concealment.analysed, face.quad, face.landmarks)
        return bend_face(pixels, seen, seen, straight, bent, 0.0, FaceFlow())


def extrapolate(before: Pixels, last: Pixels, steps: float = 1.0) -> Pixels:
    """(H, W, 3): the last frame moved on as it had moved from the one before it. steps: for so many times as long."""
    scale = flow_scale(last)
    size = last.shape[1], last.shape[0]
    grey = [cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) for pixels in (last, before)]
    if scale > 1:
        small = size[0] // scale, size[1] // scale
        grey = [cast("Pixels", cv2.resize(picture, small, interpolation=cv2.INTER_AREA)) for picture in grey]
    motion = dis_flow(grey[0], grey[1])
    if scale > 1:
        motion = cv2.resize(motion, size) * np.float32(scale)
    return warp_pixels(last, motion * np.float32(ONWARD * steps))


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
