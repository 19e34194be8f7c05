"""Which faces an inversion is scored on: files and folders of pictures and clips, cut into aligned faces."""

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ....stream.frame import Pixels
from ...common.clips import VIDEO_SUFFIXES
from ...common.errors import PipelineError
from ..training.crops import PICTURES, aligned_faces, data_files

if TYPE_CHECKING:
    from ....models.faces.faces import FaceBackend


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """Faces that belong together in a table.

    Attributes:
        name: as the table calls them.
        faces: (N, 256, 256, 3) uint8, aligned.
        files: the name of each face's file.
    """

    name: str
    faces: Pixels
    files: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.faces) or len(self.faces) != len(self.files):
            raise ValueError(f"expected one file for each face, got {len(self.faces)} faces, {len(self.files)} files")

    def of_file(self) -> Iterator[npt.NDArray[np.int64]]:
        """The places of each file's faces, in order."""
        names = np.array(self.files)
        for name in dict.fromkeys(self.files):
            yield np.flatnonzero(names == name)

    def spread(self, count: int) -> npt.NDArray[np.int64]:
        """`count` places, or all, evenly spread over the set."""
        count = min(count, len(self.faces))
        return np.linspace(0, len(self.faces) - 1, count).round().astype(np.int64)


def files_of(path: Path, include: Sequence[str], exclude: Sequence[str]) -> list[Path]:
    """The pictures and clips of a file or folder, sorted: those that match a pattern of `include`, if there is any, and
    none of `exclude`. PipelineError where none is left."""
    if path.is_file():
        if path.suffix.lower() not in PICTURES | VIDEO_SUFFIXES:
            raise PipelineError(
                f"{path} is no picture or clip; expected one of {', '.join(sorted(PICTURES | VIDEO_SUFFIXES))}"
            )
        return [path]
    found = data_files([path], exclude)
    chosen = [file for file in found if not include or any(fnmatch.fnmatch(file.name, pattern) for pattern in include)]
    if not chosen:
        said = f" that match {' or '.join(include)}" if include else ""
        raise PipelineError(f"found no pictures or clips{said} in {path}; mend --data, --include or --exclude")
    return chosen


def cut_faces(
    name: str,
    files: Sequence[Path],
    backend: "FaceBackend",
    *,
    every: int,
    skipped: Callable[[Path, str], None] = lambda _path, _why: None,
    progress: Callable[[int], None] = lambda _files: None,
) -> FaceSet:
    """The largest face of each picture, and of every `every`-th frame of each clip.

    skipped: is told of files without a face. PipelineError where no file has one.
    """
    faces: list[Pixels] = []
    names: list[str] = []
    for done, file in enumerate(files, 1):
        for face in aligned_faces([file], backend, every=every, skipped=skipped):
            faces.append(face)
            names.append(file.name)
        progress(done)
    if not faces:
        raise PipelineError(f"found no face in {len(files)} files of {name}; name other ones with --data")
    return FaceSet(name, np.stack(faces), tuple(names))
