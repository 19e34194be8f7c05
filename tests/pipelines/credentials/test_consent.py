"""A consent holds for the person, the pictures and the time that it names, and only unchanged."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dynstream.models.arrays import Float32Array
from dynstream.pipelines.common.errors import ConsentError
from dynstream.pipelines.credentials import consent as module
from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.credentials.consent import LABEL, ask_consent, check_consent, read_consent, record_consent
from dynstream.pipelines.credentials.identity import Identity

TODAY = datetime.now(UTC).date()
ANN, BOB = np.eye(512, dtype=np.float32)[:2]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "ann.png"
    path.write_bytes(b"a picture")
    return path


def record(picture: Path, identity: Identity, days: int = 30, **changed: object) -> Path:
    target = picture.with_name("ann.json")
    said = {"subject": "Ann Lee", "statement": "may nod", "until": TODAY + timedelta(days), **changed}
    record_consent(target, {picture: ANN}, identity, **said)  # type: ignore[arg-type]
    return target


def unasked() -> Float32Array:
    raise AssertionError("the face is looked at only where a record is checked")


def test_a_record_covers_its_picture_and_face(picture: Path, identity: Identity) -> None:
    path = record(picture, identity)
    assert check_consent(path, picture, lambda: ANN).subject == "Ann Lee"
    claim = ask_consent(picture, lambda: ANN, record=path)
    assert claim.keys() == {LABEL}
    assert "Ann" not in json.dumps(claim)
    assert len(claim[LABEL]["sha256"]) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in read_consent(path).kept
    with pytest.raises(ConsentError, match=r"is not Ann Lee's, who agreed"):
        ask_consent(picture, lambda: BOB, record=path)
    other = picture.with_name("other.png")
    other.write_bytes(b"another")
    with pytest.raises(ConsentError, match=r"is for ann\.png, not for the file .*other\.png"):
        ask_consent(other, lambda: ANN, record=path)
    with pytest.raises(ConsentError, match=r"cannot read .*gone\.png"):
        ask_consent(picture.with_name("gone.png"), lambda: ANN, record=path)


def test_a_record_ends(picture: Path, identity: Identity) -> None:
    path = record(picture, identity, days=1)
    check_consent(path, picture, lambda: ANN, TODAY + timedelta(1))
    with pytest.raises(ConsentError, match=r"held until .*; ask Ann Lee again"):
        check_consent(path, picture, lambda: ANN, TODAY + timedelta(2))


@pytest.mark.parametrize(
    ("name", "value"),
    [("subject", "Bob"), ("until", "2999-01-01"), ("pictures", {}), ("signature", "!"), ("recorded", "x"), ("odd", 1)],
)
def test_a_changed_record_does_not_hold(picture: Path, identity: Identity, name: str, value: object) -> None:
    path = record(picture, identity)
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(ConsentError, match="does not hold"):
        read_consent(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", '{"format": "dynstream consent 1", "certificate": 3}'])
def test_what_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ConsentError, match=r"record\.json (is no consent record|does not hold)"):
        read_consent(path)
    with pytest.raises(ConsentError, match="cannot read the consent record"):
        read_consent(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"subject": " "}, "names who agreed"), ({"until": date(2020, 1, 1)}, "--until 2020-01-01 is over")],
)
def test_a_record_that_could_never_hold(
    picture: Path, identity: Identity, changed: dict[str, object], said: str
) -> None:
    with pytest.raises(ConsentError, match=said):
        record(picture, identity, **changed)  # type: ignore[arg-type]
    assert not picture.with_name("ann.json").exists()


def test_a_certificate_that_was_not_valid_on_that_day(
    picture: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(picture, identity, today=TODAY - timedelta(90))
    with pytest.raises(ConsentError, match="certificate was not valid on"):
        read_consent(path)


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)])
def test_other_keys_sign_as_well(
    picture: Path, identity: Identity, key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = module._signature(b"data", Identity(b"", secret, "", ""))
    module._verify(key.public_key(), data, b"data")
    with pytest.raises(module.InvalidSignature):
        module._verify(key.public_key(), data, b"date")
    with pytest.raises(module.InvalidSignature):
        module._verify(object(), data, b"data")


def test_without_a_reason_nothing_is_moved(picture: Path, identity: Identity) -> None:
    with pytest.raises(ConsentError, match=r"takes its owner's consent: pass --consent FILE .* --drawn-person"):
        ask_consent(picture, unasked)
    with pytest.raises(ConsentError, match="give one of"):
        ask_consent(picture, unasked, is_subject=True, record=picture)
    assert ask_consent(picture, unasked, is_subject=True) == {LABEL: {"basis": "own face, as the user says"}}
    assert ask_consent(picture, unasked, is_drawn=True) == {LABEL: {"basis": "drawn person, as the user says"}}


def test_a_record_is_written_as_plain_fields(picture: Path, identity: Identity) -> None:
    path = record(picture, identity)
    assert json.loads(path.read_text())["subject"] == asdict(read_consent(path))["subject"] == "Ann Lee"
