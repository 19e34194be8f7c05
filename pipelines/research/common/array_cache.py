"""Arrays of long work, cached in a folder file by file, so that the same command goes on where it was stopped.

They are files of their own, not values of `common.cache`: they are large enough to be mapped instead of read, and a
user may copy or remove them.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ....models.arrays import AnyArray
from ....stream.atomic import AtomicFile
from ....stream.errors import SinkError
from ...common.errors import TrainingError

Arrays = Mapping[str, AnyArray]


def cached(path: Path | None, compute: Callable[[], Arrays]) -> dict[str, AnyArray]:
    """What the npz file holds; what `compute` gives where there is none yet, which is then written there.

    path: its folder is made where it is missing; None caches nothing. The file appears whole or not at all.
    Raises TrainingError where the file is damaged or cannot be written.
    """
    if path is not None and path.exists():
        return read(path)
    arrays = dict(compute())
    if path is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)  # into memory: a full disk then is an OSError
        _write(path, lambda file: file.write(buffer.getbuffer()))
    return arrays


def cached_map(path: Path, compute: Callable[[], AnyArray]) -> AnyArray:
    """One large array in an npy file, mapped into memory and not read at once; else as `cached`."""
    if not path.exists():
        array = compute()
        _write(path, lambda file: np.save(file, array, allow_pickle=False))
    try:
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read(path: Path) -> dict[str, AnyArray]:
    """The arrays of an npz file. Raises TrainingError where it is none."""
    try:
        with path.open("rb") as file, np.load(file) as data:
            return {name: data[name] for name in data.files}
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def digest(*parts: AnyArray | str) -> str:
    """Twelve letters that name what a result was computed from."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()[:12]


def _write(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Whole or not at all. Raises TrainingError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = AtomicFile(path, overwrite=True)
        try:
            with target.path.open("wb") as file:
                save(file)
            target.commit()
        finally:
            target.discard()
    except (OSError, SinkError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"cannot write {path}: {reason}; what was cached before is there still") from error


def _unreadable(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"{path} cannot be read ({error}); remove it, or name another folder")
