"""What is signed can be read, and does not hold any more when one byte of it was changed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynstream.pipelines.common.errors import CredentialsError
from dynstream.pipelines.credentials import find
from dynstream.pipelines.credentials.certificates import load_identity, make_identity, self_made
from dynstream.pipelines.credentials.find import CERT_VARIABLE, KEY_VARIABLE, find_identity
from dynstream.pipelines.credentials.identity import Identity
from dynstream.pipelines.credentials.read import Verdict, read_credentials
from dynstream.pipelines.credentials.record import EditRecord, digests, sidecar_of, sign

from ...stream.media import Clip, make, probe

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("pair"))


def signed(folder: Path, identity: Identity, suffix: str = ".mp4", source: Path | None = None, **more: object) -> Path:
    source = source or make(folder / f"in{suffix}", Clip())
    made = make(folder / f"made{suffix}", Clip())
    record = EditRecord(
        title="out", source=source, edits={"smile": "2", "age": "0:2@0s-3s"}, models={"g.pt": "ab" * 32}, **more
    )  # type: ignore[arg-type]
    beside = sign(made, record, identity)
    if beside is not None:
        sidecar_of(made).write_bytes(beside)
    return made


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_what_is_signed_is_read(tmp_path: Path, identity: Identity, suffix: str) -> None:
    made = signed(tmp_path, identity, suffix)
    shown = read_credentials(made)
    assert shown is not None
    assert shown.verdict is Verdict.VALID  # and not trusted: the pair is self-made
    assert "not verified by anybody" in shown.signer
    assert shown.edits == {"smile": "2", "age": "0:2@0s-3s"}
    assert shown.models == {"g.pt": "ab" * 32}
    assert shown.ingredients == [f"in{suffix}"]
    assert "c2pa.edited: faces redrawn by trained models: smile=2; age=0:2@0s-3s" in shown.actions
    actions = next(
        entry["data"]["actions"]
        for entry in shown.raw["manifests"][shown.raw["active_manifest"]]["assertions"]
        if entry["label"].startswith("c2pa.actions")
    )
    assert actions[-1]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert probe(made).packets == probe(tmp_path / f"in{suffix}").packets
    assert sidecar_of(made).exists() == (suffix == ".mkv")
    assert not list(tmp_path.glob(".dynstream-*"))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_flipped_byte_is_found(tmp_path: Path, identity: Identity, suffix: str) -> None:
    made = signed(tmp_path, identity, suffix)
    data = bytearray(made.read_bytes())
    data[-40] ^= 1
    made.write_bytes(data)
    shown = read_credentials(made)
    assert shown is not None
    assert shown.verdict is Verdict.BROKEN
    assert any("hash" in problem for problem in shown.problems)


def test_a_record_that_was_moved_to_another_file_or_changed_does_not_hold(tmp_path: Path, identity: Identity) -> None:
    made = signed(tmp_path, identity, ".mkv")
    record = sidecar_of(made).read_bytes()
    other = make(tmp_path / "other.mkv", Clip(rate=24))
    sidecar_of(other).write_bytes(record)
    shown = read_credentials(other)
    assert shown is not None
    assert shown.verdict is Verdict.BROKEN
    sidecar_of(made).write_bytes(record.replace(b"smile", b"frown"))
    forged = read_credentials(made)
    assert forged is not None
    assert forged.verdict is Verdict.BROKEN
    sidecar_of(made).write_bytes(b"no record")
    with pytest.raises(CredentialsError, match="damaged or forged"):
        read_credentials(made)


def test_a_sources_own_record_is_kept(tmp_path: Path, identity: Identity) -> None:
    (tmp_path / "first").mkdir()
    source = signed(tmp_path / "first", identity)
    shown = read_credentials(signed(tmp_path, identity, source=source))
    assert shown is not None
    assert shown.verdict is Verdict.VALID
    assert shown.ingredients == ["made.mp4, with a record of its own"]
    assert len(shown.raw["manifests"]) == 2


def test_a_source_of_any_name(tmp_path: Path, identity: Identity) -> None:
    source = tmp_path / os.fsdecode(b"odd \xff\n name.mp4")
    make(tmp_path / "plain.mp4", Clip()).rename(source)
    shown = read_credentials(signed(tmp_path, identity, source=source))
    assert shown is not None
    assert shown.verdict is Verdict.VALID
    assert shown.ingredients == ["odd \ufffd\n name.mp4"]


def test_a_file_without_a_record(tmp_path: Path) -> None:
    assert read_credentials(make(tmp_path / "a.mp4", Clip())) is None
    assert read_credentials(make(tmp_path / "a.mkv", Clip())) is None
    with pytest.raises(CredentialsError, match=r"cannot read .*none.mp4"):
        read_credentials(tmp_path / "none.mp4")


def test_the_pair_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (CERT_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "config" / "credentials"
    monkeypatch.setattr(find, "default_folder", lambda: folder)
    assert find_identity(None, None) is None
    made = make_identity(folder)
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert find_identity(None, None) == made
    assert "PRIVATE" not in repr(made)
    with pytest.raises(CredentialsError, match="holds a pair already"):
        make_identity(folder)
    other = make_identity(tmp_path / "other")
    monkeypatch.setenv(CERT_VARIABLE, str(tmp_path / "other" / "cert.pem"))
    with pytest.raises(CredentialsError, match="go together"):
        find_identity(None, None)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "other" / "key.pem"))
    assert find_identity(None, None) == other
    assert find_identity(folder / "cert.pem", folder / "key.pem") == made


def test_pairs_that_cannot_sign(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with pytest.raises(CredentialsError, match=r"cannot read .*cert.pem: No such file"):
        load_identity(cert, key)
    for name, (chain, secret) in {"a": self_made(NOW), "old": self_made(NOW - timedelta(days=40), days=30)}.items():
        (tmp_path / f"{name}.cert").write_bytes(chain)
        (tmp_path / f"{name}.key").write_bytes(secret)
    with pytest.raises(CredentialsError, match=r"is valid from .* to .*, not now; renew it"):
        load_identity(tmp_path / "old.cert", tmp_path / "old.key")
    with pytest.raises(CredentialsError, match="does not fit the certificate"):
        load_identity(tmp_path / "a.cert", tmp_path / "old.key")
    with pytest.raises(CredentialsError, match="holds no PEM certificate"):
        load_identity(tmp_path / "a.key", tmp_path / "a.key")
    with pytest.raises(CredentialsError, match="holds no PEM key"):
        load_identity(tmp_path / "a.cert", tmp_path / "a.cert")


def test_digests_of_models(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"abc")
    assert digests([tmp_path / "m.bin"]) == {
        "m.bin": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
