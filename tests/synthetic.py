"""Clips with known truth for any test, drawn by a generator of ellipses: no weights and nobody's likeness."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from dynstream.models.directions.directions import Direction
from dynstream.models.faces.faces import FaceBackend
from dynstream.models.generator.generator import check_codes
from dynstream.pipelines.edits.parsing import parse_edits
from dynstream.pipelines.research.synth.clip import DEFAULT_OPTIONS, make_clip
from dynstream.pipelines.research.synth.mask import OvalCutter
from dynstream.pipelines.research.synth.networks import SynthNetworks
from dynstream.pipelines.research.synth.settings import ClipSettings
from dynstream.pipelines.research.synth.truth import Truth
from dynstream.stream.encoding import EncoderOptions

from .drawn_face import BACKGROUND, paint_face

CODES = 18
AXES = {"smile": 0, "mouth-open": 1, "age": 2, "red": 3, "blue": 4}
"""Which of the 512 numbers of a code, averaged over the codes, decides what."""
FFHQ = (85.0, 78.5, 342.0)
"""Left, top and side of the FFHQ crop of `paint_face`'s canvas: eyes 84 apart, mouth 95 below them."""


class TinyGenerator:
    """A Generator that draws `drawn_face` from its codes; not differentiable."""

    codes = CODES
    resolution = 1024

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return 0.3 * z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        check_codes(w_plus, self.codes, noise)
        values = w_plus.mean(dim=1)[:, : len(AXES)].double().numpy()
        pictures = [_draw(dict(zip(AXES, map(float, row), strict=True)), size) for row in values]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def _draw(values: Mapping[str, float], size: int) -> np.ndarray:
    canvas = np.full((512, 512, 3), BACKGROUND, np.uint8)
    light = 1 - 0.1 * np.tanh(values["age"])
    skin = (214 + 20 * np.tanh(values["red"]), 170, 140 + 20 * np.tanh(values["blue"]))
    paint_face(canvas, float(np.clip(values["smile"], -2, 2)), tuple(int(np.clip(light * v, 0, 255)) for v in skin))
    opening = round(14 * float(np.clip(values["mouth-open"], 0, 2)))
    if opening:
        cv2.ellipse(canvas, (256, 337), (26, opening), 0, 0, 360, (60, 15, 20), -1, cv2.LINE_AA)
    left, top, side = FFHQ
    step = side / size
    matrix = np.array([[step, 0, left + step / 2 - 0.5], [0, step, top + step / 2 - 0.5]])
    return cv2.warpAffine(canvas, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def tiny_directions() -> dict[str, Direction]:
    """Directions along which `TinyGenerator` draws something else; a strength of 1 moves its value by 1."""
    found = {}
    for name in ("smile", "mouth-open", "age"):
        vector = torch.zeros(CODES, 512)
        vector[:, AXES[name]] = CODES**-0.5
        found[name] = Direction(name, vector, scale=CODES**0.5)
    return found


def tiny_networks(backend: FaceBackend | None = None) -> SynthNetworks:
    """What draws a tiny clip; a backend measures landmarks."""
    return SynthNetworks(TinyGenerator(), OvalCutter(), backend, "tiny")


def synthetic_clip(
    path: Path,
    *edits: str,
    backend: FaceBackend | None = None,
    options: EncoderOptions = DEFAULT_OPTIONS,
    overwrite: bool = False,
    **settings: Any,
) -> Truth:
    """Write a clip with its truth; by default 96x96, ten frames. edits: such as "smile=1"; settings: ClipSettings'."""
    chosen = ClipSettings(**{"size": (96, 96), "seconds": 0.4, "mask": "oval", "drawn": 256, **settings})
    directions = tiny_directions()
    return make_clip(
        path,
        chosen,
        tiny_networks(backend),
        directions,
        edits=parse_edits(edits, None, directions),
        options=options,
        overwrite=overwrite,
    )
