"""One folder of the weight cache: an entry's files and a manifest with the size and sha256 of each."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from .entries import Entry

MANIFEST = "manifest.json"


def seal(folder: Path, entry: Entry) -> None:
    """Writes the manifest over all files in `folder`, which is then ready to be put."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {"entry": entry.name, "source": entry.source, "notice": entry.notice, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def put(ready: Path, slot: Path, work: Path) -> None:
    """Renames a sealed folder to its place; what stood there before is moved into `work`, which the caller removes."""
    slot.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(slot):
        slot.rename(work / f"{slot.name}.replaced")
    ready.rename(slot)


def is_whole(slot: Path) -> bool:
    """Whether the manifest can be read and every file of it is there with its size; quick, reads no weights."""
    return _problem(slot, read=False) is None


def problem(slot: Path) -> str | None:
    """The problem with the folder, or None; reads every byte of it."""
    return _problem(slot, read=True)


def digest(path: Path) -> str:
    """The file's sha256 in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(slot: Path, *, read: bool) -> str | None:
    try:
        manifest = json.loads((slot / MANIFEST).read_text("utf-8"))
        files: dict[str, Any] = manifest["files"]
        for name, expected in files.items():
            path = slot / name
            size = path.stat().st_size
            if size != expected["bytes"]:
                return f"{path} has {size} bytes, expected {expected['bytes']}"
            if read and digest(path) != expected["sha256"]:
                return f"the sha256 of {path} is not the one that was recorded"
    except OSError as error:
        return f"{slot} cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{slot / MANIFEST} is not a manifest"
    return None
