"""Takes single files out of a zip or tar archive, each checked by size and sha256, and never runs or follows anything.

What is written, and where, is decided by the caller's list alone: names inside the archive are only compared, so that
`../` names, links and devices in it have no effect.
"""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import DigestError, WeightsError
from .entries import Member

CHUNK = 1 << 20


def unpack(archive: Path, members: Iterable[Member], folder: Path, label: str) -> dict[str, Path]:
    """Writes the members into `folder` under numbered names; `label` is what errors call the archive.

    Returns the place of each by its path in the archive. Raises WeightsError if the archive cannot be read or has
    no such regular file, and DigestError if a member is not the promised one.
    """
    wanted = {member.path: member for member in members}
    places: dict[str, Path] = {}
    try:
        for path, stream in _files(archive, set(wanted), label):
            places[path] = folder / str(len(places))
            _copy_checked(stream, wanted[path], places[path], label)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError) as error:
        raise WeightsError(f"{label} cannot be read as an archive: {error}") from error
    missing = sorted(set(wanted) - set(places))
    if missing:
        raise WeightsError(f"{label} has no file {', '.join(missing)}")
    return places


def _files(archive: Path, wanted: set[str], label: str) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for name in sorted(wanted & set(packed.namelist())):
                with packed.open(name) as stream:
                    yield name, stream
        return
    left = set(wanted)
    with tarfile.open(archive, "r:*") as tar:
        for info in tar:
            if info.name not in left:
                continue
            stream_or_none = tar.extractfile(info) if info.isreg() else None
            if stream_or_none is None:
                raise WeightsError(f"{info.name} of {label} is not a regular file")
            left.remove(info.name)
            yield info.name, stream_or_none
            if not left:
                return


def _copy_checked(stream: IO[bytes], member: Member, target: Path, label: str) -> None:
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as out:
        while chunk := stream.read(CHUNK):
            done += len(chunk)
            if done > member.bytes:
                break
            out.write(chunk)
            digest.update(chunk)
    if done != member.bytes or digest.hexdigest() != member.sha256:
        raise DigestError(
            f"{member.path} of {label} is not the promised file: expected {member.bytes} bytes with sha256 "
            f"{member.sha256}, got {'more' if done > member.bytes else f'{done} bytes with {digest.hexdigest()}'}. "
            "Nothing of it was used"
        )


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file that is itself a weight file. Raises WeightsError if it is none."""
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed
    except zipfile.BadZipFile as error:
        raise WeightsError(f"{path.name} is not a zip file: {error}") from error
