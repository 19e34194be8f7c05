"""The renderer of faces that stay on a device: no picture goes up or comes back, and no value is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ...models.encoders.encoder import Encoder
from ...models.generator.generator import Generator
from ..common.graphs import Graphs
from ..common.stage_timing import Stages
from ..edits.edit import apply
from ..inversion import latent_memory as latent
from ..inversion.device_inverter import DeviceInverter
from ..inversion.latent_memory import DeviceMemory, LatentState
from .accelerate import fill
from .draw_size import MEMORY, SMALLEST
from .renderer import FaceJob, Rendered, Renderer

NOTHING = np.empty((0, 0, 3), np.float32)


class DeviceRenderer:
    """A `FaceRenderer` for jobs with `on_device`; it has no state."""

    def __init__(
        self,
        encoder: Encoder,
        generator: Generator,
        *,
        code_offset: Tensor | None = None,
        recurrent: DeviceInverter | None = None,
        graphs: Graphs | None = None,
    ) -> None:
        """Networks are on the device already. code_offset, recurrent: as of `Renderer`, there too.

        graphs: that run the networks, for batches of a power of two.
        """
        self.encoder = encoder
        self.generator = generator
        self.code_offset = code_offset
        self.recurrent = recurrent
        self._draws = {size: partial(self._draw, size=size) for size in (SMALLEST, *MEMORY)}
        self._graphs = graphs or Graphs()

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`. `Rendered.on_device` holds the drawings."""
        if not jobs:
            return []
        faces = torch.stack([_face(job) for job in jobs]).div(127.5).sub(1)
        with stages.time("invert"), torch.inference_mode():
            (codes,) = self._graphs.run(self._encode, fill(faces))
            codes = codes[: len(jobs)]
            if self.code_offset is not None:
                codes = codes + self.code_offset
            states = self._invert(faces, codes, jobs, memories)
        stages.count("encoded", len(jobs))
        stages.count("drawn", len(jobs))
        results: dict[int, Rendered] = {}
        for size in sorted({job.size for job in jobs}):
            rows = [row for row, job in enumerate(jobs) if job.size == size]
            with stages.time("synthesize"), torch.inference_mode():
                edited = [row for row in rows if jobs[row].offset is not None]
                moved = [apply(states[row].codes, jobs[row].offset) for row in edited]
                batch = fill(torch.stack([*(states[row].codes for row in rows), *moved]))
                kept = [states[row].device for row in (*rows, *edited)]
                maps = [each.noise for each in kept if each is not None and each.noise is not None]
                (images,) = self._graphs.run(self._draws[size], batch, *([fill(torch.cat(maps))] if maps else []))
                pictures = images.add(1).mul(127.5)
            place = count(len(rows))
            for number, row in enumerate(rows):
                other = number if jobs[row].offset is None else next(place)
                state = states[row]
                if state.device is not None:
                    drawn = torch.cat([_at_256(images[number]), _at_256(images[other])])
                    state = replace(state, device=replace(state.device, drawn=drawn))
                pair = torch.stack([pictures[number], pictures[other]])
                results[row] = Rendered(NOTHING, NOTHING, state, codes[row], on_device=pair)
        return [results[row] for row in range(len(jobs))]

    def _encode(self, faces: Tensor) -> tuple[Tensor, ...]:
        return (self.encoder(faces.contiguous(memory_format=torch.channels_last)).float(),)

    def _draw(self, codes: Tensor, noise: Tensor | None = None, *, size: int) -> tuple[Tensor, ...]:
        return (self.generator.synthesize(codes, noise=noise, size=size).float().clamp(-1, 1),)

    def _invert(
        self, faces: Tensor, codes: Tensor, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None]
    ) -> list[LatentState]:
        seconds = [job.seconds for job in jobs]
        if self.recurrent is None:
            return [latent.steady(*each) for each in zip(memories, codes, seconds, strict=True)]
        found = self.recurrent.invert(faces, codes, seconds, memories)
        return [_state(memory, each, time) for memory, each, time in zip(memories, found, seconds, strict=True)]


def on_device(renderer: Renderer, graphs: Graphs) -> DeviceRenderer:
    """A renderer over the same networks, which `accelerate` has moved."""
    recurrent = renderer.recurrent
    if recurrent is not None:
        inverter = DeviceInverter(recurrent.network, renderer.generator, parts=recurrent.parts)
    return DeviceRenderer(
        renderer.encoder, renderer.generator, code_offset=renderer.code_offset,
        recurrent=None if recurrent is None else inverter, graphs=graphs,
    )  # fmt: skip


def _state(before: LatentState | None, memory: DeviceMemory, seconds: float) -> LatentState:
    held = before is not None and before.device is memory  # a frame out of order
    return LatentState(memory.codes, max(seconds, before.seconds) if held and before else seconds, device=memory)


def _face(job: FaceJob) -> Tensor:
    if job.on_device is None:
        raise ValueError("expected a face on the device; the editor that made the job is one of the host")
    return job.on_device


def _at_256(image: Tensor) -> Tensor:
    factor = image.shape[-1] // SMALLEST
    return image if factor == 1 else torch.nn.functional.avg_pool2d(image[None], factor)[0]
