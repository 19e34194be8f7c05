"""Measure directions on faces that they were not found on: `dynstream directions measure`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....models.arrays import Float64Array
from ....models.directions.directions import Direction
from ....models.directions.latent_transformer import SUFFIX, NonlinearDirection
from ....models.generator.generator import Generator
from ....models.metrics.arcface import load_arcface
from ....stream.frame import Pixels
from ...common.errors import TrainingError
from ...common.tensors import to_tensor
from ..common.array_cache import cached, digest
from .effects import EditEffects, unseen_codes
from .face_scores import NAMES, SPREADS
from .find import RECIPES
from .labels import Scorer, draw

if TYPE_CHECKING:
    from ....models.encoders.encoder import Encoder
    from ....models.zoo.zoo import Zoo

STRENGTHS: Final = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
USEFUL: Final = 2.0
"""The strength at which an edit is plain to see, and at which others and the identity are judged."""
NARROWEST: Final = (-1.0, 1.0)
SLACK: Final = 0.02
"""Of a standard deviation: a score that falls by less between two strengths still counts as rising."""


class Mover(Protocol):
    """An edit: where a code goes at a strength."""

    @property
    def name(self) -> str:
        """What `--edit` calls it."""
        ...

    def step(self, w_plus: Tensor, strength: float) -> Tensor:
        """w_plus: (B, codes, 512) -> what is added to it, of the same shape or one that broadcasts to it."""
        ...


Identity = Callable[[Pixels], Float64Array]
"""(256, 256, 3) face -> (D,) embedding of unit length."""


def measure(
    edit: Mover,
    generator: Generator,
    scorer: Scorer,
    identity: Identity | None,
    codes: Tensor,
    *,
    strengths: Sequence[float] = STRENGTHS,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda _faces: None,
) -> EditEffects:
    """Scores and identity of faces (N, codes, 512) at each strength and at 0; a face lost at any of them is left out.

    folder: keeps each face's part, and what it holds is not drawn again. Raises TrainingError where no face is left.
    """
    if 0.0 in strengths:
        raise ValueError("strength 0 is measured in any case; leave it out")
    ordered = tuple(sorted((*strengths, 0.0)))
    rows = []
    for number, w_plus in enumerate(codes.split(1)):
        look = partial(_look, generator, scorer, identity)
        base = cached(_path(folder, "face", digest(w_plus.cpu().numpy())), partial(look, w_plus))
        steps = {strength: edit.step(w_plus, strength) for strength in strengths}
        parts = {}
        for strength, step in steps.items():
            moved = w_plus + step
            path = _path(folder, edit.name, digest(moved.cpu().numpy()))
            parts[strength] = cached(path, partial(look, moved))
        parts[0.0] = base
        rows.append([parts[strength] for strength in ordered])
        progress(number + 1)
    found = [row for row in rows if not any(np.isnan(part["scores"]).any() for part in row)]
    if not found:
        raise TrainingError(f"{edit.name}: no face was found at every strength; it leaves the faces")
    scores = np.stack([np.stack([part["scores"] for part in row]) for row in found])
    who = np.stack([np.stack([part["who"] for part in row]) for row in found])
    same = np.einsum("fsd,fd->fs", who, who[:, ordered.index(0.0)])
    if identity is None:
        same = np.full(scores.shape[:2], np.nan)
    return EditEffects(np.array(ordered), scores, same)


def _path(folder: Path | None, name: str, key: str) -> Path | None:
    return folder / f"{name.replace('@', '-')}-{key}.npz" if folder else None


def _look(generator: Generator, scorer: Scorer, identity: Identity | None, w_plus: Tensor) -> dict[str, Float64Array]:
    face = draw(generator, w_plus)
    scores = scorer(face)
    if scores is None:
        scores = np.full(len(NAMES), np.nan)
    return {"scores": scores, "who": np.zeros(0) if identity is None else np.asarray(identity(face), dtype=np.float64)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was measured about one edit.

    Attributes:
        slope: change of its own score per unit.
        range: strengths between which the score rises for 95 % of the faces, None where there is no such range.
        monotone: share of faces whose score rises over that range, or from -1 to 1 where there is none.
        leak: summed movement of the other scores over its own at the useful strength, each in its own standard
            deviations.
        same: mean ArcFace cosine there.
        moved: change of each score there, in standard deviations.
        faces: how many.
    """

    name: str
    score: str
    slope: float
    range: tuple[float, float] | None
    monotone: float
    leak: float
    same: float
    moved: Mapping[str, float]
    faces: int


def summarize(
    name: str, score: str, measured: EditEffects, spread: Float64Array, *, sign: int = 1, kin: Sequence[str] = ()
) -> Verdict:
    """Sum up a measurement. spread: (scores,) standard deviations over faces. sign: -1 for an edit that lowers."""
    own = NAMES.index(score)
    signed = EditEffects(measured.strengths, measured.scores * sign, measured.same)
    slack = SLACK * spread[own]
    ends = signed.widest(own, slack)
    low, high = ends or NARROWEST
    at = list(measured.strengths).index(USEFUL)
    return Verdict(
        name=name,
        score=score,
        slope=float(measured.slopes()[own]),
        range=ends,
        monotone=signed.monotone(own, slack, low, high),
        leak=signed.leak(own, spread, USEFUL, [NAMES.index(name) for name in kin]),
        same=float(measured.same[:, at].mean()),
        moved=dict(zip(NAMES, (measured.moved(USEFUL) / spread).tolist(), strict=True)),
        faces=len(measured.scores),
    )


def measuring_codes(generator: Generator, faces: int) -> Tensor:
    """(faces, codes, 512) of faces that neither labels nor the choice of a candidate have seen."""
    return unseen_codes(generator, faces, first=2000)


def inverted_codes(encoder: "Encoder", faces: Sequence[Pixels] | npt.NDArray[np.uint8]) -> Tensor:
    """(N, codes, 512) of (N, 256, 256, 3) aligned faces, as the encoder sees them."""
    with torch.inference_mode():
        return torch.cat([encoder(to_tensor(face[None])) for face in faces])


def summarize_edit(edit: Direction | NonlinearDirection, measured: EditEffects) -> Verdict:
    """`summarize` by the recipe of that name; an edit without one is judged by the score that it moves most."""
    spread = np.array([SPREADS[name] for name in NAMES])
    wanted = RECIPES.get(edit.name.removesuffix(SUFFIX))
    if wanted is not None:
        return summarize(edit.name, wanted.score, measured, spread, sign=wanted.sign, kin=wanted.kin)
    moved = measured.moved(USEFUL) / spread
    most = int(np.abs(moved).argmax())
    return summarize(edit.name, NAMES[most], measured, spread, sign=1 if moved[most] > 0 else -1)


def as_measured(direction: Direction, measured: EditEffects) -> Direction:
    """The same direction, with the range and the effects that were measured; -1..1 where it rises over no range."""
    verdict = summarize_edit(direction, measured)
    low, high = verdict.range or NARROWEST
    slopes = dict(zip(NAMES, measured.slopes().tolist(), strict=True))
    effect = {score: slopes[score] for score in (verdict.score, *NAMES)}
    return replace(direction, low=low, high=high, effect=effect)


def load_identity(zoo: "Zoo") -> Identity:
    """ArcFace as `measure` takes it."""
    network = load_arcface(zoo)

    def embed(face: Pixels) -> Float64Array:
        with torch.inference_mode():
            return np.asarray(network.embed_ffhq(to_tensor(face[None]))[0].double().numpy())

    return embed
