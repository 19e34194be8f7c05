"""Aligned faces out of folders of pictures and clips, for training and scoring."""

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ....models.faces.faces import FaceBackend, locate_face
from ....stream.errors import SourceError
from ....stream.frame import Pixels
from ....stream.reader import VideoReader
from ...common.clips import VIDEO_SUFFIXES
from ...common.errors import TrainingError
from ...tracking.align import alignment_points, crop, enlarge_quad, ffhq_quad
from ..common.array_cache import cached_map, digest

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
PRESENCE = 0.5


def data_files(folders: Sequence[Path], exclude: Sequence[str] = ()) -> list[Path]:
    """Pictures and clips below `folders`, sorted, without those whose name matches a pattern of `exclude`.

    Raises TrainingError where a folder is missing.
    """
    files: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise TrainingError(f"expected a folder of pictures or clips, got {folder}, which is none")
        files += sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES | VIDEO_SUFFIXES)
    return [path for path in files if not any(fnmatch.fnmatch(path.name, pattern) for pattern in exclude)]


def aligned_faces(
    files: Iterable[Path],
    backend: FaceBackend,
    *,
    every: int = 10,
    scale: float = 1.0,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
) -> Iterator[Pixels]:
    """(256, 256, 3) uint8 crops: the largest face of each picture and of every `every`-th frame of each clip.

    scale: side of the crop over that of FFHQ.
    `skipped` is told of a file that cannot be read or has no face; training goes on without it.
    """
    for path in files:
        found = False
        try:
            for pixels in _pictures(path, every):
                face = crop_largest(pixels, backend, scale)
                if face is not None:
                    found = True
                    yield face
        except SourceError as error:
            skipped(path, f"cannot be read: {error}")
        else:
            if not found:
                skipped(path, "has no face")


def crop_largest(pixels: Pixels, backend: FaceBackend, scale: float = 1.0) -> Pixels | None:
    """The aligned crop of the largest face of a picture, None where there is none. scale: as in `aligned_faces`."""
    face = locate_face(backend, pixels)
    if face is None or face.presence < PRESENCE:
        return None
    return crop(pixels, enlarge_quad(ffhq_quad(alignment_points(face)), scale))


def _pictures(path: Path, every: int) -> Iterator[Pixels]:
    if path.suffix.lower() in PICTURES:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SourceError(f"{path} is not a picture that OpenCV can open")
        yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            if number % every == 0:
                yield frame.pixels


def cached_faces(
    folder: Path,
    backend: FaceBackend,
    run: Path,
    *,
    exclude: Sequence[str] = (),
    every: int = 4,
    scale: float = 1.0,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
) -> npt.NDArray[np.uint8]:
    """`collect_faces` of one folder, cached in a file in `run`, so that a training that goes on begins at once."""
    collect = partial(collect_faces, [folder], backend, exclude=exclude, every=every, scale=scale, skipped=skipped)
    chosen = (str(folder.resolve()), sorted(exclude))
    name = digest(repr(chosen if scale == 1 else (*chosen, every, scale)))
    return np.array(cached_map(run / f"faces-{name}.npy", collect), dtype=np.uint8)


def collect_faces(
    folders: Sequence[Path],
    backend: FaceBackend,
    *,
    exclude: Sequence[str] = (),
    every: int = 10,
    scale: float = 1.0,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
) -> npt.NDArray[np.uint8]:
    """All aligned faces of the folders, (N, 256, 256, 3) uint8. Raises TrainingError where there are fewer than two."""
    faces = list(aligned_faces(data_files(folders, exclude), backend, every=every, scale=scale, skipped=skipped))
    if len(faces) < 2:
        names = ", ".join(str(folder) for folder in folders)
        raise TrainingError(f"found {len(faces)} faces in {names}; training needs two or more")
    return np.stack(faces)
