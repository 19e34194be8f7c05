"""Scores of an encoder on people it was not trained on: pictures, identity, and how much of their motion is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ....models.arrays import Float64Array
from ....models.faces.blendshapes import INDEX
from ....models.faces.faces import FaceBackend
from ....models.faces.mesh_graph import MeshGraph
from ....models.generator.generator import Generator
from ....models.metrics.arcface import ArcFace
from ....models.metrics.lpips import LPIPS
from ....stream.frame import Pixels
from ...common.annotate import encode_png
from ...common.clips import VIDEO_SUFFIXES
from ..common.array_cache import cached_map
from .crops import aligned_faces, data_files
from .encoder import from_bytes, inversion_sheet, score_inversion
from .varied import faces_and_shapes

MOTIONS: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    "jaw": (("jawOpen", 1.0),),
    "blink": (("eyeBlinkLeft", 0.5), ("eyeBlinkRight", 0.5)),
    "gaze": (("eyeLookOutLeft", 0.5), ("eyeLookInRight", 0.5), ("eyeLookInLeft", -0.5), ("eyeLookOutRight", -0.5)),
    "smile": (("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.5)),
    "brows": (("browInnerUp", 0.5), ("browOuterUpLeft", 0.25), ("browOuterUpRight", 0.25)),
}
"""What is measured of a face's motion: sums of blendshapes. Gaze is towards the person's left."""
LEAST_MOTION: Final = 0.02
"""Standard deviation below which a source does not move: its slope would be noise over noise."""
BATCH: Final = 8
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Faces that the training has not seen.

    Attributes:
        name: of the clip's file without its suffix; "pictures" for all pictures.
        faces: (N, 3, 256, 256) uint8.
        moving: whether they are of one clip.
    """

    name: str
    faces: Tensor
    moving: bool


def read_held_out(
    folders: Sequence[Path],
    exclude: Sequence[str],
    backend: FaceBackend,
    run: Path,
    *,
    frames: int = 30,
    pictures: int = 40,
) -> list[HeldOut]:
    """`frames` frames of each clip and `pictures` of the pictures whose name matches `exclude`, evenly spread.

    Cached in `run`, so that a training that goes on begins at once.
    """
    trained = set(data_files(folders, exclude))
    files = [path for path in data_files(folders) if path not in trained]
    clips = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    stills = [path for path in files if path.suffix.lower() not in VIDEO_SUFFIXES]
    jobs: list[tuple[str, bool, Callable[[], Sequence[Pixels]]]] = [
        (path.stem, True, partial(_frames, path, backend, frames)) for path in clips
    ]
    jobs.append(("pictures", False, lambda: list(aligned_faces(_spread(stills, pictures), backend))))
    found = []
    for name, moving, read in jobs:
        faces = np.array(cached_map(run / f"held-out-{name}.npy", partial(_stacked, read)))
        found.append(HeldOut(name, torch.from_numpy(faces).permute(0, 3, 1, 2), moving))
    return [one for one in found if len(one.faces)]


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """What a training calls at each evaluation: scores, and a picture of faces above their inversions in `run`."""

    generator: Generator
    lpips: LPIPS
    arcface: ArcFace
    mesh: MeshGraph
    sets: Sequence[HeldOut]
    run: Path
    columns: int = 8

    def __call__(self, encoder: nn.Module, step: int) -> dict[str, float]:
        """`score_held_out` of the sets."""
        if not self.sets:
            return {}
        shown = torch.cat([_spread_faces(one.faces, self.columns) for one in self.sets])
        sheet = inversion_sheet(encoder, self.generator, shown, self.columns)
        (self.run / f"faces-{step:06d}.png").write_bytes(encode_png(sheet))
        return score_held_out(encoder, self.generator, self.lpips, self.arcface, self.mesh, self.sets)


def score_held_out(
    encoder: nn.Module,
    generator: Generator,
    lpips: LPIPS,
    arcface: ArcFace,
    mesh: MeshGraph,
    sets: Sequence[HeldOut],
) -> dict[str, float]:
    """`score_inversion` of each set, and for clips the slope and the correlation of each of `MOTIONS`.

    A slope of 1: what is drawn moves as much as the source; 0: it does not move. Its name is set/measure.
    """
    scores: dict[str, float] = {}
    for one in sets:
        found = score_inversion(encoder, generator, lpips, arcface, one.faces)
        scores |= {f"{one.name}/{name}": value for name, value in found.items()}
        if one.moving:
            for name, (slope, correlation) in _motions(encoder, generator, mesh, one.faces).items():
                scores[f"{one.name}/{name}_slope"] = slope
                scores[f"{one.name}/{name}_corr"] = correlation
    return scores


def slope_and_correlation(source: Float64Array, drawn: Float64Array) -> tuple[float, float]:
    """Of `drawn` over `source`, (N,) each; zeros where the source does not move."""
    a, b = source - source.mean(), drawn - drawn.mean()
    if not source.std() > LEAST_MOTION:
        return 0.0, 0.0
    return float(a @ b / (a @ a)), float(a @ b / np.sqrt((a @ a) * max(b @ b, 1e-12)))


def _motions(
    encoder: nn.Module, generator: Generator, mesh: MeshGraph, faces: Tensor
) -> dict[str, tuple[float, float]]:
    source, drawn = [], []
    with torch.no_grad():
        for chunk in from_bytes(faces).to(generator.mean_w().device).split(BATCH):
            source.append(mesh(chunk).blendshapes)
            drawn.append(mesh(generator.synthesize(encoder(chunk), size=256)).blendshapes)
    before, after = (torch.cat(rows).double().cpu().numpy() for rows in (source, drawn))
    result = {}
    for name, terms in MOTIONS.items():
        weights = np.zeros(before.shape[1])
        for shape, weight in terms:
            weights[INDEX[shape]] = weight
        result[name] = slope_and_correlation(before @ weights, after @ weights)
    return result


def _frames(path: Path, backend: FaceBackend, count: int) -> list[Pixels]:
    return _spread(faces_and_shapes(path, backend)[0], count)


def _stacked(read: Callable[[], Sequence[Pixels]]) -> Pixels:
    faces = read()
    return np.stack(faces) if faces else np.zeros((0, 256, 256, 3), np.uint8)


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[index] for index in chosen.tolist()]


def _spread_faces(faces: Tensor, count: int) -> Tensor:
    return faces[_spread(range(len(faces)), count)]
