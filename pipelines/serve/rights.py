"""Who may do what: the tokens of a server, their rights, and the streams they are for."""

import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from .http_errors import RefusalError
from .settings_error import ServeSettingsError

PUBLISH, WATCH, CONTROL, ADMIN = RIGHTS = ("publish", "watch", "control", "admin")
ALL: Final = frozenset(RIGHTS)
LEAST_TOKEN: Final = 16


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that clients bring.

    Attributes:
        rights: some of RIGHTS.
        streams: names of streams, with * and ?.
        name: for logs.
    """

    secret: str = field(repr=False)
    rights: frozenset[str] = ALL
    streams: tuple[str, ...] = ("*",)
    name: str = "token"

    def __post_init__(self) -> None:
        if len(self.secret) < LEAST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", self.secret):
            raise ServeSettingsError(
                f"the token has {len(self.secret)} characters; expected at least {LEAST_TOKEN}, printable ASCII "
                "without spaces; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if not self.rights or not self.rights <= ALL:
            raise ServeSettingsError(
                f"token {self.name}: rights {sorted(self.rights)}; expected some of {', '.join(RIGHTS)}"
            )
        if not self.streams:
            raise ServeSettingsError(f"token {self.name}: expected names of streams, or none for all")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    Attributes:
        secret: the bearer token as it came, "" without one.
        rights, streams: of its token, or of everybody where none is needed.
    """

    secret: str = field(default="", repr=False)
    rights: frozenset[str] = frozenset()
    streams: tuple[str, ...] = ("*",)

    def may(self, right: str, stream: str | None = None) -> bool:
        """Whether it has a right, for a stream of that name (None: for one without a name of its own)."""
        named = stream is not None and any(fnmatchcase(stream, pattern) for pattern in self.streams)
        return right in self.rights and (named or "*" in self.streams or (stream is None and right == ADMIN))

    def check(self, right: str, stream: str | None = None) -> None:
        """Raises RefusalError without the right: 401 without any, else 403."""
        if self.may(right, stream):
            return
        if not self.rights:
            raise RefusalError("unauthorized", "a token is needed: Authorization: Bearer TOKEN")
        what = f" of the stream {stream}" if stream is not None else ""
        raise RefusalError("forbidden", f"this token has not the right to {right}{what}")


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in constant time, whatever bytes came."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def find_token(tokens: tuple[Token, ...], secret: str) -> Token | None:
    """The token with this secret; all are compared."""
    found = [token for token in tokens if same(token.secret, secret)]
    return found[0] if found else None


def read_tokens(text: str, where: str) -> tuple[Token, ...]:
    """A secret alone, with every right; or TOML with `[[token]]` tables of secret, rights, streams and name.

    where: for errors. Raises ServeSettingsError.
    """
    text = text.strip()
    if "\n" not in text and not text.startswith("["):
        return (Token(text),)
    try:
        entries = tomllib.loads(text).get("token")
    except tomllib.TOMLDecodeError:
        entries = None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ServeSettingsError(f"{where}: expected one line with the token, or TOML with [[token]] tables")
    tokens = tuple(_read(entry, number, where) for number, entry in enumerate(entries, 1))
    if len({token.secret for token in tokens}) < len(tokens):
        raise ServeSettingsError(f"{where}: two tokens have the same secret")
    return tokens


def _read(entry: Mapping[str, Any], number: int, where: str) -> Token:
    unknown = set(entry) - {"secret", "rights", "streams", "name"}
    if unknown or not isinstance(entry.get("secret"), str):
        raise ServeSettingsError(f"{where}: token {number}: expected secret, and rights, streams and name where wanted")
    lists = {key: entry[key] for key in ("rights", "streams") if key in entry}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ServeSettingsError(f"{where}: token {number}: {key}: expected a list of words")
    return Token(
        entry["secret"],
        frozenset(lists.get("rights", RIGHTS)),
        tuple(lists.get("streams", ("*",))),
        str(entry.get("name", f"token {number}")),
    )
