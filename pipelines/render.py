"""From aligned faces to drawn ones: invert, steady the codes, edit, synthesize, for a batch of faces of any streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..models.encoder import Encoder
from ..models.generator import Generator
from ..stream.frame import Pixels
from . import latent
from .composite import Picture
from .edit import apply
from .latent import LatentState
from .stages import Stages
from .tensors import to_tensor


@dataclass(frozen=True, slots=True, eq=False)
class FaceJob:
    """One face to draw.

    face: (256, 256, 3) uint8, aligned. offset: (codes, 512) of the edit, None for none. seconds: time of its frame.
    """

    face: Pixels
    offset: Tensor | None
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """inverted, edited: (256, 256, 3) float32 in 0..255, what the generator drew. latent: the face's new memory."""

    inverted: Picture
    edited: Picture
    latent: LatentState


class Renderer:
    """The networks that streams share; it has no memory of its own."""

    def __init__(self, encoder: Encoder, generator: Generator, *, code_offset: Tensor | None = None) -> None:
        """code_offset: (codes, 512) added to every inversion, from `refine`."""
        self.encoder = encoder
        self.generator = generator
        self.code_offset = code_offset

    def render(self, jobs: Sequence[FaceJob], memories: Sequence[LatentState | None], stages: Stages) -> list[Rendered]:
        """Draws each face; a batch gives what its faces give one by one.

        memories: of each job's face, None for a face that is new.
        """
        if not jobs:
            return []
        with stages.time("invert"), torch.inference_mode():
            codes = self.encoder(to_tensor(np.stack([job.face for job in jobs])))
            if self.code_offset is not None:
                codes = codes + self.code_offset
            latents = [
                latent.steady(memory, own, job.seconds) for job, memory, own in zip(jobs, memories, codes, strict=True)
            ]
        with stages.time("synthesize"), torch.inference_mode():
            w_plus = [state.codes for state in latents]
            moved = [apply(own, job.offset) for own, job in zip(w_plus, jobs, strict=True) if job.offset is not None]
            images = self.generator.synthesize(torch.stack([*w_plus, *moved]), size=256)
            pictures = [_picture(image) for image in images]
        place = count(len(jobs))
        return [
            Rendered(drawn, drawn if job.offset is None else pictures[next(place)], state)
            for drawn, job, state in zip(pictures, jobs, latents, strict=False)
        ]


def _picture(image: Tensor) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = (
        image.float().add(1).mul(127.5).clamp(0, 255).permute(1, 2, 0).contiguous().cpu().numpy()
    )
    return values
