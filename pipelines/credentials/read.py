"""What a file says was done to it, and whether it still holds."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..common.errors import CredentialsError
from .record import EMBEDDED, LABEL, media_type, sidecar_of


class Verdict(StrEnum):
    """Whether a record holds, from best to worst."""

    TRUSTED = "valid, and signed by somebody whom the trust list knows"
    VALID = "valid, but its signer is known to no trust list"
    BROKEN = "does not hold: the file or the record was changed"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The record of a file.

    Attributes:
        signer: who signed, as the certificate says.
        time: of the signature by a time authority, None without one.
        actions: what was done, in words.
        edits: name -> strength, of dynstream's own record.
        models: file -> sha256.
        ingredients: titles of the sources; those with a record of their own say so.
        problems: what does not hold.
        raw: the whole report of the library.
    """

    verdict: Verdict
    signer: str
    time: str | None
    actions: list[str]
    edits: dict[str, str]
    models: dict[str, str]
    ingredients: list[str]
    problems: list[str]
    raw: dict[str, Any] = field(repr=False)


def read_credentials(path: Path) -> Shown | None:
    """The record in a file or beside it; None where there is none. Raises CredentialsError for a damaged one."""
    import c2pa

    side = sidecar_of(path)
    try:
        with open(path, "rb") as file:
            if path.suffix.lower() in EMBEDDED:
                reader = c2pa.Reader.try_create(media_type(path), file)
            elif side.exists():
                reader = c2pa.Reader.try_create(media_type(path), file, side.read_bytes())
            else:
                return None
            if reader is None:
                return None
            with reader:
                raw = json.loads(reader.json())
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from error
    except c2pa.C2paError as error:
        raise CredentialsError(f"the record of {path} cannot be read: {error}; it is damaged or forged") from error
    return _shown(raw)


def _shown(raw: dict[str, Any]) -> Shown:
    active = raw["manifests"][raw["active_manifest"]]
    assertions = {entry["label"]: entry["data"] for entry in active.get("assertions", [])}
    actions: dict[str, Any] = next((data for label, data in assertions.items() if label.startswith("c2pa.actions")), {})
    own, signature = assertions.get(LABEL, {}), active.get("signature_info", {})
    problems = [
        entry.get("explanation") or entry["code"]
        for entry in raw.get("validation_status", [])
        if entry["code"] != "signingCredential.untrusted"
    ]
    state = {"Trusted": Verdict.TRUSTED, "Valid": Verdict.VALID}.get(raw.get("validation_state", ""), Verdict.BROKEN)
    issuer = ", ".join(signature[key] for key in ("common_name", "issuer") if signature.get(key))
    return Shown(
        verdict=state,
        signer=issuer,
        time=signature.get("time"),
        actions=[
            ": ".join(filter(None, [entry["action"], entry.get("parameters", {}).get("description")]))
            for entry in actions.get("actions", [])
        ],
        edits=dict(own.get("edits", {})),
        models=dict(own.get("models", {})),
        ingredients=[
            f"{entry.get('title', 'untitled')}{', with a record of its own' if entry.get('active_manifest') else ''}"
            for entry in active.get("ingredients", [])
        ],
        problems=problems,
        raw=raw,
    )
