"""The networks that score inversions, loaded once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ....models.arrays import Pixels
from ....models.encoders.encoder import WEIGHTS, load_encoder
from ....models.metrics.arcface import load_arcface
from ....models.metrics.lpips import load_lpips
from ...common.errors import PipelineError
from ...common.tensors import to_tensor
from ...editor.load import load_renderer
from ...fitting.pivotal_tuning import UNHURRIED, FitSettings, bent, fit_person
from ...fitting.refinement import FRAMES
from ..metrics.identity import load_embedders
from .inversion import Inversions, InversionScorers, InversionSettings, Refine

if TYPE_CHECKING:
    from ....models.encoders.encoder import Encoder
    from ....models.generator.generator import Generator
    from ....models.metrics.arcface import ArcFace
    from ....models.metrics.lpips import LPIPS
    from ....models.zoo.zoo import Zoo
    from ...common.cache import Cache


def load_inversions(
    zoo: "Zoo",
    settings: InversionSettings,
    *,
    encoder: Path | None = None,
    generator: str = "mobilestylegan",
    refine: int = 0,
    cache: "Cache | None" = None,
    report: Callable[[str], None] = lambda _note: None,
) -> Inversions:
    """Ready to score.

    encoder: another file than the shipped one. refine: steps of fitting, 0 for no such row. report: is told what is
    left out.

    Raises:
        PipelineError: no such device. ModelError, WeightsError: what cannot be loaded.
    """
    network_in, network_out = load_encoder(encoder or WEIGHTS), load_renderer(zoo, generator).generator
    lpips, arcface = load_lpips(zoo), load_arcface(zoo)
    try:
        for network in (network_in, network_out, lpips, arcface):
            assert isinstance(network, torch.nn.Module)
            network.to(settings.device)
    except (RuntimeError, AssertionError) as error:  # torch has no class of its own for either
        raise PipelineError(f"--device {settings.device}: {error}; leave it out to use the CPU") from error
    scorers = InversionScorers(load_lpips(zoo), load_embedders(("arcface", "dlib"), zoo, report))
    fitted = _refine(network_in, network_out, lpips, arcface, refine, settings.device) if refine else None
    return Inversions(network_in, network_out, lpips, scorers, settings, refine=fitted, cache=cache)


def _refine(
    encoder: "Encoder", generator: "Generator", lpips: "LPIPS", arcface: "ArcFace", steps: int, device: str
) -> Refine:
    settings = FitSettings(steps=steps, seconds=UNHURRIED)

    def refine(faces: "Pixels") -> "tuple[torch.Tensor, Generator]":
        places = np.linspace(0, len(faces) - 1, min(FRAMES, len(faces))).round().astype(int)
        pictures = to_tensor(faces[places]).to(device)
        fit = fit_person(encoder, generator, lpips, arcface, pictures, settings)
        return fit.offset, bent(generator, fit)

    return refine
