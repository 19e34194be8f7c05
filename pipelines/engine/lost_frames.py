"""A frame that never came, made from those before it: the picture carried on, its faces moved as is foretold.

What was shown last goes on along its own motion, as flow between the last two pictures gives it; flow cannot know how
a face goes on, its predicted codes may. The drawing of the codes foretold for the lost frame stands to that of those
foretold for the last one as an edited face to its inversion, so the face is changed by the formula for edits.

Whether to carry on at all is decided by which has been nearer so far: a clip that repeats frames, or stands still
between jerks, is better held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.dynamics.motion_model import MotionModel
from ...models.generator.generator import Generator
from ...stream.frame import Frame, Pixels
from ..common.flow import dis_flow
from ..common.image_ops import mse, warp_pixels
from ..common.tensors import to_levels
from ..compositing.composite import FaceFlow
from ..editor.face_editor import Look
from ..editor.keyframed_renderer import on_cpu
from ..edits.edit import Move, apply
from ..inversion.latent_memory import GAP_SECONDS, LatentState
from ..motion.motion_blend import Seen, bend_face, flow_scale
from ..motion.online_predictor import OnlineDynamics
from ..tracking.align import Points, Quad, to_crop

ONWARD: Final = 0.8
"""Of the last motion, what is carried on: all of it overshoots as soon as a head slows down."""
MOST_STEPS: Final = 2.0
"""The last motion is stretched by no more than this, where the lost frame is further off than that step was long."""
KEPT: Final = 0.9
"""Of what is known of past guesses, at each frame: about the last ten count."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """A drawn face of the last frame that came.

    quad: (4, 2) in it. landmarks: (N, 2) in crop pixels. memory: of its codes. offset: what the edit does to them.
    """

    quad: Quad
    landmarks: Points
    memory: LatentState
    offset: Tensor | Move | None


@dataclass(frozen=True, slots=True, eq=False)
class Showing:
    """What a lost frame is made from; times are seconds of the stream.

    last: (H, W, 3) uint8, shown last, at `seconds`. before: shown before it, `step` seconds earlier; None where they
    do not belong together. looked: time of the last frame that came, whose faces are `faces`.
    held, carried: mean squares of what holding the last picture and what carrying it on said wrongly of the frames that
    then came, summed, older ones counting less.
    """

    last: Pixels
    seconds: float
    looked: float
    before: Pixels | None = None
    step: float = 0.0
    faces: tuple[ShownFace, ...] = ()
    held: float = 0.0
    carried: float = 0.0


class LostFrames:
    """Makes frames that never came. Has no memory of its own: each stream's `Showing` goes in and comes out."""

    def __init__(self, generator: Generator, model: MotionModel) -> None:
        """generator: whose codes they are. model: of their motion, which is kept on the CPU."""
        self._generator = generator
        self._updater = OnlineDynamics(model.cpu())

    def came(self, showing: Showing | None, shown: Frame, look: Look, latents: Mapping[int, LatentState]) -> Showing:
        """After a frame that came.

        shown: what was shown for it, at its own time. look: what was seen in it. latents: memory of its faces' codes.
        """
        pixels, seconds = shown.pixels, shown.seconds
        faces, fresh = [], False
        for sight in look.faces:
            if sight.job is None:
                continue
            fresh = fresh or sight.fresh
            memory = latents.get(sight.track.id)
            if memory is not None:
                points = to_crop(sight.track.landmarks[:, :2].astype(np.float64), sight.track.quad)
                faces.append(ShownFace(sight.track.quad, points, memory, sight.job.offset))
        if showing is None or fresh or showing.last.shape != pixels.shape or not seconds - showing.seconds > 0:
            return Showing(pixels, seconds, seconds, faces=tuple(faces))
        held, carried = showing.held, showing.carried
        if showing.before is not None:
            some = slice(None, None, flow_scale(pixels))
            guess = carry_on(showing.before, showing.last)
            held = KEPT * held + mse(showing.last[some, some], pixels[some, some])
            carried = KEPT * carried + mse(guess[some, some], pixels[some, some])
        step = seconds - showing.seconds
        return Showing(pixels, seconds, seconds, showing.last, step, tuple(faces), held, carried)

    def make(self, showing: Showing, seconds: float) -> tuple[Showing, Pixels | None]:
        """The frame of that time, (H, W, 3): (what the next is made from, pixels).

        None where the last picture is best held: nothing is drawn in it, it has no past to be carried on from, holding
        has proved nearer, or no frame came within `latent.GAP_SECONDS` before.
        """
        before, last = showing.before, showing.last
        step = seconds - showing.seconds
        near = step > 0 and seconds - showing.looked <= GAP_SECONDS
        if not near or before is None or not showing.faces or showing.step <= 0 or showing.carried >= showing.held:
            return replace(showing, before=last, seconds=max(seconds, showing.seconds), step=max(step, 0.0)), None
        pixels = carry_on(before, last, min(MOST_STEPS, step / showing.step))
        for face in showing.faces:
            pixels = self._bend(pixels, showing, face, seconds)
        return replace(showing, last=pixels, seconds=seconds, before=last, step=step), pixels

    def _bend(self, pixels: Pixels, showing: Showing, face: ShownFace, seconds: float) -> Pixels:
        """Its face changed from the codes of what was shown last to those of the time."""
        memory = face.memory
        if memory.motion is None or not memory.motion.predicts:
            return pixels
        dynamics = on_cpu(memory.motion).dynamics
        with torch.inference_mode():
            came, shown, then = (
                self._updater.predict(dynamics, time)[0] for time in (showing.looked, showing.seconds, seconds)
            )
            codes = memory.codes + torch.stack([shown - came, then - came]).to(memory.codes)
            straight, bent = to_levels(self._generator.synthesize(apply(codes, face.offset), size=256))
        seen = Seen(pixels, showing.looked, face.quad, face.landmarks)
        return bend_face(pixels, seen, seen, straight, bent, 0.0, FaceFlow())


def carry_on(before: Pixels, last: Pixels, steps: float = 1.0) -> Pixels:
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
