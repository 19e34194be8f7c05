"""The networks that draw and measure a clip, and one drawing of theirs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ....models.arrays import ByteMask
from ....models.faces.faces import FaceBackend
from ....models.generator.generator import Generator
from ....models.generator.load import load_generator
from ....stream.frame import Pixels
from ...common.tensors import to_pixels
from .mask import Cutter, OvalCutter, ParserCutter
from .settings import ClipSettings

if TYPE_CHECKING:
    from ....models.zoo.zoo import Zoo


@dataclass(frozen=True, eq=False)
class SynthNetworks:
    """What draws and measures.

    Attributes:
        backend: None leaves the measured landmarks out.
    """

    generator: Generator
    cutter: Cutter
    backend: FaceBackend | None
    name: str = "mobilestylegan"


def load_networks(zoo: "Zoo", settings: ClipSettings, generator: str, *, landmarks: bool = True) -> SynthNetworks:
    """The networks that a clip of these settings needs, pulled where they are missing."""
    cutter: Cutter = OvalCutter()
    if settings.mask == "parser":
        from ....models.faces.bisenet import load_bisenet

        cutter = ParserCutter(load_bisenet(zoo))
    backend = None
    if landmarks:
        from ....models.faces.mesh import load_mesh_backend

        backend = load_mesh_backend(zoo)
    return SynthNetworks(load_generator(generator, zoo), cutter, backend, generator)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One drawing: (S, S, 3) uint8 and its mask (128, 128) uint8."""

    pixels: Pixels
    mask: ByteMask


def draw(networks: SynthNetworks, w_plus: Tensor, size: int) -> Drawn:
    """w_plus: (codes, 512) -> the generator's picture and where the person is in it."""
    with torch.inference_mode():
        image = networks.generator.synthesize(w_plus[None], size=size)
        return Drawn(to_pixels(image[0]), networks.cutter(image))
