"""The real faces that an encoder is trained on: pictures, varied frames of clips, and morphs of both."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ....models.arrays import Float64Array, Points
from ....models.faces.faces import FaceBackend
from ...common.clips import VIDEO_SUFFIXES
from ...common.errors import TrainingError
from ..common.array_cache import cached_map, digest
from .crops import cached_faces, data_files
from .encoder import Faces
from .morph import Morphs, landmarks_of_crops
from .varied import varied_faces


def read_faces(
    folders: Sequence[Path],
    backend: FaceBackend,
    run: Path,
    *,
    exclude: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _text: None,
) -> list[Faces]:
    """One set for each folder, of its pictures and of frames that differ in expression, and one of morphs of all.

    exclude: patterns of file names. run: where crops are cached. Raises TrainingError for a folder without faces.
    """
    known = read_pictures(folders, backend, run, exclude=exclude, progress=progress)
    points = [found for faces in known for found in cached_landmarks(faces, backend, run)]
    sets: list[Faces] = [torch.from_numpy(faces).permute(0, 3, 1, 2) for faces in known]
    return [*sets, Morphs(np.concatenate(known), points)]


def read_pictures(
    folders: Sequence[Path],
    backend: FaceBackend,
    run: Path,
    *,
    exclude: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _text: None,
) -> list[npt.NDArray[np.uint8]]:
    """For each folder (N, 256, 256, 3): its pictures and frames that differ in expression. As `read_faces`."""

    def skipped(path: Path, why: str) -> None:
        progress(f"left out: {path} {why}")

    known: list[npt.NDArray[np.uint8]] = []
    for folder in folders:
        clips = [path for path in data_files([folder], exclude) if path.suffix.lower() in VIDEO_SUFFIXES]
        parts = []
        if clips:
            parts.append(varied_faces(clips, backend, run, skipped=skipped, progress=progress))
        if len(clips) < len(data_files([folder], exclude)):
            without = [*exclude, *(f"*{suffix}" for suffix in VIDEO_SUFFIXES)]
            parts.append(cached_faces(folder, backend, run, exclude=without, skipped=skipped))
        faces = np.concatenate(parts) if parts else np.zeros((0, 256, 256, 3), np.uint8)
        if len(faces) < 2:
            raise TrainingError(f"found {len(faces)} faces in {folder}; training needs two or more")
        progress(f"{len(faces)} faces in {folder}")
        known.append(faces)
    return known


def cached_landmarks(faces: npt.NDArray[np.uint8], backend: FaceBackend, run: Path) -> list[Points | None]:
    """`landmarks_of_crops`, cached in `run`; a face without any is cached as points that are not numbers."""

    def find() -> Float64Array:
        found = landmarks_of_crops(faces, backend)
        shape = next((points.shape for points in found if points is not None), (1, 2))
        return np.stack([np.full(shape, np.nan) if points is None else points for points in found])

    known = np.array(cached_map(run / f"landmarks-{digest(faces)}.npy", find))
    return [points if np.isfinite(points).all() else None for points in known]
