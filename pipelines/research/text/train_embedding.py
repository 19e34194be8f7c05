"""Train the text-face embedding: InfoNCE between captions and faces, with many positives for one face.

Which captions hold of a face is known from its scores (`claims`), not from who was drawn with what: a caption's
positives are all the faces of which it is true, and faces of which it is neither true nor false take no part.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import AnyArray, Float64Array
from ....models.text.face_text import FaceTrunk, Heads
from ....models.text.minilm import SIZE as TEXT_SIZE
from ...common.errors import TrainingError
from ...common.tensors import to_tensor
from ..common.array_cache import cached, digest
from ..training.loop import LoopConfig, train
from .captions import Caption, make_captions, truth_of
from .claims import Truth, truths, values_of
from .looks import looks_of
from .measured_faces import FaceTable

CAPTIONS: Final = 4000
FACES, TEXTS = 128, 256
"""Of a step."""
CONFIG: Final = LoopConfig(steps=1500, lr=1e-3, warmup=50, ema=0.99, log_steps=100)
FEWEST: Final = 100
RULES: Final = Path(__file__).with_name("looks.py")
"""By which looks are found; others make what is kept stale."""
PART: Final = 100
"""Faces of a file of features."""


class Encode(Protocol):
    """Sentences to vectors: `SentenceEncoder`, or a baseline."""

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        """(B, 384) of B sentences."""
        ...


@dataclass(frozen=True, eq=False)
class TextFaces:
    """What the heads are trained on.

    Attributes:
        features: (N, FEATURES) float16 of `FaceTrunk`.
        truths: (N, claims).
        looks: (N, LOOKS).
    """

    features: Tensor
    truths: Truth
    looks: Float64Array

    def __len__(self) -> int:
        return len(self.features)

    def part(self, chosen: AnyArray) -> "TextFaces":
        """Those of the faces."""
        return TextFaces(self.features[torch.from_numpy(chosen)], self.truths[chosen], self.looks[chosen])


def prepare(
    trunk: FaceTrunk, table: FaceTable, cache: Path | None, progress: Callable[[int], None] = lambda _faces: None
) -> TextFaces:
    """Features and claims of faces; the features are kept in `cache`, a file for every `PART` faces."""

    def compute(rows: range) -> dict[str, AnyArray]:
        features = []
        for index in rows:
            with torch.inference_mode():
                features.append(trunk(to_tensor(table.picture(index)[None])).half().numpy())
            progress(index + 1)
        return {"features": np.concatenate(features), "looks": np.array([looks_of(table[index]) for index in rows])}

    weights, found = next(iter(trunk.state_dict().values())).numpy(), []
    rules = RULES.read_text(encoding="utf-8")
    for first in range(0, len(table), PART):
        rows = range(first, min(len(table), first + PART))
        path = (
            cache / f"features-{digest(table.landmarks[rows.start : rows.stop], weights, rules)}.npz" if cache else None
        )
        found.append(cached(path, partial(compute, rows)))
    looks = np.concatenate([part["looks"] for part in found]).astype(np.float64)
    features = torch.from_numpy(np.concatenate([part["features"] for part in found]))
    return TextFaces(features, truths(values_of(looks)), looks)


def join(*parts: TextFaces) -> TextFaces:
    """All faces together; ends of scores are those of each part."""
    return TextFaces(
        torch.cat([part.features for part in parts]),
        np.concatenate([part.truths for part in parts]),
        np.concatenate([part.looks for part in parts]),
    )


def contrast(likeness: Tensor, truth: Tensor) -> Tensor:
    """Multi-positive InfoNCE over the rows. likeness: (R, C) scaled. truth: (R, C) of 1, 0 and -1 for left out."""
    known, true = truth >= 0, truth == 1
    rows = true.any(1) & (truth == 0).any(1)
    if not bool(rows.any()):
        return likeness.sum() * 0
    masked = likeness.masked_fill(~known, -torch.inf)[rows]
    log_chances = masked.log_softmax(1)
    positive = true[rows].float()
    return -(log_chances.masked_fill(~true[rows], 0.0) * positive).sum(1).div(positive.sum(1)).mean()


def train_heads(
    faces: TextFaces, encode: Encode, run: Path, *, config: LoopConfig = CONFIG, echo: Callable[[str], None] = print
) -> Heads:
    """Train both heads, or go on with what `run` holds. Raises TrainingError for too few faces."""
    if len(faces) < FEWEST:
        raise TrainingError(f"{len(faces)} faces; the embedding needs {FEWEST} or more")
    captions = make_captions(random.Random(0), CAPTIONS)
    sentences = embedded(encode, captions, run)
    truth = torch.from_numpy(truth_of(captions, faces.truths))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        heads = Heads()
    features = faces.features.float()
    heads.face.mean.copy_(features.mean(0))
    heads.face.deviation.copy_(features.std(0).clamp_min(1e-3))
    heads.train()

    def step(_number: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        rows = torch.randperm(len(features), generator=generator)[:FACES]
        columns = torch.randperm(len(sentences), generator=generator)[:TEXTS]
        seen, said = heads(features[rows], sentences[columns])
        likeness = heads.log_scale.clamp(0, 4).exp() * said @ seen.T
        own = truth[rows][:, columns].T
        loss = contrast(likeness, own) + contrast(likeness.T, own.T)
        return loss, {"scale": float(heads.log_scale.detach().exp())}

    train(heads, step, config, run, echo=echo)
    return heads.eval().requires_grad_(False)


def embedded(encode: Encode, captions: list[Caption], run: Path) -> Tensor:
    """(captions, 384), kept in `run`."""
    texts = [caption.text for caption in captions]
    path = run.parent / f"sentences-{type(encode).__name__}-{digest(chr(10).join(texts))}.npz"
    return torch.from_numpy(cached(path, lambda: {"vectors": encode(texts).numpy()})["vectors"])


class BagOfWords:
    """A baseline for MiniLM: the sum of a fixed random vector for each word that training has seen."""

    def __init__(self, texts: list[str], seed: int = 0) -> None:
        words = sorted({word for text in texts for word in text.lower().split()})
        rows = torch.randn(len(words), TEXT_SIZE, generator=torch.Generator().manual_seed(seed))
        self._rows = dict(zip(words, rows, strict=True))

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        """See `Encode`."""
        none = torch.zeros(TEXT_SIZE)
        sums = [
            torch.stack([none, *(self._rows.get(word, none) for word in text.lower().split())]).sum(0) for text in texts
        ]
        return torch.nn.functional.normalize(torch.stack(sums), dim=1)
