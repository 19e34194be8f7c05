"""The renderer: invert, smooth the codes, edit and synthesize a batch of aligned faces of any streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.arrays import FloatImage, Points
from ...models.encoders.encoder import Encoder
from ...models.generator.generator import Generator
from ...stream.frame import Pixels
from ..common.stage_timing import Stages
from ..common.tensors import to_tensor
from ..edits.edit import Move, apply
from ..inversion import latent_memory as latent
from ..inversion.latent_memory import LatentState
from ..inversion.recurrent_inverter import Inverted, RecurrentInverter
from .draw_size import SMALLEST


@dataclass(frozen=True, slots=True, eq=False)
class FaceJob:
    """One face to draw.

    Attributes:
        face: (256, 256, 3) uint8, aligned.
        offset: the edit's offset of the codes, None for no edit.
        seconds: time of its frame.
        encode: False draws the face's stored codes, if there are any, without the encoder.
        codes: (codes, 512), predicted in place of E0's for a face with stored codes, also without the encoder.
        landmarks: (478, 2) of the mesh in crop pixels, None for another layout.
        on_device: (3, 256, 256) float32 in 0..255, where pictures stay on a device; `face` is empty then.
        size: to draw it at, 256, 512 or 1024.
    """

    face: Pixels
    offset: Tensor | Move | None
    seconds: float
    encode: bool = True
    codes: Tensor | None = None
    landmarks: Points | None = None
    on_device: Tensor | None = None
    size: int = 256


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A drawn face.

    Attributes:
        inverted, edited: (256, 256, 3) float32 in 0..255, the generator's pictures.
        large: (D, D, 3), the edit as it is drawn, where that is larger.
        latent: the face's new state.
        encoded: (codes, 512), E0's output for this face; None if E0 was not run.
        on_device: (2, 3, D, D) float32 in 0..255, inverted and edited, where pictures stay on a device.
    """

    inverted: FloatImage
    edited: FloatImage
    latent: LatentState
    encoded: Tensor | None = None
    on_device: Tensor | None = None
    large: FloatImage | None = None


class FaceRenderer(Protocol):
    """Draws faces for any stream: `Renderer`, or one that wraps it."""

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """See `Renderer.render`."""
        ...


class Renderer:
    """The networks that streams share; it has no state."""

    def __init__(
        self,
        encoder: Encoder,
        generator: Generator,
        *,
        code_offset: Tensor | None = None,
        recurrent: RecurrentInverter | None = None,
        plain: "Renderer | None" = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """code_offset: (codes, 512) added to every inversion, from `refine`.

        recurrent: corrects E0 from frame to frame; without it E0's codes of each frame are averaged.
        plain: the renderer that this one is a faster version of, whose networks can be trained.
        dtype: of its networks.
        """
        self.encoder = encoder
        self.generator = generator
        self.code_offset = code_offset
        self.recurrent = recurrent
        self.plain = plain or self
        self.dtype = dtype

    def drawing_with(self, generator: Generator, code_offset: Tensor | None) -> "Renderer":
        """A renderer over the same encoders that draws with another generator, such as one fitted to a person."""
        recurrent = None if self.recurrent is None else self.recurrent.drawing_with(generator)
        return Renderer(self.encoder, generator, code_offset=code_offset, recurrent=recurrent)

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """Draw each face. The result does not depend on the other faces of the batch.

        memories: the state of each job's face, None for a new face.
        """
        if not jobs:
            return []
        with stages.time("invert"), torch.inference_mode():
            inverted, encoded = self._invert(jobs, memories)
        stages.count("encoded", len(encoded))
        stages.count("drawn", len(jobs))
        results: dict[int, Rendered] = {}
        for size in sorted({job.size for job in jobs}):
            rows = [row for row, job in enumerate(jobs) if job.size == size]
            with stages.time("synthesize"), torch.inference_mode():
                edited = [row for row in rows if jobs[row].offset is not None]
                w_plus = [inverted[row].codes for row in rows]
                moved = [apply(inverted[row].codes, jobs[row].offset) for row in edited]
                noise = _stack_noise([*(inverted[row] for row in rows), *(inverted[row] for row in edited)])
                images = self.generator.synthesize(torch.stack([*w_plus, *moved]), noise=noise, size=size)
                pictures = _pictures(images)
            place = count(len(rows))
            for number, row in enumerate(rows):
                job, found = jobs[row], inverted[row]
                large = pictures[number], pictures[number if job.offset is None else next(place)]
                drawn, shown = map(_at_256, large)
                memory = found.state if isinstance(found, _Averaged) else found.remember(job.face, drawn, shown)
                kept = None if size == SMALLEST else large[1]
                results[row] = Rendered(drawn, shown, memory, encoded.get(row), large=kept)
        return [results[row] for row in range(len(jobs))]

    def _invert(
        self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None]
    ) -> tuple[Sequence["Inverted | _Averaged"], dict[int, Tensor]]:
        """The codes to draw for each face, and E0's output for the faces it was run on."""
        found: dict[int, Inverted | _Averaged] = {}
        encoded: dict[int, Tensor] = {}
        rows = []
        for row, (job, memory) in enumerate(zip(jobs, memories, strict=True)):
            if memory is None or (self.recurrent is not None and memory.recurrent is None):
                rows.append(row)
            elif job.codes is not None:
                found[row] = self._go_on(job, job.codes, memory)
            elif job.encode:
                rows.append(row)
            else:
                found[row] = _recall(memory, self.recurrent)
        if rows:
            faces, seconds = [jobs[row].face for row in rows], [jobs[row].seconds for row in rows]
            before = [memories[row] for row in rows]
            codes = self.encoder(to_tensor(np.stack(faces)))
            if self.code_offset is not None:
                codes = codes + self.code_offset
            encoded = dict(zip(rows, codes, strict=True))
            if self.recurrent is not None:
                found |= zip(rows, self.recurrent.invert(faces, codes, seconds, before), strict=True)
            else:
                steadied = map(latent.steady, before, codes, seconds)
                found |= zip(rows, map(_Averaged, steadied), strict=True)
        return [found[row] for row in range(len(jobs))], encoded

    def _go_on(self, job: FaceJob, codes: Tensor, memory: LatentState) -> "Inverted | _Averaged":
        """Continue with predicted codes, which are treated like E0's."""
        if self.recurrent is not None:
            return self.recurrent.go_on(job.face, codes, job.seconds, memory)
        return _Averaged(latent.steady(memory, codes, job.seconds))


@dataclass(frozen=True, slots=True, eq=False)
class _Averaged:
    """Stored codes that are drawn as they are."""

    state: LatentState
    noise: Tensor | None = None

    @property
    def codes(self) -> Tensor:
        return self.state.codes


def _recall(memory: LatentState, recurrent: RecurrentInverter | None) -> _Averaged:
    kept = memory.recurrent
    return _Averaged(memory, kept.state.noise[0] if kept and recurrent and recurrent.parts.noise else None)


def _stack_noise(found: Sequence[Inverted | _Averaged]) -> Tensor | None:
    maps = [each.noise for each in found if each.noise is not None]
    return torch.stack(maps) if maps else None


def _pictures(images: Tensor) -> list[FloatImage]:
    levels = images.float().add(1).mul(127.5).clamp(0, 255).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return list(levels)


def _at_256(picture: FloatImage) -> FloatImage:
    """As the networks see drawings."""
    if len(picture) == SMALLEST:
        return picture
    return np.asarray(cv2.resize(picture, (SMALLEST, SMALLEST), interpolation=cv2.INTER_AREA), np.float32)
