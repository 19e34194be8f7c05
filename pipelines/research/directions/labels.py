"""Labelled faces: drawn from sampled codes, scored, and kept in a folder so that a labelling goes on where it stopped.

A face is a number: its code follows from the seed and that number alone, so any face can be drawn again. The folder
holds one file for every `SHARD` numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import AnyArray, Float64Array
from ....models.generator.generator import Generator
from ....stream.frame import Pixels
from ...common.errors import TrainingError
from ...common.tensors import to_pixels
from ...inversion.code_sampling import sample_codes
from ..common.array_cache import cached, read
from .face_scores import NAMES

Scorer = Callable[[Pixels], Float64Array | None]

SHARD: Final = 100
FEWEST: Final = 100
"""Faces that a direction needs to be found at all."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Drawn faces with their scores.

    Attributes:
        codes: (N, 512) of W.
        scores: (N, scores) in the order of `face_scores.NAMES`.
    """

    codes: Float64Array
    scores: Float64Array

    def __post_init__(self) -> None:
        if self.codes.shape != (len(self.scores), 512) or self.scores.ndim != 2:
            raise TrainingError(
                f"expected codes (N, 512) with scores (N, scores), got {self.codes.shape} and {self.scores.shape}"
            )

    @property
    def spread(self) -> Float64Array:
        """(scores,) standard deviation of each score over the faces."""
        return np.asarray(self.scores.std(axis=0))


def code_of(generator: Generator, seed: int, number: int) -> Tensor:
    """(1, codes, 512): the code of a face, from W truncated by 0.6 to 1."""
    random = torch.Generator().manual_seed(seed * 1_000_003 + number)
    return sample_codes(generator, 1, random, low=0.6, high=1.0, mix=0.0)


def draw(generator: Generator, w_plus: Tensor) -> Pixels:
    """(1, codes, 512) -> (256, 256, 3) uint8."""
    with torch.inference_mode():
        return to_pixels(generator.synthesize(w_plus, size=256)[0].cpu())


def label(
    generator: Generator,
    scorer: Scorer,
    count: int,
    folder: Path | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _faces: None,
) -> Labelled:
    """Draw and score the faces 0 to count - 1; faces that are not found are left out.

    folder: made where it is missing; what it already holds of this seed is not drawn again. None keeps nothing.
    progress: is told how many faces are done. Raises TrainingError where too few faces were found, or a file of the
    folder holds something else.
    """
    parts = []
    for first in range(0, count, SHARD):
        end = min(count, first + SHARD)
        path = folder / f"labels-{seed}-{first:06d}.npz" if folder and end - first == SHARD else None
        numbers = range(first, end)
        parts.append(_checked(cached(path, partial(_label, generator, scorer, numbers, seed, progress)), path))
        progress(end)
    found = Labelled(np.concatenate([p.codes for p in parts]), np.concatenate([p.scores for p in parts]))
    if len(found.codes) < FEWEST:
        raise TrainingError(f"only {len(found.codes)} of {count} drawn faces were found; a direction needs {FEWEST}")
    return found


def cached_labels(folder: Path, seed: int = 0) -> Labelled:
    """All that a folder holds of a seed, however far its labelling came. Raises TrainingError where that is nothing."""
    parts = [_checked(read(path), path) for path in sorted(folder.glob(f"labels-{seed}-*.npz"))]
    if not parts:
        raise TrainingError(f"{folder} holds no labels of seed {seed}; make some: dynstream directions find --labels")
    return Labelled(np.concatenate([p.codes for p in parts]), np.concatenate([p.scores for p in parts]))


def _label(
    generator: Generator, scorer: Scorer, numbers: range, seed: int, progress: Callable[[int], None]
) -> dict[str, AnyArray]:
    def rows() -> Iterator[tuple[Float64Array, Float64Array]]:
        for number in numbers:
            w_plus = code_of(generator, seed, number)
            found = scorer(draw(generator, w_plus))
            if found is not None and np.isfinite(found).all():
                yield w_plus[0, 0].double().cpu().numpy(), found
            progress(number + 1)

    both = list(rows())
    return {
        "names": np.array(NAMES),
        "codes": np.array([code for code, _ in both], dtype=np.float32).reshape(-1, 512),
        "scores": np.array([scores for _, scores in both], dtype=np.float64).reshape(len(both), len(NAMES)),
    }


def _checked(arrays: dict[str, AnyArray], path: Path | None) -> Labelled:
    try:
        names, codes, scores = tuple(arrays["names"].tolist()), arrays["codes"], arrays["scores"]
    except KeyError as error:
        raise TrainingError(f"{path} holds no labels ({error} is missing); remove it, or name another folder") from None
    if names != NAMES:
        raise TrainingError(
            f"{path} holds the scores {', '.join(map(str, names))}; expected {', '.join(NAMES)}: "
            "it was made by another version; name another folder"
        )
    return Labelled(codes.astype(np.float64), scores.reshape(len(codes), len(NAMES)))
