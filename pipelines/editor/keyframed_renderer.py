"""A renderer that encodes every K-th frame and predicts E0's codes for the frames between.

The prediction replaces E0's raw codes, on which the motion model was trained. Like E0's own codes it is averaged and,
under the recurrent encoder, corrected by the last correction, so there is no step when a frame is encoded again. For
each face the renderer predicts or holds the last encoded codes, whichever has had the smaller error so far.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import Points
from ...models.dynamics.motion_model import MotionModel
from ..common.stage_timing import Stages
from ..inversion.latent_memory import GAP_SECONDS, LatentState, is_another
from ..motion.keyframes import Every, LandmarkMap, MotionMemory, begin_map, is_due, learn, propagate
from ..motion.online_predictor import DynamicsState, OnlineDynamics
from .renderer import FaceJob, Rendered, Renderer

KEPT: Final = 0.9
"""Share of the past prediction errors that is kept at each encoded frame: about the last ten count."""

_Kept = TypeVar("_Kept", DynamicsState, LandmarkMap)


class KeyframedRenderer:
    """A `FaceRenderer` whose encoders run on some frames only; its state is `LatentState.motion`.

    A job with `encode=False` is encoded only if the face is new or, under "auto", if the prediction has become too
    poor.
    """

    def __init__(self, renderer: Renderer, model: MotionModel, every: Every) -> None:
        """renderer: its networks are used. model: of the motion of its encoder's codes; it stays on the CPU.

        every: frames from one encoded frame to the next, or "auto". Raises ValueError if it is below 1.
        """
        is_due(every, 0, 0.0, 1.0)
        self.renderer = renderer
        self.every: Every = every
        self._updater = OnlineDynamics(model.cpu())
        self._mean = renderer.generator.mean_w().cpu()

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`."""
        if not jobs:
            return []
        with stages.time("predict"), torch.inference_mode():
            planned = [self._plan(job, memory) for job, memory in zip(jobs, memories, strict=True)]
        rendered = self.renderer.render([job for job, _ in planned], memories, stages)
        with stages.time("predict"), torch.inference_mode():
            return [
                replace(one, latent=replace(one.latent, motion=self._learn(job, moved, one.encoded)))
                for (job, moved), one in zip(planned, rendered, strict=True)
            ]

    def _plan(self, job: FaceJob, memory: LatentState | None) -> tuple[FaceJob, MotionMemory | None]:
        """The job with predicted codes, or to encode; and the face's motion as known before this frame."""
        known = None if memory is None else memory.motion
        if known is None or memory is None or not 0 <= job.seconds - memory.seconds <= GAP_SECONDS:
            return replace(job, encode=True), None
        known = on_cpu(known)
        if self.every == 1 and job.encode:
            return job, known
        moved, said, uncertainty = self._foretell(known, job.seconds, job.landmarks)
        if not (bool(torch.isfinite(said).all()) and bool(torch.isfinite(uncertainty))):
            return replace(job, encode=True), None
        hurry = 0.0 if job.encode else 1.0
        due = is_due(self.every, moved.since, float(uncertainty), known.usual, spent=hurry, budget=1.0)
        if due and (job.encode or self.every == "auto"):
            return replace(job, encode=True), known
        guess = said if known.predicts else known.key
        where = memory.codes
        return replace(job, encode=False, codes=guess.to(where)), moved

    def _foretell(
        self, known: MotionMemory, seconds: float, landmarks: Points | None
    ) -> tuple[MotionMemory, Tensor, Tensor]:
        """(state after a frame that is not encoded, codes (codes, size), uncertainty ()) at a time."""
        state = known.dynamics
        if landmarks is not None and known.landmarks is not None:
            state = propagate(self._updater, state, known.landmarks, seconds, _tensor(landmarks))
        said, uncertainty = self._updater.predict(state, seconds)
        return replace(known, dynamics=state, since=known.since + 1), said, uncertainty

    def _learn(self, job: FaceJob, known: MotionMemory | None, encoded: Tensor | None) -> MotionMemory | None:
        """The state after a frame, from the state before it; `encoded`: the frame's own codes."""
        if encoded is None:
            return known
        codes = encoded.float().cpu()
        if not torch.isfinite(codes).all():
            return known
        points = None if job.landmarks is None else _tensor(job.landmarks)
        if known is None or is_another(known.key, codes, self._mean):
            state = self._updater.start(job.seconds, codes)
            landmarks = None if points is None else begin_map(self._updater, job.seconds, points, codes)
            return MotionMemory(state, landmarks, codes, 0, self._usual(state, job.seconds))
        _, said, _ = self._foretell(known, job.seconds, job.landmarks)
        state = self._updater.observe(known.dynamics, job.seconds, codes)
        landmarks = known.landmarks
        if points is not None:
            landmarks = (
                begin_map(self._updater, job.seconds, points, codes)
                if landmarks is None
                else learn(landmarks, self._updater, job.seconds, points, codes)
            )
        held, foretold = (float((guess - codes).square().mean()) for guess in (known.key, said))
        return MotionMemory(
            state,
            landmarks,
            codes,
            0,
            self._usual(state, job.seconds),
            KEPT * known.held + held,
            KEPT * known.foretold + foretold,
        )

    def _usual(self, state: DynamicsState, seconds: float) -> float:
        return float(self._updater.predict(state, seconds)[1])


def _tensor(landmarks: Points) -> Tensor:
    return torch.from_numpy(np.asarray(landmarks, np.float32))


def on_cpu(memory: MotionMemory) -> MotionMemory:
    """The state moved to the CPU, after it was read for another device."""
    if memory.key.device.type == "cpu":
        return memory
    return replace(
        memory,
        dynamics=_all_on_cpu(memory.dynamics),
        landmarks=None if memory.landmarks is None else _all_on_cpu(memory.landmarks),
        key=memory.key.cpu(),
    )


def _all_on_cpu(memory: _Kept) -> _Kept:
    return replace(memory, **{item.name: getattr(memory, item.name).cpu() for item in fields(memory)})
