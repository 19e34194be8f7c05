"""The certificate of the server, read again when its files change."""

import logging
import ssl
from pathlib import Path

from .settings_error import ServeSettingsError

log = logging.getLogger(__name__)


class Certificate:
    """PEM files that belong together. `context`: new connections get the newest. Raises ServeSettingsError."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = certificate, key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._seen = self._times()
        self._load(self.context)

    def renew(self) -> bool:
        """Read changed files; while they do not fit, the last certificate stays. Returns whether they were read."""
        times = self._times()
        if times == self._seen:
            return False
        self._seen = times
        try:
            self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))  # first where nothing can break
            self._load(self.context)
        except ServeSettingsError as error:
            log.error("%s; the last certificate stays", error)
            return False
        log.warning("the certificate was read again")
        return True

    def _times(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._paths)
        except OSError:
            return ()

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(*self._paths)
        except (OSError, ssl.SSLError) as error:
            raise ServeSettingsError(
                f"cannot use the certificate {self._paths[0]} with the key {self._paths[1]}: "
                f"{error.strerror or error}; expected PEM files that belong together"
            ) from error
