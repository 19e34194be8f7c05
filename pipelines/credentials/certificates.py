"""The certificate and key that sign: the user's own, or a pair made on this machine that says so."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..common.errors import CredentialsError
from .identity import Identity

SELF_MADE: Final = "self-made by dynstream, not verified by anybody"
SELF_MADE_DAYS: Final = 825
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def load_identity(cert: Path, key: Path, now: datetime | None = None) -> Identity:
    """Read a pair and check that it can sign. Raises CredentialsError that names the file."""
    try:
        chain, secret = cert.read_bytes(), key.read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {error.filename}: {error.strerror}") from error
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise CredentialsError(f"{cert} holds no PEM certificate: {error}") from error
    try:
        private = load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:
        raise CredentialsError(f"{key} holds no PEM key without a password: {error}") from error
    own, now = certificates[0], now or datetime.now(UTC)
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        raise CredentialsError(
            f"the certificate {cert} is valid from {own.not_valid_before_utc:%Y-%m-%d} to "
            f"{own.not_valid_after_utc:%Y-%m-%d}, not now; renew it, or make a local one: dynstream credentials init"
        )
    if _public(own.public_key()) != _public(private.public_key()):
        raise CredentialsError(
            f"the key {key} does not fit the certificate {cert}; give the pair that belongs together"
        )
    return Identity(chain, secret, _algorithm(private, key), common_name(own))


def common_name(certificate: x509.Certificate) -> str:
    """Whose it is, as it says itself; "" where it does not."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]


def _algorithm(key: object, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise CredentialsError(f"{path}: C2PA signs with keys of P-256, P-384, P-521, RSA and Ed25519")


def make_identity(folder: Path, *, overwrite: bool = False, now: datetime | None = None) -> Identity:
    """Make a certificate and key for this machine; the key can be read by its owner alone.

    Readers show files that it signs as valid and not trusted. Raises CredentialsError where there is a pair already.
    """
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not overwrite and (cert.exists() or key.exists()):
        raise CredentialsError(f"{folder} holds a pair already; pass --overwrite to replace it")
    chain, secret = self_made(now or datetime.now(UTC))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key.unlink(missing_ok=True)
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        cert.write_bytes(chain)
    except OSError as error:
        raise CredentialsError(f"cannot write in {folder}: {error.strerror}") from error
    return load_identity(cert, key, now)


def self_made(now: datetime, days: int = SELF_MADE_DAYS) -> tuple[bytes, bytes]:
    """(PEM chain, PEM key): a signer's certificate under a root of its own, whose key is thrown away."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name("dynstream local root"), _name("dynstream local signer")

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    root = (
        begun(root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    own = (
        begun(name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    chain = own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    return chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str) -> x509.Name:
    named = {NameOID.ORGANIZATION_NAME: SELF_MADE, NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in named.items()])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
