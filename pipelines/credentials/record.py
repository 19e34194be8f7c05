"""The record of an edit, signed into a finished file, or beside one whose container has no place for it."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ...stream.atomic import NO_SPACE
from ...stream.errors import SinkError
from ..common.errors import CredentialsError
from .identity import Identity

SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
LABEL: Final = "org.dynstream.edit"
REDRAWN: Final = "faces redrawn by trained models"
EMBEDDED: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
"""Containers that hold a record; others get a file of the same name with the further suffix .c2pa."""
SIDECAR: Final = ".c2pa"


@dataclass(frozen=True, kw_only=True)
class EditRecord:
    """What was done.

    Attributes:
        title: name of the result.
        source: the file that was edited, None for a live picture.
        edits: name -> strength, or a ramp as text.
        done: what was done, in words.
        settings: mode, generator and the like.
        models: name of a model's file -> sha256.
        more: further assertions by label, such as the hash of a consent record.
    """

    title: str
    source: Path | None
    edits: Mapping[str, str]
    done: str = REDRAWN
    settings: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The definition for the library."""
        done = {"edits": dict(self.edits), "settings": dict(self.settings), "models": dict(self.models)}
        assertions = [{"label": LABEL, "data": done}]
        assertions += [{"label": label, "data": dict(data)} for label, data in self.more.items()]
        return {
            "claim_generator_info": [{"name": "dynstream", "version": version("dynstream")}],
            "title": _printable(self.title),
            "assertions": assertions,
        }

    def action(self) -> dict[str, Any]:
        """The action "edited"."""
        said = "; ".join(f"{name}={strength}" for name, strength in self.edits.items())
        done = f"{self.done}: {said}" if said else self.done
        return {
            "action": "c2pa.edited",
            "digitalSourceType": SOURCE_TYPE,
            "softwareAgent": {"name": "dynstream", "version": version("dynstream")},
            "parameters": {"description": done},
        }


def media_type(path: Path) -> str:
    """The type of a file by its suffix."""
    return EMBEDDED.get(path.suffix.lower(), "application/octet-stream")


def sidecar_of(path: Path) -> Path:
    """Where the record of a file lies whose container has no place for it."""
    return path.with_name(path.name + SIDECAR)


def sign(made: Path, record: EditRecord, identity: Identity) -> bytes | None:
    """Sign the record into a finished file that has not got its name yet; or the bytes of its sidecar.

    The source is an ingredient, with its own record if it has one. Nothing may be written into the file afterwards.
    Raises CredentialsError and SinkError.
    """
    import c2pa

    kind = media_type(made)
    target = made.with_name(f".dynstream-{secrets.token_hex(6)}{made.suffix}")
    try:
        signer = c2pa.Signer.from_info(
            c2pa.C2paSignerInfo(identity.algorithm.encode(), identity.chain, identity.key, None)
        )
        with signer, c2pa.Builder(record.manifest()) as builder:
            if record.source is None:
                builder.set_intent(c2pa.C2paBuilderIntent.CREATE, _composite(c2pa))
            else:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.add_action(record.action())
            if record.source is not None:
                _add_source(builder, record.source)
            if made.suffix.lower() not in EMBEDDED:
                builder.set_no_embed()
                with open(made, "rb") as source, open(os.devnull, "r+b") as nowhere:
                    return bytes(builder.sign(signer, kind, source, nowhere))
            with open(made, "rb") as source, open(target, "w+b") as signed:
                builder.sign(signer, kind, source, signed)
        os.replace(target, made)
        return None
    except OSError as error:
        if error.errno in NO_SPACE:
            raise SinkError(f"the disk is full: {made.parent} has no room for the signed file; free some") from error
        raise SinkError(f"cannot sign {record.title}: {error.strerror or error}") from error
    except c2pa.C2paError as error:
        raise CredentialsError(f"the Content Credentials of {record.title} cannot be signed: {error}") from error
    finally:
        target.unlink(missing_ok=True)


def _composite(c2pa: Any) -> Any:
    return c2pa.C2paDigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA


def _printable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def _add_source(builder: Any, source: Path) -> None:
    described = {"title": _printable(source.name), "relationship": "parentOf"}
    with open(source, "rb") as file:
        builder.add_ingredient(described, media_type(source), file)


def digests(files: Sequence[Path]) -> dict[str, str]:
    """Name -> sha256 of model files."""
    import hashlib

    found = {}
    for path in files:
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
