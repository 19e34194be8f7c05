"""What moving codes does to scores: the measurement that directions are chosen by and judged with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....models.arrays import Float64Array
from ....models.generator.generator import Generator
from ...common.errors import TrainingError
from ...inversion.code_sampling import sample_codes
from ..common.array_cache import cached, digest
from .labels import Scorer, draw

Progress = Callable[[int], None]

UNSEEN_SEED = 20_000_003  # of the faces that choose and measure directions; none of them was labelled


def unseen_codes(generator: Generator, faces: int, *, first: int = 0) -> Tensor:
    """(faces, codes, 512): codes that no direction was fitted to, from W truncated by 0.6 to 0.9."""
    rows = []
    for number in range(first, first + faces):
        random = torch.Generator().manual_seed(UNSEEN_SEED + number)
        rows.append(sample_codes(generator, 1, random, low=0.6, high=0.9, mix=0.0))
    return torch.cat(rows)


def changes(
    generator: Generator,
    scorer: Scorer,
    moves: Sequence[Tensor],
    codes: Tensor,
    folder: Path | None = None,
    progress: Progress = lambda _faces: None,
) -> Float64Array:
    """(faces, moves, scores) change of each score from half of a move back to half of it forth, NaN for a lost face.

    moves: (codes, 512) each, whole lengths in W+. codes: (N, codes, 512) of the faces. folder: keeps each face's part.
    Raises TrainingError where a move loses all of them.
    """
    stacked = torch.stack(list(moves))
    name = digest(stacked.cpu().numpy(), codes.cpu().numpy()[:1])
    rows = []
    for number, w_plus in enumerate(codes.split(1)):
        path = folder / f"changes-{name}-{number:03d}.npz" if folder else None

        def compute(w_plus: Tensor = w_plus) -> dict[str, Float64Array]:
            return {"change": np.stack([_change(generator, scorer, w_plus, move) for move in stacked])}

        rows.append(cached(path, compute)["change"])
        progress(number + 1)
    found = np.stack(rows)
    if np.isnan(found).all(axis=0).any():
        raise TrainingError("no face was found at both ends of a move; it leaves the faces")
    return np.asarray(found)


def _change(generator: Generator, scorer: Scorer, w_plus: Tensor, move: Tensor) -> Float64Array:
    ends = [scorer(draw(generator, w_plus + side * move)) for side in (-0.5, 0.5)]
    if ends[0] is None or ends[1] is None:
        return np.full(_width(ends), np.nan)
    return np.asarray(ends[1] - ends[0])


def _width(ends: Sequence[Float64Array | None]) -> int:
    from .face_scores import NAMES

    return next((len(end) for end in ends if end is not None), len(NAMES))


@dataclass(frozen=True, eq=False)
class EditEffects:
    """What an edit did to faces at several strengths.

    Attributes:
        strengths: (S,).
        scores: (faces, S, scores) of faces that were found at every strength.
        same: (faces, S) cosine of the ArcFace embedding with that of strength 0; NaN where it was not asked for.
    """

    strengths: Float64Array
    scores: Float64Array
    same: Float64Array

    def slopes(self) -> Float64Array:
        """(scores,) change per unit of strength, least squares over the faces' means."""
        means = self.scores.mean(axis=0)
        centred = self.strengths - self.strengths.mean()
        return np.asarray(centred @ (means - means.mean(axis=0)) / np.square(centred).sum())

    def moved(self, strength: float) -> Float64Array:
        """(scores,) mean change from strength 0 to this one. Raises ValueError where it was not measured."""
        now, still = (list(self.strengths).index(value) for value in (strength, 0.0))
        return np.asarray((self.scores[:, now] - self.scores[:, still]).mean(axis=0))

    def leak(self, score: int, spread: Float64Array, strength: float, ignored: Sequence[int] = ()) -> float:
        """Summed movement of the other scores over that of the own one, each in its own standard deviations.

        spread: (scores,) standard deviations. ignored: scores that are no others, since they name the same thing.
        """
        moved = np.abs(self.moved(strength) / spread)
        others = [index for index in range(len(spread)) if index != score and index not in ignored]
        return float(moved[others].sum() / max(1e-9, moved[score]))

    def monotone(self, score: int, slack: float, low: float = -np.inf, high: float = np.inf) -> float:
        """Share of faces whose score never falls by more than `slack` from one strength to the next in low..high."""
        inside = (self.strengths >= low) & (self.strengths <= high)
        return float((np.diff(self.scores[:, inside, score], axis=1) >= -slack).all(axis=1).mean())

    def widest(self, score: int, slack: float, share: float = 0.95) -> tuple[float, float] | None:
        """The widest range around 0 in which `share` of the faces rise; the one with the larger end of equal ones."""
        lows, highs = (self.strengths[side * self.strengths > 0] for side in (-1, 1))
        ranges = [(float(a), float(b)) for a in lows for b in highs if self.monotone(score, slack, a, b) >= share]
        return max(ranges, key=lambda ends: (ends[1] - ends[0], ends[1]), default=None)
