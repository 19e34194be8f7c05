"""Who signs a result."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """Who signs.

    Attributes:
        chain: PEM certificates, the signer's first.
        key: PEM private key without a password.
        algorithm: as C2PA names it, such as "es256".
        name: of the signer, as the certificate has it.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str
    name: str
