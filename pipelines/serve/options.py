"""Arguments of `dynstream serve`: files with secrets, folders of presets, ICE servers."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiortc.rtcicetransport import parse_stun_turn_uri

from ...stream.webrtc.peer import IceServer
from .settings import ServeSettingsError, TurnSecret


def read_secret(path: Path, option: str) -> str:
    """The one line of a file that only its owner can read. Raises ServeSettingsError."""
    try:
        text = path.read_text("utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ServeSettingsError(f"{option} {path}: cannot be read ({error}); name a text file of one line") from error
    if not text or "\n" in text:
        raise ServeSettingsError(f"{option} {path}: expected one line with the secret")
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise ServeSettingsError(f"{option} {path}: others on this machine can read it; run: chmod 600 {path}")
    return text


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
