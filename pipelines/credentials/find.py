"""The pair that signs results: named by options or by the environment, or that of this machine.

Where there is none, cryptography is not imported.
"""

import os
from pathlib import Path
from typing import Final

import platformdirs

from ..common.errors import CredentialsError
from .identity import Identity

CERT_VARIABLE: Final = "DYNSTREAM_SIGN_CERT"
KEY_VARIABLE: Final = "DYNSTREAM_SIGN_KEY"


def default_folder() -> Path:
    """Where `dynstream credentials init` puts its pair."""
    return platformdirs.user_config_path("dynstream") / "credentials"


def find_identity(cert: Path | None, key: Path | None, *, folder: Path | None = None) -> Identity | None:
    """The user's pair, by options, else by environment, else the self-made one; None where there is none.

    Raises CredentialsError for a pair that cannot be used.
    """
    variables = [os.environ.get(name) for name in (CERT_VARIABLE, KEY_VARIABLE)]
    if cert is None and key is None and any(variables):
        cert, key = (Path(value) if value else None for value in variables)
    if (cert is None) != (key is None):
        raise CredentialsError(
            f"a certificate and its key go together: give both --sign-cert and --sign-key, or both {CERT_VARIABLE} and "
            f"{KEY_VARIABLE}"
        )
    if cert is None or key is None:
        folder = folder or default_folder()
        cert, key = folder / "cert.pem", folder / "key.pem"
        if not (cert.exists() and key.exists()):
            return None
    from .certificates import load_identity  # a tenth of a second, which most runs need not wait

    return load_identity(cert, key)
