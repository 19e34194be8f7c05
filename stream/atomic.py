"""Atomic files: a result gets its name only when it is complete."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from .errors import SinkError

NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})


def check_target(target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raise SinkError if a result could not be written there, before any work is done for it."""
    AtomicFile(target, overwrite=overwrite).discard()


class AtomicFile:
    """A temporary file beside its target: `commit` renames it, `discard` removes it.

    target: path of the result; its folder must exist. A symbolic link is followed.
    overwrite: whether a file of that name may be replaced.

    `path` is the temporary file; it keeps the suffix of the target, from which libraries guess the format.
    Creating one checks the target and makes the empty temporary file, so that a folder that cannot be
    written is found before any work is done. Raises SinkError.
    """

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.target = Path(os.path.realpath(target))
        self.overwrite = overwrite
        self._check_target()
        # A name of its own, not the target's with a suffix: a target may already have the longest name allowed.
        self.path = self.target.parent / f".dynstream-{secrets.token_hex(6)}{self.target.suffix}"
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            raise SinkError(
                f"cannot write in {self.target.parent}: {error.strerror}; "
                "choose a folder that you may write to and that has space"
            ) from error

    def _check_target(self) -> None:
        if not self.target.parent.is_dir():
            raise SinkError(
                f"output folder {self.target.parent} does not exist; make it first: mkdir -p '{self.target.parent}'"
            )
        if self.target.is_dir():
            raise SinkError(f"output {self.target} is a folder, expected a file name; add one, such as out.mp4")
        if self.target.exists() and not self.target.is_file():
            raise SinkError(f"output {self.target} is not a regular file; choose a file name, such as out.mp4")
        if self.target.exists() and not self.overwrite:
            raise SinkError(f"output {self.target} exists; choose another name or pass --overwrite to replace it")

    def commit(self) -> None:
        """Rename the temporary file to the target. Raises SinkError if the target appeared meanwhile."""
        self._check_target()
        try:
            # On the disk before it has the name: after a power cut the name must not point at nothing.
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self.path, self.target)
        except OSError as error:
            raise SinkError(f"cannot finish {self.target}: {error.strerror}; nothing was left there") from error

    def discard(self) -> None:
        """Remove the temporary file; nothing happens where it was renamed or removed already."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def write_whole(target: str | os.PathLike[str], data: bytes | memoryview, *, overwrite: bool = True) -> None:
    """Write a small file atomically. Raises SinkError."""
    file = AtomicFile(target, overwrite=overwrite)
    try:
        file.path.write_bytes(data)
        file.commit()
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror}; free space and run the same command") from error
    finally:
        file.discard()
