"""Results of long work, kept in a folder piece by piece, so that the same command goes on where it was stopped."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ....stream.atomic import write_whole
from ....stream.errors import SinkError
from ...common.errors import TrainingError

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def cached(path: Path | None, compute: Callable[[], Arrays]) -> dict[str, Array]:
    """What the file holds; what `compute` gives where there is none yet, which is then written there.

    path: of an npz file whose folder is made where it is missing; None keeps nothing. It appears whole or not at all.
    Raises TrainingError where the file is damaged or cannot be written.
    """
    if path is not None and path.exists():
        return read(path)
    arrays = dict(compute())
    if path is not None:
        write(path, arrays)
    return arrays


def read(path: Path) -> dict[str, Array]:
    """The arrays of an npz file. Raises TrainingError where it is none."""
    try:
        with path.open("rb") as file, np.load(file) as data:
            return {name: data[name] for name in data.files}
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} cannot be read ({error}); remove it, or name another folder") from error


def write(path: Path, arrays: Arrays) -> None:
    """Write an npz file whole or not at all. Raises TrainingError where there is no room or no right to."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))  # from memory: a full disk then is an OSError
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getbuffer())
    except (OSError, SinkError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"cannot keep {path}: {reason}; what was kept before is there still") from error


def digest(*parts: Array | str) -> str:
    """Twelve letters that name what a result was computed from."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()[:12]
