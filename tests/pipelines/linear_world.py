"""A world where the truth is known: a generator that draws the scores of a face as stripes, linear in the code."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.stream.frame import Pixels

Floats = npt.NDArray[np.float64]
LIVE = (3, 7)
"""The codes that the pictures depend on, the first and the one after the last."""
WIDTH = 256 // len(NAMES)
GREY_PER_SCORE = 1 / 8


class LinearGenerator:
    """Draws each score as a grey stripe; the second leans on the first, as ages lean on smiles."""

    codes = 18
    resolution = 1024

    def __init__(self) -> None:
        basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(512, len(NAMES))))
        basis[:, 1] = 0.8 * basis[:, 1] + 0.6 * basis[:, 0]
        self.truth: Floats = basis
        self.weights = torch.from_numpy(basis).float()
        self.drawn = 0

    def mean_w(self) -> Tensor:
        return torch.zeros(512)

    def map(self, z: Tensor) -> Tensor:
        return z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        self.drawn += len(w_plus)
        scores = w_plus[:, slice(*LIVE)].mean(1) @ self.weights
        stripes = torch.zeros(len(w_plus), 3, size, size)
        for i in range(len(NAMES)):
            level = (scores[:, i] * GREY_PER_SCORE).clamp(-1, 1)
            stripes[:, :, :, WIDTH * i : WIDTH * (i + 1)] = level[:, None, None, None]
        return stripes


def read_stripes(pixels: Pixels) -> Floats | None:
    """The scores that `LinearGenerator` drew; no face where the last stripe is very dark."""
    middles = WIDTH * np.arange(len(NAMES)) + WIDTH // 2
    scores = (pixels[0, middles, 0] / 127.5 - 1) / GREY_PER_SCORE
    return None if scores[-1] < -4 else np.asarray(scores, dtype=np.float64)
