"""Arguments of `dynstream serve`: files with secrets, folders of presets, ICE servers."""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiortc.rtcicetransport import parse_stun_turn_uri

from ...stream.webrtc.peer import IceServer
from .rights import Token, read_tokens
from .settings import TurnSecret
from .settings_error import ServeSettingsError


def read_secret(path: Path, option: str) -> str:
    """The one line of a file that only its owner can read. Raises ServeSettingsError."""
    text = _read_private(path, option)
    if not text or "\n" in text:
        raise ServeSettingsError(f"{option} {path}: expected one line with the secret")
    return text


def read_token_file(path: Path) -> tuple[Token, ...]:
    """See `read_tokens`; of a file that only its owner can read. Raises ServeSettingsError."""
    text = _read_private(path, "--token-file")
    if not text:
        raise ServeSettingsError(f"--token-file {path}: is empty; expected a token, or TOML with [[token]] tables")
    return read_tokens(text, f"--token-file {path}")


def _read_private(path: Path, option: str) -> str:
    try:
        text = path.read_text("utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ServeSettingsError(f"{option} {path}: cannot be read ({error}); name a text file") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise ServeSettingsError(f"{option} {path}: others on this machine can read it; run: chmod 600 {path}")
    return text


def read_config(path: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """A TOML file of options by their names, with - or _. names: option -> parameter. Raises ServeSettingsError."""
    try:
        options = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ServeSettingsError(f"--config {path}: cannot be read ({error}); expected TOML, name = value") from error
    found = {}
    for word, value in options.items():
        option = word.replace("_", "-")
        name = names.get(option)
        if name is None or name == "config":
            near = difflib.get_close_matches(option, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ServeSettingsError(f"--config {path}: there is no option {word}{hint}")
        if isinstance(value, dict):
            raise ServeSettingsError(f"--config {path}: {word}: expected a value or a list, got a table")
        found[name] = value
    return found


def read_size(text: str, option: str) -> tuple[int, int]:
    """WIDTHxHEIGHT. Raises ServeSettingsError."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise ServeSettingsError(f"{option} {text}: expected WIDTHxHEIGHT, as in 1920x1080")
    return int(match[1]), int(match[2])


def read_presets(folder: Path) -> Mapping[str, Mapping[str, float]]:
    """Name of each *.toml -> edits at their final strength. Raises ServeSettingsError, EditError."""
    from ..edits.parsing import read_preset  # brings torch, which a server without presets may not need yet

    if not folder.is_dir():
        raise ServeSettingsError(f"--presets {folder}: expected a folder with *.toml files")
    found = sorted(folder.glob("*.toml"))
    if not found:
        raise ServeSettingsError(f"--presets {folder}: there is no *.toml in it")
    return {path.stem: {spec.name: spec.end for spec in read_preset(path)} for path in found}


def read_ice(urls: Sequence[str], secret_file: Path | None) -> tuple[tuple[IceServer, ...], TurnSecret | None]:
    """The servers of --ice-server, and the TURN server among them with passwords made from a secret.

    Raises ServeSettingsError.
    """
    for url in urls:
        try:
            parse_stun_turn_uri(url)
        except ValueError:
            raise ServeSettingsError(
                f"--ice-server {url}: expected stun:HOST:PORT, turn:HOST:PORT or turns:HOST:PORT?transport=tcp"
            ) from None
    turns = [url for url in urls if url.startswith("turn")]
    if len(turns) > 1:
        raise ServeSettingsError("--ice-server: expected one TURN server at most, as aiortc uses one")
    if bool(turns) != (secret_file is not None):
        raise ServeSettingsError("a TURN server and --turn-secret-file are given together or not at all")
    stuns = tuple(IceServer(url) for url in urls if url not in turns)
    return stuns, TurnSecret(turns[0], read_secret(secret_file, "--turn-secret-file")) if secret_file else None
