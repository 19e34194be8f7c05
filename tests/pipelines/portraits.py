"""A portrait that is prepared without networks: a yellow oval, drawn as it is, darker as its driver sits lower."""

from pathlib import Path

import cv2
import numpy as np
import torch

from dynstream.pipelines.animation.face_motion import MeasuredFace, measure
from dynstream.pipelines.animation.motions import Asked
from dynstream.pipelines.animation.portrait import FittedPortrait, read_portrait
from dynstream.pipelines.animation.portrait_compositor import PortraitCompositor
from dynstream.pipelines.common.tensors import to_tensor
from dynstream.pipelines.run.prepare_portrait import PreparedPortrait, draw

from .fakes import LevelGenerator, OvalBackend, scene

SIZE = (180, 150)


class Lower:
    """A motion that makes the drawing darker, and moves all landmarks down, as the driver's eyes are further down.

    The driver of these tests is a rigid oval, so its place in the picture stands for what it does.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, own: MeasuredFace) -> None:
        self.own = own
        self.asked: list[Asked] = []

    def start(self) -> int:
        return 0

    def _value(self, asked: Asked) -> float:
        (one,) = asked.drivers
        assert one.frame.face is not None
        assert one.reference.face is not None
        return float(one.frame.face.places[1] - one.reference.face.places[1])

    def step(self, state: int, asked: Asked) -> tuple[torch.Tensor, int]:
        self.asked.append(asked)
        return torch.full((18, 512), -0.01 * self._value(asked)), state + 1

    def correct(self, state: int, drawn: MeasuredFace | None) -> int:
        return state

    def change(self, asked: Asked) -> np.ndarray:
        return np.tile([0.0, 0.2 * self._value(asked)], (478, 1))


def prepared(folder: Path) -> PreparedPortrait:
    """A portrait of another size than what the drivers' cameras show."""
    path = folder / "portrait.png"
    cv2.imwrite(str(path), scene((90, 55), background=(30, 90, 60), size=SIZE)[..., ::-1])
    portrait = read_portrait(path, OvalBackend())
    generator = LevelGenerator()
    generator.pattern = to_tensor(portrait.crop[None])[0]
    fitted = FittedPortrait(portrait, torch.zeros(18, 512), generator, "a portrait")
    own = measure(portrait.face)
    motion = Lower(own)
    still = draw(fitted, torch.zeros(18, 512))
    compositor = PortraitCompositor(portrait, still, own.points, None)
    return PreparedPortrait(fitted, motion, compositor)
