"""Find edit directions: `dynstream directions find`.

After InterFaceGAN (Shen et al., arXiv 1907.10786): draw faces from sampled codes, score each, put a linear boundary
between those that score high and low on an attribute; its normal is the direction. Then the directions of the other
attributes are projected out, the normal is kept in the layers where it works best, and the result is measured.
"""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from ..models.directions import Direction, unit
from ..models.generator import Generator
from ..stream.frame import Pixels
from .attributes import NAMES
from .errors import TrainingError
from .tensors import to_pixels
from .training.codes import sample_codes

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Pixels], Floats | None]

CHOOSING_LENGTH = 3.0  # of a move, in W, by which layers are compared
UNSEEN_SEED = 20_000_003  # of the faces that measure a direction; none of them was labelled


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One direction to find.

    name: of the edit and of the score. against: scores to hold still. layers: candidate ranges of codes.
    step: change of the own score that a strength of 1 should make. about: one line for people.
    """

    name: str
    against: tuple[str, ...]
    layers: tuple[tuple[int, int], ...]
    step: float
    about: str


ALL, COARSE = (0, 18), ((0, 4), (0, 6), (0, 8), (0, 18))
WANTED: Mapping[str, Wanted] = {
    wanted.name: wanted
    for wanted in (
        Wanted(
            name="smile",
            against=("age", "gender", "yaw", "pitch"),
            layers=((3, 6), (3, 8), (4, 8), (2, 8), ALL),
            step=0.2,
            about="smile more, or less below zero",
        ),
        Wanted(
            name="age",
            against=("smile", "gender", "yaw", "pitch", "mouth-open"),
            layers=((0, 8), (2, 10), (4, 10), (4, 12), ALL),
            step=7.0,
            about="look older, or younger below zero, by about seven years",
        ),
        Wanted(
            name="gender",
            against=("smile", "age", "yaw", "pitch"),
            layers=((0, 8), (2, 10), (3, 8), (4, 12), ALL),
            step=0.3,
            about="look more like the faces labelled male, or female below zero",
        ),
        Wanted(
            name="yaw",
            against=("smile", "age", "gender", "pitch"),
            layers=COARSE,
            step=8.0,
            about="turn the head towards the right of the picture, or the left below zero, by about 8 degrees",
        ),
        Wanted(
            name="pitch",
            against=("smile", "age", "gender", "yaw"),
            layers=COARSE,
            step=5.0,
            about="look up, or down below zero, by about 5 degrees",
        ),
        Wanted(
            name="mouth-open",
            against=("smile", "age", "gender", "yaw", "pitch"),
            layers=((3, 6), (3, 8), (4, 8), (2, 8), ALL),
            step=0.08,
            about="open the mouth",
        ),
        Wanted(
            name="eyes-closed",
            against=("smile", "age", "gender", "yaw", "pitch"),
            layers=((3, 6), (3, 8), (4, 8), (5, 9), ALL),
            step=0.1,
            about="close the eyes, or widen them below zero",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Labelled:
    """codes: (N, 512) of W. scores: (N, scores) in the order of `attributes.NAMES`."""

    codes: Floats
    scores: Floats


def label(
    generator: Generator,
    scorer: Scorer,
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _n: None,
) -> Labelled:
    """Draw `count` faces from W, truncated by 0.6 to 1, and score them; faces that are not found are left out."""
    codes, scores = [], []
    for number in range(count):
        random = torch.Generator().manual_seed(seed * 1_000_003 + number)
        w_plus = sample_codes(generator, 1, random, low=0.6, high=1.0, mix=0.0)
        found = scorer(draw(generator, w_plus))
        if found is not None:
            codes.append(w_plus[0, 0].double().numpy())
            scores.append(found)
        progress(number + 1)
    if len(codes) < 100:
        raise TrainingError(f"only {len(codes)} of {count} drawn faces were found; a boundary needs 100 or more")
    return Labelled(np.stack(codes), np.stack(scores))


def draw(generator: Generator, w_plus: Tensor) -> Pixels:
    """(1, codes, 512) -> (256, 256, 3) uint8."""
    with torch.inference_mode():
        return to_pixels(generator.synthesize(w_plus, size=256)[0])


def boundary(codes: Floats, score: Floats, *, share: float = 0.3) -> Floats:
    """(512,) unit normal of the boundary between the lowest and the highest `share` of a score."""
    low, high = np.quantile(score, [share, 1 - share])
    if not low < high:
        raise TrainingError("the score is the same for nearly all faces; there is nothing to find")
    chosen = (score <= low) | (score >= high)
    fit = LogisticRegression(C=0.01, max_iter=2000).fit(codes[chosen], score[chosen] >= high)
    normal = fit.coef_[0]
    return np.asarray(normal / np.linalg.norm(normal))


def without(direction: Floats, others: Sequence[Floats]) -> Floats:
    """The direction with its share in the others' span taken out, at length 1."""
    if others:
        basis, _ = np.linalg.qr(np.stack(others, axis=1))
        direction = direction - basis @ (basis.T @ direction)
    length = np.linalg.norm(direction)
    if not length > 1e-6:
        raise TrainingError("nothing of the direction is left when the others are taken out of it")
    return np.asarray(direction / length)


def in_layers(direction: Floats, first: int, end: int, codes: int) -> Tensor:
    """(codes, 512) of length 1: the direction in codes first..end-1, zero elsewhere."""
    vector = torch.zeros(codes, 512)
    vector[first:end] = torch.from_numpy(direction).float()
    return unit(vector, "direction")


@dataclass(frozen=True, eq=False)
class Measured:
    """strengths: (S,). scores: (faces, S, scores). monotone: share of faces whose own score rises all along."""

    strengths: Floats
    scores: Floats

    def slopes(self) -> Floats:
        """(scores,) change per unit of strength, least squares over the faces' means."""
        means = self.scores.mean(axis=0)
        centred = self.strengths - self.strengths.mean()
        return np.asarray(centred @ (means - means.mean(axis=0)) / np.square(centred).sum())

    def monotone(self, score: int, slack: float) -> float:
        """Share of faces whose score never falls by more than `slack` from one strength to the next."""
        return float((np.diff(self.scores[:, :, score], axis=1) >= -slack).all(axis=1).mean())


def measure(
    generator: Generator, scorer: Scorer, vector: Tensor, scale: float, strengths: Sequence[float], codes: Tensor
) -> Measured:
    """Scores of faces (N, codes, 512) moved along a direction; faces lost at any strength are left out."""
    rows = []
    for w_plus in codes.split(1):
        row = [scorer(draw(generator, w_plus + vector * (scale * strength))) for strength in strengths]
        if all(found is not None for found in row):
            rows.append(np.stack([found for found in row if found is not None]))
    if not rows:
        raise TrainingError("no face was found at every strength; the direction leaves the faces")
    return Measured(np.array(strengths, dtype=np.float64), np.stack(rows))


def find(
    wanted: Wanted,
    labelled: Labelled,
    generator: Generator,
    scorer: Scorer,
    *,
    faces: int = 46,
    choosing: int = 16,
    echo: Callable[[str], None] = print,
) -> Direction:
    """Fit, project, choose the layers and the scale, measure: a direction ready to be saved."""
    if not 0 < choosing < faces:
        raise ValueError(f"expected some of the {faces} faces for choosing and some for measuring, got {choosing}")
    own = NAMES.index(wanted.name)
    spread = labelled.scores.std(axis=0)
    others = [boundary(labelled.codes, labelled.scores[:, NAMES.index(name)]) for name in wanted.against]
    normal = without(boundary(labelled.codes, labelled.scores[:, own]), others)
    random = torch.Generator().manual_seed(UNSEEN_SEED)
    codes = sample_codes(generator, faces, random, low=0.6, high=0.9, mix=0.0)
    best: tuple[float, Tensor, float] | None = None
    for first, end in wanted.layers:
        vector = in_layers(normal, first, end, generator.codes)
        slopes = measure(generator, scorer, vector, 1.0, (-CHOOSING_LENGTH, CHOOSING_LENGTH), codes[:choosing]).slopes()
        relative = np.abs(slopes / spread)
        leak = (relative.sum() - relative[own]) / max(1e-9, relative[own])
        echo(
            f"{wanted.name}: codes {first}-{end - 1}: {slopes[own]:+.3g} per unit length, others move {leak:.2f} of it"
        )
        if slopes[own] > 0 and (best is None or leak < best[0]):
            best = (leak, vector, wanted.step / slopes[own])
    if best is None:
        raise TrainingError(f"no layers were found in which the direction {wanted.name!r} raises its own score")
    _, vector, scale = best
    strengths = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    final = measure(generator, scorer, vector, scale, strengths, codes[choosing:])
    slopes = final.slopes()
    echo(
        f"{wanted.name}: scale {scale:.2f}, own score {slopes[own]:+.3g} per unit, "
        f"monotone for {final.monotone(own, 0.02 * spread[own]):.0%} of faces"
    )
    effect = {name: float(slopes[NAMES.index(name)]) for name in (wanted.name, *NAMES) if name in NAMES}
    return Direction(
        name=wanted.name, vector=vector, scale=float(scale), low=-3.0, high=3.0, about=wanted.about, effect=effect
    )


def save_labels(path: Path, labelled: Labelled) -> None:
    """Keep labels for another fit, in NumPy's npz format; the file is whole or not there."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, codes=labelled.codes.astype(np.float32), scores=labelled.scores)
        os.replace(temporary, path)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error.strerror}; free space or name another file") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_labels(path: Path) -> Labelled:
    """Labels that `save_labels` kept. Raises TrainingError where the file holds none."""
    try:
        with path.open("rb") as file, np.load(file) as data:
            return Labelled(data["codes"].astype(np.float64), data["scores"])
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} holds no labels ({error}); remove it, or name another file") from error
