"""Frame concealment: make a lost frame from those before it, and draw a late one from predicted codes."""

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
from ..tracking.align import landmarks_in_crop
from .drawing import Share, draw
from .editors import Editor

ONWARD: Final = 0.8
"""Share of the last motion to extrapolate: the whole motion overshoots as soon as a head slows down."""
MOST_STEPS: Final = 2.0
"""Largest factor on the last motion, for a lost frame that is further away than the last step was long."""
KEPT: Final = 0.9
"""Share of the past prediction errors that is kept at each frame: about the last ten count."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """A drawn face of the last frame that came.

    Attributes:
        quad: (4, 2) in the frame.
        landmarks: (N, 2) in crop pixels.
        memory: state of its codes.
        offset: the edit's offset of the codes.
    """

    quad: Quad
    landmarks: Points
    memory: LatentState
    offset: Tensor | Move | None


@dataclass(frozen=True, slots=True, eq=False)
class ConcealmentState:
    """State that a lost frame is made from; times are seconds of the stream.

    Attributes:
        last: (H, W, 3) uint8, the last picture shown, at `seconds`.
        before: the picture shown `step` seconds before it; None if the two do not belong together.
        analysed: time of the last frame that came, whose faces are `faces`.
        held, carried: mean squared errors of holding the last picture and of extrapolating it, against the frames
            that then came, summed with less weight for older ones.
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
    """Makes lost frames. It has no state: each stream's `ConcealmentState` goes in and comes out."""

    def __init__(self, generator: Generator, model: MotionModel) -> None:
        """generator: the one that the codes belong to. model: of the codes' motion, which stays on the CPU."""
        self._generator = generator
        self._updater = OnlineDynamics(model.cpu())

    def came(
        self,
        concealment: ConcealmentState | None,
        shown: Frame,
        analysis: FrameAnalysis,
        latents: Mapping[int, LatentState],
    ) -> ConcealmentState:
        """The state after a frame that came.

        shown: the picture shown for it, at its own time. analysis: of the frame. latents: states of its faces' codes.
        """
        pixels, seconds = shown.pixels, shown.seconds
        faces, fresh = [], False
        for observed in analysis.faces:
            if observed.job is None:
                continue
            fresh = fresh or observed.fresh
            memory = latents.get(observed.track.id)
            if memory is not None:
                points = landmarks_in_crop(observed.track.landmarks, observed.track.quad)
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
        """(next state, frame of that time as (H, W, 3) pixels).

        The pixels are None if the last picture should be held: nothing is drawn in it, there is no earlier picture,
        holding has had the smaller error, or no frame came within the last `latent_memory.GAP_SECONDS`.
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
        """The pixels with the face changed from the codes of the last picture to those predicted for the time."""
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
    """(H, W, 3): the last frame moved on by its motion since the frame before. steps: the factor on that motion."""
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
    """See `engine.Predict`. A concealed frame leaves no state."""

    def __init__(self, renderer: KeyframedRenderer) -> None:
        """renderer: the one that made the sessions' states; it encodes by number, not by "auto"."""
        if renderer.every == "auto":
            raise ValueError('expected a renderer that encodes every K-th frame; "auto" may encode a late one')
        self._renderer = renderer

    def __call__(self, editor: Editor, state: SessionState, analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """None if a face is new or the device is out of memory: the engine then reprojects the last drawing."""
        memories = analysis.memories(state.latents)
        if not memories or any(memory is None or memory.motion is None for memory in memories):
            return None
        jobs = [replace(job, encode=False) for job in analysis.jobs]
        (rendered,) = draw(self._renderer, [Share(jobs, memories)], stages).results
        if isinstance(rendered, Exception):
            return None
        return editor.composite(state.composites, analysis, rendered, stages)[1]
