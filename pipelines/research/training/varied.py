"""Frames of clips that differ in expression: a clip of calm minutes would else drown its one laugh."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float32Array
from ....models.faces.blendshapes import NAMES
from ....models.faces.faces import FaceBackend, locate_face
from ....stream.errors import SourceError
from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ...tracking.align import alignment_points, crop, ffhq_quad
from ..common.array_cache import cached_map, digest
from .crops import PRESENCE
from .expression import shape_weights

MOST: Final = 300
NEAREST: Final = 0.03
"""Distance of two frames' weighted blendshapes below which the second says nothing new."""
EVERY: Final = 2


def choose_varied(shapes: Float32Array, most: int = MOST, nearest: float = NEAREST) -> list[int]:
    """Positions of frames that lie far from one another, by farthest points: first the extremes, then what is between.

    shapes: (N, 52) blendshapes. Ends at `most` frames, or where all others lie within `nearest` of one chosen.
    """
    if not len(shapes):
        return []
    places = shapes * np.sqrt(shape_weights().numpy())
    chosen = [int(np.argmax(np.linalg.norm(places - places.mean(0), axis=1)))]
    distance = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < most and distance.max() > nearest:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return chosen


def faces_and_shapes(path: Path, backend: FaceBackend, every: int = EVERY) -> tuple[list[Pixels], Float32Array]:
    """Aligned crops and blendshapes, (N, 52), of the largest face in every `every`-th frame. Raises SourceError."""
    faces, shapes = [], []
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            face = locate_face(backend, frame.pixels) if number % every == 0 else None
            if face is None or face.presence < PRESENCE or face.blendshapes is None:
                continue
            faces.append(crop(frame.pixels, ffhq_quad(alignment_points(face))))
            shapes.append(face.blendshapes)
    return faces, np.stack(shapes) if shapes else np.zeros((0, len(NAMES)), np.float32)


def varied_faces(
    files: Sequence[Path],
    backend: FaceBackend,
    run: Path,
    *,
    most: int = MOST,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
    progress: Callable[[str], None] = lambda _text: None,
) -> npt.NDArray[np.uint8]:
    """Frames of clips chosen by `choose_varied`, (N, 256, 256, 3) uint8; cached in `run`, a file for each clip."""
    found = [np.zeros((0, 256, 256, 3), np.uint8)]
    for path in files:
        name = digest(repr((str(path.resolve()), most, NEAREST, EVERY)))
        try:
            faces = cached_map(run / f"varied-{name}.npy", partial(_chosen_faces, path, backend, most))
        except SourceError as error:
            skipped(path, f"cannot be read: {error}")
            continue
        if not len(faces):
            skipped(path, "has no face")
            continue
        found.append(faces)
        progress(f"{len(faces)} varied faces in {path.name}")
    return np.concatenate(found)


def _chosen_faces(path: Path, backend: FaceBackend, most: int) -> npt.NDArray[np.uint8]:
    faces, shapes = faces_and_shapes(path, backend)
    chosen = sorted(choose_varied(shapes, most))
    return np.stack([faces[index] for index in chosen]) if chosen else np.zeros((0, 256, 256, 3), np.uint8)
