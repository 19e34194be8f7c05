"""Find edit directions: `dynstream directions find`.

After InterFaceGAN (Shen et al., arXiv 1907.10786), with regression in place of classification, and layers told apart:

1. Draw faces, score them (`labels`).
2. For each score, the mean change of the code W as this score rises and all others stay: one column of the regression
   of codes on scores. It follows the data, so a move along it stays among faces.
3. Cut each of these into blocks of layers, draw moved faces, and measure what each block does to every score.
4. An edit is the combination of blocks that moves its own score and leaves the others: least squares, with a penalty
   on its length. Which penalty, and which layers, is told by the faces that the combination was not fitted to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

from ....models.arrays import Float64Array
from ....models.directions.directions import Direction, unit
from ....models.generator.generator import Generator
from ...common.errors import TrainingError
from .effects import changes, unseen_codes
from .face_scores import NAMES
from .labels import Labelled, Scorer

BLOCKS: Final = ((0, 3), (3, 5), (5, 7), (7, 9), (9, 11), (11, 16))
"""Ranges of codes that are measured apart; codes 16 and 17 change nothing in MobileStyleGAN."""
LAYERS: Final = ((0, 6), (0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4), (2, 6), (3, 6))
"""Ranges of blocks that a combination is tried in."""
PENALTIES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""On the squared length of a combination, relative to the squared effect of the strongest block."""
PROBE: Final = 5.0
"""Length in W+ of the move, from back to forth, by which blocks are measured."""
FOLDS: Final = 6
LEAST_OWN: Final = 0.6
"""Of the strongest combination's effect per length: a weaker one takes moves so long that they leave the faces."""


@dataclass(frozen=True)
class DirectionRecipe:
    """One direction to find.

    Attributes:
        name: of the edit.
        score: of `face_scores.NAMES`.
        sign: -1 where the edit lowers it.
        step: change of the score that a strength of 1 should make.
        about: one line for people.
        kin: scores that are free to move along.
    """

    name: str
    score: str
    step: float
    about: str
    sign: int = 1
    kin: tuple[str, ...] = ()


RECIPES: Final[Mapping[str, DirectionRecipe]] = {
    recipe.name: recipe
    for recipe in (
        DirectionRecipe("smile", "smile", 0.28, "smile more, or less below zero"),
        DirectionRecipe("age", "age", 7.0, "look older, or younger below zero, by about four years"),
        DirectionRecipe("gender", "gender", 0.25, "look more like the faces labelled male, or female below zero"),
        DirectionRecipe(
            "yaw",
            "yaw",
            8.0,
            "turn the head towards the right of the picture, or the left below zero, by about 8 degrees",
        ),
        DirectionRecipe("pitch", "pitch", 5.0, "look up, or down below zero, by about 5 degrees"),
        DirectionRecipe("mouth-open", "mouth-open", 0.05, "open the mouth"),
        DirectionRecipe("eyes-closed", "eyes-closed", 0.1, "close the eyes, or widen them below zero"),
        DirectionRecipe("gaze", "gaze", 0.15, "turn the eyes towards the right of the picture, or the left below zero"),
        DirectionRecipe("brow", "brow", 0.15, "raise the brows, or lower them below zero"),
        DirectionRecipe("blond", "blond", 0.15, "blonder hair", kin=("black", "grey")),
        DirectionRecipe("black", "black", 0.2, "blacker hair", kin=("blond", "grey")),
        DirectionRecipe("grey", "grey", 0.08, "greyer hair", kin=("blond", "black")),
        DirectionRecipe("beard", "beard", 0.15, "more beard, or less below zero"),
        DirectionRecipe("glasses", "glasses", 0.15, "glasses, or none below zero"),
        DirectionRecipe("skin", "skin", 7.0, "lighter skin, or darker below zero"),
        DirectionRecipe("chubby", "width", 0.04, "a wider face, or a narrower one below zero"),
    )
}


def conditional(labelled: Labelled, ridge: float = 0.1) -> Float64Array:
    """(scores, 512): the mean change of a code as one score rises by a standard deviation and the others stay.

    Scores count by their rank, as a normal deviate: few faces are blond, and those few must not be outliers.
    ridge: on the correlations of the scores, of which some nearly determine others.
    """
    still = [name for name, value in zip(NAMES, labelled.spread, strict=False) if not value > 1e-9]
    if still:
        raise TrainingError(f"the same score for all faces ({', '.join(still)}); there is nothing to find")
    count = len(labelled.scores)
    scores = ndtri((rankdata(labelled.scores, axis=0) - 0.5) / count)
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    codes = labelled.codes - labelled.codes.mean(axis=0)
    correlation = scores.T @ scores / count
    return np.asarray(np.linalg.solve(correlation + ridge * np.eye(len(correlation)), scores.T @ codes / count))


def in_layers(direction: Float64Array, first: int, end: int, codes: int) -> Tensor:
    """(codes, 512) of length 1: the direction in codes first..end-1, zero elsewhere."""
    vector = torch.zeros(codes, 512)
    vector[first:end] = torch.from_numpy(direction).float()
    return unit(vector, "direction")


@dataclass(frozen=True, eq=False)
class Blocks:
    """What blocks of layers do. Block `len(BLOCKS) * score + layers` is of that score's direction in those layers.

    Attributes:
        vectors: (blocks, codes, 512) of length 1.
        effects: (faces, blocks, scores) per unit length, in standard deviations of the scores; NaN where a face was
            lost.
    """

    vectors: Tensor
    effects: Float64Array


def measure_blocks(
    labelled: Labelled,
    generator: Generator,
    scorer: Scorer,
    *,
    faces: int = 24,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda _faces: None,
) -> Blocks:
    """Each score's direction in each block of layers, and what it does to every score of some faces."""
    vectors = [in_layers(column, *layers, generator.codes) for column, layers in product(conditional(labelled), BLOCKS)]
    codes = unseen_codes(generator, faces)
    found = changes(generator, scorer, [PROBE * vector for vector in vectors], codes, folder, progress)
    return Blocks(torch.stack(vectors), found / PROBE / labelled.spread)


def combine(
    effects: Float64Array, own: int, penalty: float, *, layers: tuple[int, int], free: Sequence[int] = ()
) -> Float64Array:
    """(blocks,) weights of a combination that raises the score `own` and moves no other but the `free` ones.

    effects: (blocks, scores). layers: range of BLOCKS that it may use; the weights of the others are 0.
    """
    used = np.array([layers[0] <= block % len(BLOCKS) < layers[1] for block in range(len(effects))])
    held = [index for index in range(effects.shape[1]) if index not in free]
    seen = effects[np.ix_(used, np.array(held, dtype=np.intp))]
    strongest = np.abs(effects[used][:, own]).max()
    gram = seen @ seen.T + max(1e-9, penalty * strongest**2) * np.eye(len(seen))
    weights = np.zeros(len(effects))
    weights[used] = np.linalg.solve(gram, seen[:, held.index(own)])
    return weights


@dataclass(frozen=True)
class Tried:
    """A kind of combination and what it does to faces that it was not fitted to.

    Attributes:
        own: rise of its own score per unit length, in standard deviations.
        leak: summed movement of the others over it.
    """

    penalty: float
    layers: tuple[int, int]
    own: float
    leak: float


def try_kinds(blocks: Blocks, own: int, kin: Sequence[int] = (), sign: int = 1) -> list[Tried]:
    """The kinds of combination that move a score well, by what they do to held-out faces; the least leaking first."""
    faces = len(blocks.effects)
    folds = [[face for face in range(faces) if face % FOLDS == fold] for fold in range(min(FOLDS, faces))]
    others = [index for index in range(blocks.effects.shape[2]) if index != own and index not in kin]
    found = []
    for layers, penalty in product(LAYERS, PENALTIES):
        parts = []
        for fold in folds:
            rest = [face for face in range(faces) if face not in fold] or fold  # one face alone judges itself
            weights = sign * combine(_mean(blocks.effects[rest]), own, penalty, layers=layers, free=kin)
            length = float(torch.einsum("b,bcd->cd", torch.from_numpy(weights).float(), blocks.vectors).norm())
            parts.append(len(fold) * weights @ _mean(blocks.effects[fold]) / max(1e-9, length))
        moved = np.sum(parts, axis=0) / faces
        rise = float(sign * moved[own])
        if rise > 0:
            found.append(Tried(penalty, layers, rise, float(np.abs(moved[others]).sum() / rise)))
    least = LEAST_OWN * max((tried.own for tried in found), default=0.0)
    return sorted((tried for tried in found if tried.own >= least), key=lambda tried: tried.leak)


def find(
    wanted: DirectionRecipe, labelled: Labelled, blocks: Blocks, *, echo: Callable[[str], None] = lambda _text: None
) -> Direction:
    """The combination that moves the other scores least, scaled so that a strength of 1 moves its own by `step`.

    Its effects are predicted from the blocks; `measure` measures them. Raises TrainingError where nothing
    moves the score on faces that it was not fitted to.
    """
    own, kin = NAMES.index(wanted.score), [NAMES.index(name) for name in wanted.kin]
    kinds = try_kinds(blocks, own, kin, wanted.sign)
    if not kinds:
        raise TrainingError(f"no combination of layers moves the score of the direction {wanted.name!r}")
    best = kinds[0]
    effects = _mean(blocks.effects)
    weights = wanted.sign * combine(effects, own, best.penalty, layers=best.layers, free=kin)
    vector = torch.einsum("b,bcd->cd", torch.from_numpy(weights).float(), blocks.vectors)
    change = weights @ effects / float(vector.norm()) * labelled.spread
    scale = wanted.step / float(wanted.sign * change[own])
    first, last = BLOCKS[best.layers[0]][0], BLOCKS[best.layers[1] - 1][1] - 1
    echo(
        f"{wanted.name}: codes {first}-{last}, penalty {best.penalty:g}, length {scale:.2f} for a strength of 1; on "
        f"faces that it was not fitted to {best.own:.2f} SD per unit length, and the others move {best.leak:.2f} of it"
    )
    effect = dict(zip(NAMES, (change * scale).tolist(), strict=True))
    ordered = {score: effect[score] for score in (wanted.score, *NAMES)}
    return Direction(
        name=wanted.name, vector=unit(vector, wanted.name), scale=scale, about=wanted.about, effect=ordered
    )


def _mean(effects: Float64Array) -> Float64Array:
    """Over the faces that were not lost; 0 where all were."""
    seen = ~np.isnan(effects)
    total = np.where(seen, effects, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(1, seen.sum(axis=0)))
