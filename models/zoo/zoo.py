"""The weights on this machine: found in the cache, pulled when a command needs them, imported by hand, re-checked.

A cache folder holds `weights/NAME/SLOT/`: the files of one entry and a manifest with their digests. A slot appears by
one rename when it is whole and is not written to again; SLOT changes with the entry's recipe. Work in progress lies in
`weights/.partial/` under an operating-system lock, one for each archive, so that of two processes that need the same
one the second waits and finds it there; what a killed process left is cleared by the next one that holds the lock.
"""

import contextlib
import difflib
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
from filelock import FileLock, Timeout

from ..errors import DigestError, WeightsError
from . import cache_slot
from .convert import convert
from .entries import Archive, ByHand, Entry, Recipe, read_entries
from .layouts import check_layout
from .pull import Index, default_index, download
from .unpack import unpack

CACHE_VARIABLE = "DYNSTREAM_CACHE"

Status = Literal["ready", "absent", "damaged"]


@dataclass(frozen=True, slots=True)
class Said:
    """One line for the user: what is fetched, from where and on which terms, or what is waited for."""

    text: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """`done` of `total` bytes of the file `what` have arrived; the last one of a file has done == total."""

    what: str
    done: int
    total: int


Report = Callable[[Said | Fetched], None]


def say_on_stderr(event: Said | Fetched) -> None:
    """The default report: the lines alone, on standard error."""
    if isinstance(event, Said):
        print(event.text, file=sys.stderr)


def default_cache() -> Path:
    """$DYNSTREAM_CACHE, else the user's cache folder as the operating system has it."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("dynstream")


class Zoo:
    """Weights by name. Nothing is read or fetched before it is requested.

    cache: folder for the files, `default_cache()` by default; made when the first file is put into it.
    offline: True never uses the network.
    report: called with each fetched file; `say_on_stderr` by default.
    index: source of the archives; pip's index by default.
    entries: the known entries; those of zoo.toml by default.
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        offline: bool = False,
        report: Report | None = None,
        index: Index | None = None,
        entries: dict[str, Entry] | None = None,
    ) -> None:
        self.cache = cache or default_cache()
        self.offline = offline
        self.entries = read_entries() if entries is None else entries
        self._report = report or say_on_stderr
        self._index = index

    def entry(self, name: str) -> Entry:
        """The entry of that name. Raises WeightsError, which lists the names, if it is unknown."""
        if name in self.entries:
            return self.entries[name]
        close = difflib.get_close_matches(name, self.entries, n=1)
        hint = f", did you mean {close[0]!r}" if close else ""
        raise WeightsError(f"there are no weights named {name!r}{hint}; known are {', '.join(self.entries)}")

    def path(self, name: str, file: str | None = None) -> Path:
        """Where the weights of an entry lie, fetched and checked first where they are not in the cache.

        file: one of `entry(name).files`; where it is not given, the only file, or the folder of an entry with several,
            or of an entry imported by hand the first that is there.

        Raises WeightsError if the name is unknown, the file is not in the entry, or it is not available.
        """
        entry = self.entry(name)
        if file is not None and file not in entry.files:
            raise WeightsError(f"{name!r} has no file {file!r}; it has {', '.join(entry.files)}")
        if entry.recipe is None:
            return self._imported(entry, file)
        slot = self._slot(entry)
        if not cache_slot.is_whole(slot):
            self.pull(name)
        if file is not None:
            return slot / file
        return slot / entry.files[0] if len(entry.files) == 1 else slot

    def status(self, name: str) -> Status:
        """Whether its files are in the cache and of the right sizes; `verify` reads them, too."""
        slots = [slot for slot in self._slots(self.entry(name)) if slot.exists()]
        if not slots:
            return "absent"
        return "ready" if all(cache_slot.is_whole(slot) for slot in slots) else "damaged"

    def verify(self, name: str) -> None:
        """Reads every cached file of the entry again.

        Raises DigestError if one is not what was put there, WeightsError if nothing is there.
        """
        entry = self.entry(name)
        slots = [slot for slot in self._slots(entry) if slot.exists()]
        if not slots:
            raise WeightsError(f"{name!r} is not in {self.cache}; {self._remedy(entry)}")
        for slot in slots:
            problem = cache_slot.problem(slot)
            if problem:
                raise DigestError(f"{name!r} is damaged: {problem}; {self._remedy(entry)}")

    def pull(self, *names: str, force: bool = False) -> None:
        """Fetches and converts the entries that are missing or damaged in the cache; `force` fetches all again.

        Entries of one archive share one download. Raises WeightsError if one is not available and DigestError if the
        index gives another file; entries that were finished before stay.
        """
        groups: dict[Archive, list[Entry]] = {}
        for entry in dict.fromkeys(self.entry(name) for name in names):
            groups.setdefault(self._recipe(entry).archive, []).append(entry)
        for archive, entries in groups.items():
            if not force and not self._lacking(entries):
                continue
            if self.offline:
                raise WeightsError(self._offline_message(archive, entries))
            with self._workspace(archive.file) as work:
                lacking = entries if force else self._lacking(entries)
                if lacking:
                    self._fetch(archive, lacking, work)

    def import_file(self, name: str, path: Path) -> Path:
        """Takes a file that the user has into the cache, checked as far as its digest is known, and returns its place.

        Of an entry with an archive that is the archive itself, fetched by other means; it is converted as by a pull.
        Raises DigestError if it is another file and WeightsError if it is not laid out as the published one.
        """
        entry = self.entry(name)
        if not path.is_file():
            raise WeightsError(f"{path} is not a file; expected {self._wanted(entry)}")
        if entry.recipe is not None:
            archive = entry.recipe.archive
            with self._workspace(archive.file) as work:
                packed = work / "archive"
                shutil.copyfile(path, packed)
                self._check_digest(packed, archive.sha256, entry, path)
                self._install(archive, [entry], packed, work)
            self._say(f"Imported {name} from {path}: {entry.notice}")
            return self.path(name)
        item = self._choose(entry, path)
        with self._workspace(item.file) as work:
            ready = work / "ready"
            ready.mkdir()
            copy = ready / item.file
            shutil.copyfile(path, copy)
            if item.sha256 is not None:
                self._check_digest(copy, item.sha256, entry, path)
            check_layout(item.layout, path)
            cache_slot.seal(ready, entry)
            cache_slot.put(ready, self._slot(entry, item), work)
        self._say(f"Imported {name} from {path}: {entry.notice}")
        return self._slot(entry, item) / item.file

    def _fetch(self, archive: Archive, entries: Sequence[Entry], work: Path) -> None:
        needed = archive.bytes + 2 * sum(member.bytes for entry in entries for member in self._recipe(entry).members)
        free = shutil.disk_usage(work).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"{needed >> 20} MB are needed, {free >> 20} MB are free")
        if self._index is None:
            self._index = default_index()
        for entry in entries:
            self._say(
                f"Pulling {entry.name} ({entry.use}) from {self._index.name}: {archive.file}, "
                f"{archive.bytes / 1e6:.1f} MB, {entry.notice}"
            )
        packed = work / "archive"
        download(self._index, archive, packed, lambda done: self._report(Fetched(archive.file, done, archive.bytes)))
        self._install(archive, entries, packed, work)

    def _install(self, archive: Archive, entries: Sequence[Entry], packed: Path, work: Path) -> None:
        unpacked = work / "unpacked"
        unpacked.mkdir()
        members = {member.path: member for entry in entries for member in self._recipe(entry).members}
        places = unpack(packed, members.values(), unpacked, archive.file)
        for entry in entries:
            ready = work / entry.name
            ready.mkdir()
            sources = {member.name: places[member.path] for member in self._recipe(entry).members}
            convert(entry, sources, ready)
            cache_slot.seal(ready, entry)
            cache_slot.put(ready, self._slot(entry), work)

    def _lacking(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if cache_slot.problem(self._slot(entry))]

    def _imported(self, entry: Entry, file: str | None) -> Path:
        for item in entry.by_hand:
            slot = self._slot(entry, item)
            if file in (None, item.file) and cache_slot.is_whole(slot):
                return slot / item.file
        raise WeightsError(f"{file or entry.name} ({entry.use}) is not in {self.cache}; {self._remedy(entry)}")

    def _choose(self, entry: Entry, path: Path) -> ByHand:
        """The published file that this one is meant to be: by its name, else by its ending."""
        for matches in (
            [item for item in entry.by_hand if item.file == path.name],
            [item for item in entry.by_hand if Path(item.file).suffix == path.suffix],
        ):
            if len(matches) == 1:
                return matches[0]
        raise WeightsError(f"{path} is not one of the files of {entry.name!r}; expected {self._wanted(entry)}")

    def _check_digest(self, copy: Path, sha256: str, entry: Entry, origin: Path) -> None:
        got = cache_slot.digest(copy)
        if got != sha256:
            raise DigestError(
                f"{origin} has the sha256 {got}, expected {sha256}: it was not imported. "
                f"{entry.name!r} is made of {self._wanted(entry)}"
            )

    def _recipe(self, entry: Entry) -> Recipe:
        if entry.recipe is None:
            raise WeightsError(f"{entry.name!r} ({entry.use}) is not on the package index; {self._remedy(entry)}")
        return entry.recipe

    def _slot(self, entry: Entry, item: ByHand | None = None) -> Path:
        name = item.file if item else self._recipe(entry).fingerprint
        return self._weights / entry.name / name

    def _slots(self, entry: Entry) -> list[Path]:
        return [self._slot(entry, item) for item in entry.by_hand] if entry.by_hand else [self._slot(entry)]

    @property
    def _weights(self) -> Path:
        return self.cache / "weights"

    def _say(self, text: str) -> None:
        self._report(Said(text))

    def _wanted(self, entry: Entry) -> str:
        if entry.recipe is not None:
            archive = entry.recipe.archive
            return f"{archive.file} of the package index's {archive.project} {archive.version}"
        return " or ".join(f"{item.file} from {item.url}" for item in entry.by_hand)

    def _remedy(self, entry: Entry) -> str:
        if entry.recipe is not None:
            return f"`dynstream models pull {entry.name}` mends it"
        return f"get {self._wanted(entry)} ({entry.notice}), then run `dynstream models import {entry.name} FILE`"

    def _offline_message(self, archive: Archive, entries: Sequence[Entry]) -> str:
        names = " ".join(entry.name for entry in entries)
        return (
            f"{names} not in {self.cache}, and --offline forbids fetching. Run `dynstream models pull {names}` with a "
            f"network, or bring {archive.file} and run `dynstream models import {entries[0].name} {archive.file}`"
        )

    @contextmanager
    def _workspace(self, key: str) -> Iterator[Path]:
        """An empty folder on the cache's own file system, for the one process that holds the lock of `key`.

        OSErrors inside become WeightsErrors that name the cache and what mends it.
        """
        work = self._weights / ".partial" / key
        try:
            work.parent.mkdir(parents=True, exist_ok=True)
            with self._locked(work.with_name(f"{key}.lock"), key):
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                try:
                    yield work
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise WeightsError(self._explain(error)) from error

    @contextmanager
    def _locked(self, path: Path, key: str) -> Iterator[None]:
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._say(f"Another process is fetching {key}; waiting for it")
            lock.acquire()
        with contextlib.ExitStack() as stack:
            stack.callback(lock.release)
            yield

    def _explain(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk of {self.cache} is full ({error.strerror}): free space there, or set {CACHE_VARIABLE}"
        return (
            f"the weight cache {self.cache} cannot be written ({error.strerror or error}): "
            f"set {CACHE_VARIABLE} to a folder that can"
        )
