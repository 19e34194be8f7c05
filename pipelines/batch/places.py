"""Where sources and results lie: local paths, and addresses that fsspec opens (s3://, gs://, http://)."""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ...stream.atomic import NO_SPACE
from ...stream.errors import SinkError, SourceError
from ..common.errors import BatchError

SCRATCH: Final = ".dynstream-batch"
"""Folder beside a result in which it is made, before it gets its name."""


def is_url(place: str) -> bool:
    """Whether a place is an address, not a local path."""
    return "://" in place


def open_store(place: str) -> tuple[Any, str]:
    """(file system of fsspec, path in it). Raises BatchError for a store that cannot be opened here."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(place)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise BatchError(f"{place} cannot be opened: {error}") from error


def identity(place: str) -> str | None:
    """What tells one content of a place from another without reading it; None where there is nothing."""
    if not is_url(place):
        try:
            status = os.stat(place)
        except FileNotFoundError:
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"
    store, path = open_store(place)
    try:
        return str(store.ukey(path))
    except FileNotFoundError:
        return None
    except NotImplementedError:
        return str(store.size(path)) if store.exists(path) else None


def absolute(place: str) -> str:
    """The place with its folders resolved, so that two names of one file are equal; a URL as it is."""
    if is_url(place):
        return place
    folder, name = os.path.split(os.path.abspath(place))
    return os.path.join(os.path.realpath(folder), name)


def beside(place: str, name: str) -> str:
    """A place in the scratch folder of a result, on the same disk or store."""
    if is_url(place):
        return f"{place.rpartition('/')[0]}/{SCRATCH}/{name}"
    return os.path.join(os.path.dirname(place), SCRATCH, name)


def name_of(place: str) -> str:
    """The file name of a place."""
    return PurePosixPath(place.partition("?")[0]).name if is_url(place) else os.path.basename(place)


def make_folder(place: str) -> None:
    """The folder that a result lies in, made where it is missing and tried. Raises SinkError."""
    if is_url(place):
        return
    folder = Path(place).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".dynstream-{secrets.token_hex(6)}"
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise SinkError(
            f"cannot write results in {folder}: {error.strerror}; choose a folder that you may write to, with space"
        ) from error


def _scratch_root(place: str) -> Path:
    return Path(tempfile.gettempdir(), SCRATCH) if is_url(place) else Path(beside(place, ""))


@contextmanager
def scratch(place: str, key: str) -> Iterator[Path]:
    """A new local folder for the work on one result: on its own disk, or in the system's for a URL."""
    root = _scratch_root(place)
    folder = root / f"{key}.{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SinkError(f"cannot write in {root}: {error.strerror}; free space there") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            root.rmdir()


def clear_scratch(place: str, key: str) -> None:
    """Remove what killed workers left of the work on one result; its finished pieces stay."""
    root = _scratch_root(place)
    for folder in root.glob(f"{key}.*"):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        root.rmdir()


@contextmanager
def fetched(place: str, folder: Path) -> Iterator[Path]:
    """The local file of a place: itself, or a copy in `folder`. Raises SourceError.

    Raises SourceError at the end, too, if the content changed while it was in use.
    """
    before = identity(place)
    if before is None:
        raise SourceError(f"input {place} does not exist")
    local = Path(place)
    if is_url(place):
        store, path = open_store(place)
        local = folder / f"source-{secrets.token_hex(4)}" / name_of(place)
        try:
            local.parent.mkdir()
            store.get_file(path, str(local))
        except OSError as error:
            if error.errno in NO_SPACE:
                raise
            raise SourceError(f"input {place} cannot be fetched: {error}") from error
    yield local
    if identity(place) != before:
        raise SourceError(
            f"input {place} changed while it was read; nothing was written: run it again when it is whole"
        )


def put(local: Path, place: str, *, expected: str | None) -> None:
    """Give a finished local file its place, by a rename, or by upload and rename.

    expected: the identity that the place must still have, None for nothing there. Raises SinkError.
    """
    if identity(place) != expected:
        raise SinkError(f"output {place} appeared or changed while it was made; it was left as it is")
    try:
        if not is_url(place):
            os.replace(local, place)
            return
        store, path = open_store(place)
        part = f"{path}.{secrets.token_hex(6)}.part"
        try:
            store.put_file(str(local), part)
            store.mv(part, path)
        except BaseException:
            with contextlib.suppress(Exception):
                store.rm(part)
            raise
    except OSError as error:
        raise SinkError(f"output {place} cannot be written: {error.strerror or error}") from error


def remove(place: str) -> None:
    """Remove a file that is no longer needed; nothing happens where there is none."""
    with contextlib.suppress(OSError):
        if is_url(place):
            store, path = open_store(place)
            store.rm(path)
        else:
            os.unlink(place)
            os.rmdir(os.path.dirname(place))
