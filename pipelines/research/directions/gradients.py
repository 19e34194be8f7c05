"""Directions from gradients: for scores that a picture gives with a derivative, such as the colour of lips.

A regression on labelled faces needs thousands of them; a derivative says for each face which way its code must go. The
regions are those of the face as it is drawn, so that a colour changes where it belongs; hair that grows or goes is read
from the head matte itself. A direction is the shortest step, in the codes' own spread, that raises its score by one
deviation and leaves the others where they are, in the mean over faces:

    d = S A' (A S A' + penalty)^-1 e,   A: mean gradients of all scores, S: covariance of W
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.arrays import AnyArray, Points
from ....models.directions.directions import Direction, unit
from ....models.directions.regions import Region
from ....models.faces.faces import Face, FaceBackend, locate_face
from ....models.faces.matte import CELLS, REGIONS, HeadMatte
from ....models.generator.generator import CODE_SIZE, Generator
from ...common.errors import TrainingError
from ...common.tensors import to_pixels
from ..common.array_cache import cached, digest
from .face_scores import CHEEKS, LIPS, region

MOUTH_INSIDE: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
IRISES: Final = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
LIDS: Final = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
BROWS: Final = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))
FOREHEAD: Final = (10, 338, 297, 332, 284, 300, 293, 334, 296, 336, 107, 66, 105, 63, 70, 54, 103, 67, 109)

SCORES: Final = (
    "hair-light", "hair-red", "hair-yellow", "lip-light", "lip-red", "iris-light", "iris-red", "iris-yellow",
    "lid-light", "skin-light", "skin-red", "skin-yellow", "back-light", "hair-top", "hair-forehead", "hair-below",
)  # fmt: skip
"""Colours are in CIELAB; lips, lids and irises beside the cheeks, in shares of the picture the amounts of hair."""


@dataclass(frozen=True)
class GradientRecipe:
    """One direction to find.

    Attributes:
        changes: what a strength of 1 does to scores, in their own units; those that are not named stay.
        free: scores that may do as they like.
        codes: first code that is moved, and the one after the last.
    """

    name: str
    about: str
    region: Region
    changes: Mapping[str, float]
    free: tuple[str, ...] = ()
    codes: tuple[int, int] = (0, 16)


HAIR: Final = ("hair-light", "hair-red", "hair-yellow")

RECIPES: Final = (
    GradientRecipe(
        "red", "redder hair, ginger", "hair", {"hair-red": 7.0, "hair-yellow": 7.0, "hair-light": 4.0}, codes=(5, 16)
    ),
    GradientRecipe(
        "brown", "browner hair", "hair", {"hair-red": 2.5, "hair-yellow": 5.0}, free=("hair-light",), codes=(5, 16)
    ),
    GradientRecipe("lips", "redder lips, lipstick", "face", {"lip-red": 6.0, "lip-light": -3.0}, codes=(5, 16)),
    GradientRecipe("makeup", "eye shadow and lipstick", "face", {"lid-light": -6.0, "lip-red": 4.0}, codes=(5, 16)),
    GradientRecipe("blue-eyes", "bluer eyes", "face", {"iris-yellow": -6.0, "iris-light": 5.0}, codes=(5, 16)),
    GradientRecipe(
        "green-eyes", "greener eyes", "face", {"iris-red": -4.0, "iris-yellow": 2.0, "iris-light": 5.0}, codes=(5, 16)
    ),
    GradientRecipe(
        "brown-eyes", "browner, darker eyes", "face", {"iris-yellow": 3.0, "iris-light": -5.0}, codes=(5, 16)
    ),
    GradientRecipe("bald", "less hair on the top of the head", "head", {"hair-top": -0.02},
                   free=(*HAIR, "hair-below", "hair-forehead", "skin-light"), codes=(0, 8)),
    GradientRecipe("fringe", "hair over the forehead", "head", {"hair-forehead": 0.008},
                   free=(*HAIR, "hair-below", "skin-light"), codes=(0, 8)),
    GradientRecipe("hair-length", "longer hair, or shorter below zero", "head", {"hair-below": 0.02},
                   free=(*HAIR, "hair-forehead", "hair-top", "back-light"), codes=(0, 8)),
)  # fmt: skip


class PictureScores:
    """Scores of a drawn face with a derivative, its regions held where they are."""

    def __init__(self, matte: HeadMatte, picture: Tensor, face: Face) -> None:
        """picture: (1, 3, 256, 256) in [-1, 1]. face: with the 478 points of the mesh."""
        self._matte = matte
        with torch.no_grad():
            shares = matte.regions(picture)
        hair, skin, back = (_large(shares[:, REGIONS.index(name)]) for name in ("hair", "skin", "background"))
        points = face.landmarks[:, :2].astype(np.float64)
        lips = _inside(points, LIPS) * (1 - _inside(points, MOUTH_INSIDE))
        cheeks = torch.maximum(_inside(points, CHEEKS[0]), _inside(points, CHEEKS[1])) * skin
        irises = torch.maximum(*(_iris(points, own, lids) for own, lids in zip(IRISES, LIDS, strict=True)))
        lids = torch.maximum(
            *(_inside(points, brow[1:4] + lid) for brow, lid in zip(BROWS, LIDS, strict=True))
        ) * (1 - torch.maximum(*(_eye(points, lid) for lid in LIDS)))  # fmt: skip
        self.masks = {"hair": hair, "lip": lips, "iris": irises, "lid": lids * skin, "skin": cheeks, "back": back}
        forehead = _inside(points, FOREHEAD)
        brow, chin = float(points[[70, 300], 1].mean()), float(points[152, 1])
        rows = (torch.arange(CELLS) + 0.5) * (256 / CELLS)
        self._places = {
            "hair-top": (rows < brow).float()[:, None].expand(CELLS, CELLS) * (1 - _small(forehead)),
            "hair-forehead": _small(forehead),
            "hair-below": (rows > chin - 0.25 * (chin - brow)).float()[:, None].expand(CELLS, CELLS),
        }

    def __call__(self, picture: Tensor) -> Tensor:
        """(1, 3, 256, 256) -> (len(SCORES),)."""
        lab = to_lab(picture)
        mean = {name: (lab * mask).sum((0, 2, 3)) / (mask.sum() + 1e-3) for name, mask in self.masks.items()}
        beside = {name: mean[name] - (mean["skin"] if name in ("lip", "lid") else 0) for name in mean}
        hair = self._matte(picture).softmax(1)[0, REGIONS.index("hair")]
        axes = {"light": 0, "red": 1, "yellow": 2}
        out = []
        for name in SCORES:
            part, _, axis = name.partition("-")
            if name in self._places:
                out.append((hair * self._places[name]).mean())
            else:
                out.append(beside[part][axes[axis]])
        return torch.stack(out)


def to_lab(picture: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in [-1, 1] -> CIELAB (D65), L* in 0..100."""
    rgb = ((picture.clamp(-1, 1) + 1) / 2).clamp_min(1e-4)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = linear.new_tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear) / linear.new_tensor([0.9505, 1.0, 1.089])[:, None, None]
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def face_gradients(
    generator: Generator, matte: HeadMatte, locate: Callable[[Tensor], Face | None], codes: Tensor
) -> tuple[Tensor, Tensor] | None:
    """(scores (S,), their gradients (S, codes, 512)) of a face (1, codes, 512); None where no face is found."""
    w_plus = codes.clone().requires_grad_(True)
    picture = generator.synthesize(w_plus, size=256)
    face = locate(picture.detach())
    if face is None:
        return None
    scores = PictureScores(matte, picture.detach(), face)(picture)
    (last, rows) = (len(SCORES) - 1, [])
    for index in range(len(SCORES)):
        (gradient,) = torch.autograd.grad(scores[index], w_plus, retain_graph=index < last)
        rows.append(gradient[0])
    return scores.detach(), torch.stack(rows)


def measure_gradients(
    generator: Generator,
    matte: HeadMatte,
    backend: FaceBackend,
    codes: Tensor,
    folder: Path | None,
    progress: Callable[[int], None] = lambda _faces: None,
) -> tuple[Tensor, Tensor]:
    """(scores (N, S), gradients (N, S, codes, 512)) of the faces (N, codes, 512) that are found; kept in `folder`.

    Raises TrainingError where fewer than two are found.
    """

    def locate(picture: Tensor) -> Face | None:
        face = locate_face(backend, to_pixels(picture[0]))
        return face if face is not None and face.presence >= 0.5 else None

    scores, gradients = [], []
    for number, code in enumerate(codes.split(1)):
        path = folder / f"gradients-{digest(code.numpy(), repr(SCORES))}.npz" if folder else None
        found = cached(path, partial(_arrays, generator, matte, locate, code))
        if len(found["scores"]):
            scores.append(torch.from_numpy(found["scores"]))
            gradients.append(torch.from_numpy(found["gradients"]))
        progress(number + 1)
    if len(scores) < 2:
        raise TrainingError(f"{len(scores)} of {len(codes)} drawn faces were found; name more with --faces")
    return torch.stack(scores), torch.stack(gradients)


def _arrays(
    generator: Generator, matte: HeadMatte, locate: Callable[[Tensor], Face | None], code: Tensor
) -> dict[str, AnyArray]:
    found = face_gradients(generator, matte, locate, code)
    empty = torch.zeros(0)
    scores, gradients = found if found is not None else (empty, empty)
    return {"scores": scores.numpy(), "gradients": gradients.numpy()}


def covariance(generator: Generator, samples: int = 4000, seed: int = 0) -> Tensor:
    """(512, 512) of W."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        w = generator.map(torch.randn(samples, CODE_SIZE, generator=random))
    found: Tensor = torch.cov(w.T)
    return found


def solve(
    recipe: GradientRecipe, gradients: Sequence[Tensor], spread: Tensor, cov: Tensor, penalty: float = 0.01
) -> Direction:
    """gradients: (S, codes, 512) of each face. spread: (S,) deviations of the scores over faces.

    Raises TrainingError for scores that there are none of, or none that moves.
    """
    unknown = set(recipe.changes) - set(SCORES)
    if unknown or not gradients:
        raise TrainingError(f"{recipe.name}: no gradients of {', '.join(sorted(unknown)) or 'any face'}")
    mean = torch.stack(list(gradients)).mean(0).double()
    first, end = recipe.codes
    used = [index for index, name in enumerate(SCORES) if name not in recipe.free]
    rows = mean[used, first:end] / spread[used].double()[:, None, None]
    wanted = torch.tensor([recipe.changes.get(SCORES[index], 0.0) for index in used]).double() / spread[used].double()
    carried = rows @ cov.double()
    gram = torch.einsum("acd,bcd->ab", rows, carried)
    strongest = gram.diagonal().max()
    weights = torch.linalg.solve(gram + penalty * strongest * torch.eye(len(used)).double(), wanted)
    vector = torch.zeros(mean.shape[1:])
    vector[first:end] = torch.einsum("a,acd->cd", weights, carried).float()
    effect = torch.einsum("scd,cd->s", mean, vector.double())
    ordered = {name: float(effect[SCORES.index(name)]) for name in (*recipe.changes, *SCORES)}
    return Direction(
        name=recipe.name, vector=unit(vector, recipe.name), scale=float(vector.norm()), about=recipe.about,
        effect=ordered, region=recipe.region,
    )  # fmt: skip


def _inside(points: Points, outline: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(region(points, outline)).float()[None, None]


def _eye(points: Points, lid: tuple[int, ...]) -> Tensor:
    lower = {33: (7, 163, 144, 145, 153, 154, 155), 362: (382, 381, 380, 374, 373, 390, 249)}[lid[0]]
    return _inside(points, lid + lower)


def _iris(points: Points, own: tuple[int, ...], lid: tuple[int, ...]) -> Tensor:
    """The coloured ring: within the iris' circle and the open eye, without the pupil."""
    x, y = points[own[0]]
    radius = float(np.linalg.norm(points[list(own[1:])] - points[own[0]], axis=1).mean())
    rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    away = ((columns - x) ** 2 + (rows - y) ** 2).sqrt()
    ring = ((away < 0.9 * radius) & (away > 0.35 * radius)).float()[None, None]
    seen: Tensor = ring * _eye(points, lid)
    return seen


def _large(share: Tensor) -> Tensor:
    large: Tensor = F.interpolate(share[:, None], (256, 256), mode="bilinear", align_corners=False)
    return large


def _small(mask: Tensor) -> Tensor:
    small: Tensor = F.adaptive_avg_pool2d(mask, CELLS)[0, 0]
    return small
