"""Draws portraits that are set in motion: the portrait's code and what a driver adds to it, batches of several streams.

Stands where `editor.renderer` does for edited faces. The state of a stream is that of its motion (`PortraitMemory`):
what the drawing still lacks is measured on it, and corrected in the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...models.arrays import FloatImage, Points
from ...models.faces.faces import FaceBackend
from ...models.generator.generator import Generator
from ..animation.motions import Asked, Motion, look
from ..animation.portrait import FittedPortrait
from ..common.stage_timing import Stages
from ..common.tensors import to_levels
from ..editor.renderer import FaceJob, Rendered
from ..edits.edit import apply
from ..inversion.latent_memory import LatentState


@dataclass(frozen=True, slots=True, eq=False)
class PortraitJob(FaceJob):
    """A portrait to draw.

    Attributes:
        asked: what its driver does; None for rest.
    """

    asked: Asked | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PortraitMemory(LatentState):
    """State of a portrait's drawing.

    Attributes:
        moved: of its `Motion`.
    """

    moved: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class RenderedPortrait(Rendered):
    """A drawn portrait.

    Attributes:
        points: (478, 2), the drawing's landmarks in its own pixels.
    """

    points: Points | None = None


class PortraitRenderer:
    """A `FaceRenderer` of one portrait, for any number of streams. It is used by one thread."""

    def __init__(
        self, fitted: FittedPortrait, motion: Motion, backend: FaceBackend, generator: Generator | None = None
    ) -> None:
        """generator: the fitted one on another device. backend: looks at drawings, for this thread alone."""
        self._code, self._motion, self._backend = fitted.code, motion, backend
        self._generator = generator or fitted.generator
        with torch.inference_mode():
            self._rest: FloatImage = to_levels(self._generator.synthesize(self._code[None], size=256))[0]

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`."""
        if not jobs:
            return []
        states, codes = [], []
        with stages.time("follow"):
            for job, memory in zip(jobs, memories, strict=True):
                state = memory.moved if isinstance(memory, PortraitMemory) else self._motion.start()
                asked = job.asked if isinstance(job, PortraitJob) else None
                code = self._code
                if asked is not None:
                    delta, state = self._motion.step(state, asked)
                    code = code + delta
                codes.append(code if job.offset is None else apply(code, job.offset))
                states.append(state)
        with stages.time("synthesize"), torch.inference_mode():
            pictures = to_levels(self._generator.synthesize(torch.stack(codes), size=256))
        stages.count("drawn", len(jobs))
        rendered: list[Rendered] = []
        with stages.time("look"):
            for job, code, state, picture in zip(jobs, codes, states, pictures, strict=True):
                measured = look(self._backend, picture.round().astype(np.uint8))
                if job.offset is None:  # an edit moves lips and lids, too, and is not to be corrected away
                    state = self._motion.correct(state, measured)
                points = self._motion.own.seen if measured is None else measured.seen
                memory = PortraitMemory(code, job.seconds, moved=state)
                rendered.append(RenderedPortrait(self._rest, picture, memory, points=points))
        return rendered
