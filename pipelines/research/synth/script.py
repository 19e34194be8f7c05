"""All that moves in a clip, as functions of time: the face, the head, what is behind it and the light."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.directions.directions import Direction
from ....models.generator.generator import Generator
from ...inversion.code_sampling import sample_codes
from .background import Background
from .head import HeadPath, make_head_path
from .paths import Path, make_path
from .scene import Light, make_light
from .settings import ClipSettings, Move


@dataclass(frozen=True, eq=False)
class Script:
    """All that moves in a clip, as functions of time.

    Attributes:
        base: (codes, 512), the person.
        moves: direction -> how it is moved along.
        opening: of the mouth, 0..1.
    """

    base: Tensor
    directions: Mapping[str, Direction]
    moves: Mapping[str, Move]
    movements: Mapping[str, Path]
    opening: Path
    head: HeadPath
    background: Background
    light: Light

    def strengths(self, seconds: float) -> npt.NDArray[np.float64]:
        """(K,) strength along each moved direction, in the order of `moves`."""
        return np.array([move.peak * float(self.movements[name](seconds)) for name, move in self.moves.items()])

    def codes(self, strengths: npt.NDArray[np.float64]) -> Tensor:
        """(codes, 512): base + sum of strength x direction."""
        w_plus = self.base
        for name, strength in zip(self.moves, strengths, strict=True):
            w_plus = w_plus + self.directions[name].offset(float(strength))
        return w_plus


def make_script(
    settings: ClipSettings, generator: Generator, directions: Mapping[str, Direction]
) -> tuple[Script, list[str]]:
    """(what happens in the clip, sentences about movements that cannot be had)."""
    moves, notes = settings.chosen_moves(directions)
    random = torch.Generator().manual_seed(settings.seed)
    psi = settings.truncation
    base = sample_codes(generator, 1, random, low=psi, high=psi, mix=0.0)[0]
    movements = {name: make_path(move.kind, settings.seed, name, settings.seconds) for name, move in moves.items()}
    if settings.sound != "none" and "mouth-open" not in moves:
        notes.append("the sound follows an opening of the mouth that the face does not make")
    script = Script(
        base=base,
        directions=directions,
        moves=moves,
        movements=movements,
        opening=make_path("speech", settings.seed, "mouth-open", settings.seconds),
        head=make_head_path(settings.seed, settings.size, settings.head, settings.motion),
        background=Background(settings.seed, settings.size, settings.background, settings.motion),
        light=make_light(settings.seed, settings.light),
    )
    return script, notes
