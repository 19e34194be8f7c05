"""Consent of the person whose picture another's motion drives: a signed record, checked before anything is drawn."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ...models.arrays import Float32Array
from ...stream.atomic import write_whole
from ..common.errors import ConsentError
from .identity import Identity

LABEL: Final = "org.dynstream.consent"
FORMAT: Final = "dynstream consent 1"
SAME_FACE: Final = 0.5
"""Least cosine of two ArcFace embeddings of one picture or clip; strangers have about 0."""
_HASH: Final = hashes.SHA256()
_PSS: Final = padding.PSS(padding.MGF1(_HASH), padding.PSS.DIGEST_LENGTH)


@dataclass(frozen=True, kw_only=True)
class Consent:
    """Who agreed to what.

    Attributes:
        statement: what was agreed to, in words.
        recorded, until: days, as 2027-01-31; the record holds through the last of them.
        pictures: sha256 of each file of the subject -> its name, and ArcFace's embedding of the face (float16, base64).
        kept: where the record was written, and how to delete it.
        certificate: PEM chain of who signed.
        signature: base64, over all the rest.
    """

    format: str = FORMAT
    subject: str
    statement: str
    recorded: str
    until: str
    pictures: dict[str, tuple[str, str]]
    kept: str
    certificate: str = ""
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return json.dumps(asdict(replace(self, signature="")), sort_keys=True, separators=(",", ":")).encode()

    def signer(self) -> x509.Certificate:
        """Of who signed. Raises ValueError for no certificate."""
        return x509.load_pem_x509_certificates(self.certificate.encode())[0]

    def embedding(self, digest: str) -> Float32Array:
        """(512,), of unit length, of the face in one of the pictures."""
        return np.frombuffer(base64.b64decode(self.pictures[digest][1]), "<f2").astype(np.float32)


def record_consent(
    target: Path,
    pictures: Mapping[Path, Float32Array],
    identity: Identity,
    *,
    subject: str,
    statement: str,
    until: date,
    overwrite: bool = False,
    today: date | None = None,
) -> Consent:
    """Write a signed record that can be read by its owner alone.

    pictures: files of the subject -> embedding (512,) of the face in each.
    Raises ConsentError for a record that could never hold, and SinkError.
    """
    today = today or datetime.now(UTC).date()
    if not subject.strip() or not statement.strip():
        raise ConsentError("a consent names who agreed (--subject) and to what (--statement); one of them is empty")
    if until < today:
        raise ConsentError(f"--until {until} is over; give the last day on which the consent holds")
    consent = Consent(
        subject=subject,
        statement=statement,
        recorded=str(today),
        until=str(until),
        pictures={
            _sha256(path): (path.name, base64.b64encode(face.astype("<f2").tobytes()).decode())
            for path, face in pictures.items()
        },
        kept=f"only in {target.absolute()}, with measurements of the subject's face; to delete it, remove that file",
        certificate=identity.chain.decode(),
    )
    consent = replace(consent, signature=base64.b64encode(_signature(consent.signed_bytes(), identity)).decode())
    write_whole(target, (json.dumps(asdict(consent), indent=2) + "\n").encode(), overwrite=overwrite)
    target.chmod(0o600)
    return consent


def read_consent(path: Path) -> Consent:
    """A record, its signature checked. Raises ConsentError for one that is damaged, forged or of another version."""
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ConsentError(f"{path} is no consent record of this version; make one: dynstream consent record")
        consent = Consent(**found)
        own = consent.signer()
        date.fromisoformat(consent.until)
        recorded = date.fromisoformat(consent.recorded)
        _verify(own.public_key(), base64.b64decode(consent.signature), consent.signed_bytes())
    except OSError as error:
        raise ConsentError(f"cannot read the consent record {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, InvalidSignature) as error:
        raise ConsentError(
            f"the consent record {path} does not hold: it is damaged, or was changed after it was signed"
        ) from error
    if not own.not_valid_before_utc.date() <= recorded <= own.not_valid_after_utc.date():
        raise ConsentError(f"the consent record {path} does not hold: its certificate was not valid on {recorded}")
    return consent


def check_consent(path: Path, picture: Path, face: Callable[[], Float32Array], today: date | None = None) -> Consent:
    """A record that covers this picture and the face in it today; face: its embedding. Raises ConsentError."""
    consent, today = read_consent(path), today or datetime.now(UTC).date()
    if date.fromisoformat(consent.until) < today:
        raise ConsentError(f"the consent in {path} held until {consent.until}; ask {consent.subject} again")
    digest = _sha256(picture)
    if digest not in consent.pictures:
        names = ", ".join(name for name, _ in consent.pictures.values())
        raise ConsentError(
            f"the consent in {path} is for {names}, not for the file {picture}; name it "
            "in a record of its own: dynstream consent record"
        )
    if float(consent.embedding(digest) @ face()) < SAME_FACE:
        raise ConsentError(f"the face that would move in {picture} is not {consent.subject}'s, who agreed in {path}")
    return consent


def ask_consent(
    picture: Path,
    face: Callable[[], Float32Array],
    *,
    is_subject: bool = False,
    record: Path | None = None,
    is_drawn: bool = False,
    today: date | None = None,
) -> dict[str, dict[str, Any]]:
    """Why the person in a picture may be moved by another's motion, for the credentials (`EditRecord.more`).

    Of a record they get the digest and nothing personal. Exactly one reason is needed.

    Args:
        picture: file with the face that will be moved.
        face: its ArcFace embedding (512,) of unit length, such as `run.who.embed_person`; called only for a record.
        is_subject: --i-am-the-subject.
        record: --consent FILE.
        is_drawn: --drawn-person, or a face that the caller drew itself.

    Raises:
        ConsentError: without a reason, with two, or with a record that does not cover this.
    """
    if is_subject + is_drawn + (record is not None) > 1:
        raise ConsentError("give one of --consent FILE, --i-am-the-subject and --drawn-person")
    if record is not None:
        check_consent(record, picture, face, today)
        return {LABEL: {"basis": "consent record", "sha256": _sha256(record)}}
    if is_subject:
        return {LABEL: {"basis": "own face, as the user says"}}
    if is_drawn:
        return {LABEL: {"basis": "drawn person, as the user says"}}
    raise ConsentError(
        f"the face in {picture} would be moved by another's motion, which takes its owner's consent: pass --consent "
        "FILE with a record (dynstream consent record makes one), --i-am-the-subject for your own face, or "
        "--drawn-person where nobody has that face"
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConsentError(f"cannot read {path}: {error.strerror}") from error


def _signature(data: bytes, identity: Identity) -> bytes:
    key = load_pem_private_key(identity.key, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(_HASH))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, _PSS, _HASH)
    assert isinstance(key, ed25519.Ed25519PrivateKey)  # as `load_identity` takes no others
    return key.sign(data)


def _verify(key: object, signature: bytes, data: bytes) -> None:
    """Raises InvalidSignature."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(_HASH))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, _PSS, _HASH)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise InvalidSignature
