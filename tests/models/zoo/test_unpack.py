"""Members of archives are checked, and an archive cannot write anywhere but where it is told."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from dynstream.models.errors import DigestError, WeightsError
from dynstream.models.zoo.entries import Member
from dynstream.models.zoo.unpack import unpack

CONTENT = b"weights" * 100


def member(path: str, content: bytes = CONTENT) -> Member:
    return Member(path, "a", len(content), hashlib.sha256(content).hexdigest())


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                packed.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MAKERS = {"zip": make_zip, "tar": make_tar}


@pytest.mark.parametrize("kind", MAKERS)
def test_only_the_wanted_members_are_written(tmp_path: Path, kind: str) -> None:
    packed = MAKERS[kind](tmp_path / "packed", {"p/setup.py": b"exit(1)", "p/a": CONTENT, "p/b": b"other", "p/c": b"c"})
    out = tmp_path / "out"
    out.mkdir()
    places = unpack(packed, [member("p/a"), member("p/c", b"c")], out, "packed")
    assert {path: place.read_bytes() for path, place in places.items()} == {"p/a": CONTENT, "p/c": b"c"}
    assert sorted(out.iterdir()) == sorted(places.values())


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("content", [CONTENT[:-1] + b"X", CONTENT[:-1], CONTENT + b"X", b"", bytes(10_000_000)])
def test_another_file_under_the_name_is_refused(tmp_path: Path, kind: str, content: bytes) -> None:
    packed = MAKERS[kind](tmp_path / "packed", {"p/a": content})
    with pytest.raises(DigestError, match="p/a of the archive is not the promised file: expected 700 bytes"):
        unpack(packed, [member("p/a")], tmp_path, "the archive")
    written = [path for path in tmp_path.iterdir() if path != packed]
    assert all(path.stat().st_size <= len(CONTENT) for path in written)  # a bomb is not unpacked first


@pytest.mark.parametrize("kind", MAKERS)
def test_a_missing_member_is_named(tmp_path: Path, kind: str) -> None:
    packed = MAKERS[kind](tmp_path / "packed", {"p/a": CONTENT})
    with pytest.raises(WeightsError, match="the archive has no file p/b"):
        unpack(packed, [member("p/a"), member("p/b")], tmp_path, "the archive")


@pytest.mark.parametrize("kind", MAKERS)
def test_traversal_and_absolute_names_write_nothing(tmp_path: Path, kind: str) -> None:
    absolute = tmp_path / "absolute"
    files = {"../evil": b"x", "p/../../evil": b"x", str(absolute): b"x", "p/a": CONTENT}
    packed = MAKERS[kind](tmp_path / "packed", files)
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    unpack(packed, [member("p/a"), member("../evil", b"x")], out, "packed")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"packed", "0", "1"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    packed = make_tar(tmp_path / "packed", {"p/a": link("p/a", kind, str(secret))})
    with pytest.raises(WeightsError, match="p/a of packed is not a regular file"):
        unpack(packed, [member("p/a")], tmp_path, "packed")


@pytest.mark.parametrize("kind", MAKERS)
def test_a_damaged_archive_is_refused(tmp_path: Path, kind: str) -> None:
    packed = MAKERS[kind](tmp_path / "packed", {"p/a": CONTENT, "p/b": bytes(range(256)) * 40})
    content = packed.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"packed cannot be read as an archive|has no file"):
        unpack(packed, [member("p/a"), member("p/b", bytes(range(256)) * 40)], tmp_path, "packed")
