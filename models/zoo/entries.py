"""The content of `zoo.toml`: archives, their members, and the entries made of them, with checks."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

ZOO_TOML = Path(__file__).parents[1] / "zoo.toml"
UNKNOWN = "unknown"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a package index, as `project` at `version` published it; sha256 in lower-case hex, bytes above zero.

    Raises ValueError if these are not well formed, as all classes of this file do.
    """

    project: str
    version: str
    file: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _check_digest(self.file, self.sha256)
        _check_size(self.file, self.bytes)
        if not self.file.endswith((".whl", ".zip", ".tar.gz")):
            raise ValueError(f"archive {self.file!r} is neither a zip (.whl, .zip) nor a .tar.gz")


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside an archive.

    Attributes:
        path: exactly as the archive spells it; only compared, never used as a place to write to.
        name: what a converter calls it, a relative path inside the entry's folder.
    """

    path: str
    name: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        _check_digest(self.path, self.sha256)
        _check_size(self.path, self.bytes)
        _check_relative(self.name)


@dataclass(frozen=True, slots=True)
class ByHand:
    """A published file that the user fetches: its official name, its page, and its layout (a key of `layouts.LAYOUTS`).

    Attributes:
        sha256: None if it is not known.
    """

    file: str
    url: str
    sha256: str | None
    layout: str

    def __post_init__(self) -> None:
        _check_relative(self.file)
        if self.sha256 is not None:
            _check_digest(self.file, self.sha256)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an entry is made.

    Attributes:
        archive: the file of a package index that holds the members.
        members: files in the archive that are read.
        converter: key of the converter that reads them.
        revision: of the converter; a new one makes the entry again.
        files: that the converter writes.
    """

    archive: Archive
    members: tuple[Member, ...]
    converter: str
    revision: int
    files: tuple[str, ...]

    def __post_init__(self) -> None:
        for file in self.files:
            _check_relative(file)
        names = [member.name for member in self.members]
        if not names or len(set(names)) != len(names) or not self.files or len(set(self.files)) != len(self.files):
            raise ValueError(f"members {names} and files {list(self.files)} must be at least one each and unique")

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with the members, the converter or its revision."""
        parts = [self.converter, self.revision, sorted((m.name, m.sha256) for m in self.members), self.files]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `dynstream models list`.

    Attributes:
        name: lower-case words joined by "-".
        use: what it is for.
        source: who published it, and where.
        licence: its name.
        terms: what the licence asks for, in words.
        non_commercial: whether it forbids commercial use.
        recipe: makes the entry; None if it is imported by hand.
        by_hand: files of which the user imports one; none if there is a recipe.
    """

    name: str
    use: str
    source: str
    licence: str
    terms: str
    non_commercial: bool
    recipe: Recipe | None = None
    by_hand: tuple[ByHand, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"entry name {self.name!r} is not of lower-case words joined by '-'")
        if (self.recipe is None) == (not self.by_hand):
            raise ValueError(f"entry {self.name!r} needs either an archive or files to import by hand")

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files in the cache; of an entry imported by hand any one of them is enough."""
        return self.recipe.files if self.recipe else tuple(item.file for item in self.by_hand)

    @property
    def notice(self) -> str:
        """Licence and terms in one clause, with non-commercial use said plainly."""
        parts = [f"licence {self.licence}"]
        if self.terms:
            parts.append(self.terms)
        if self.non_commercial:
            parts.append("for NON-COMMERCIAL use only")
        return "; ".join(parts)


def read_entries(path: Path = ZOO_TOML) -> dict[str, Entry]:
    """The entries of a zoo file by name, in its order. Raises ValueError or KeyError if the file is wrong."""
    document = tomllib.loads(path.read_text("utf-8"))
    archives = {name: Archive(**fields) for name, fields in document["archives"].items()}
    return {name: _entry(name, fields, archives) for name, fields in document["entries"].items()}


def _entry(name: str, fields: Mapping[str, Any], archives: Mapping[str, Archive]) -> Entry:
    rest = dict(fields)
    by_hand = tuple(_by_hand(item) for item in rest.pop("by_hand", []))
    recipe = None
    if "archive" in rest:
        recipe = Recipe(
            archive=archives[rest.pop("archive")],
            members=_members(rest.pop("members")),
            converter=rest.pop("converter"),
            revision=rest.pop("revision"),
            files=tuple(rest.pop("files")),
        )
    try:
        return Entry(name=name, recipe=recipe, by_hand=by_hand, **rest)
    except TypeError as error:
        raise ValueError(f"entry {name!r} of the zoo file: {error}") from error


def _members(items: Iterable[Mapping[str, Any]]) -> tuple[Member, ...]:
    return tuple(Member(**{"name": PurePosixPath(item["path"]).name, **item}) for item in items)


def _by_hand(item: Mapping[str, Any]) -> ByHand:
    return ByHand(**{**item, "sha256": None if item["sha256"] == UNKNOWN else item["sha256"]})


def _check_digest(what: str, sha256: str) -> None:
    if not _DIGEST.fullmatch(sha256):
        raise ValueError(f"{what!r} needs a sha256 of 64 lower-case hex digits, got {sha256!r}")


def _check_size(what: str, size: int) -> None:
    if size <= 0:
        raise ValueError(f"{what!r} needs a size above zero, got {size}")


def _check_relative(name: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"{name!r} is not a plain relative file name")
