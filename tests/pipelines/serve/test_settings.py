import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.serve.ice import as_json, as_link, turn_server
from dynstream.pipelines.serve.options import read_ice, read_presets, read_secret
from dynstream.pipelines.serve.rights import Token
from dynstream.pipelines.serve.settings import Limits, ServeSettings, TurnSecret
from dynstream.pipelines.serve.settings_error import ServeSettingsError
from dynstream.stream.webrtc.network import PortRange
from dynstream.stream.webrtc.peer import IceServer

TOKEN = "a-token-of-enough-characters"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "0.0.0.0"}, "--token-file"),
        ({"host": "example.org"}, "--insecure"),
        ({"max_latency_ms": -5.0}, "--max-latency -5: expected 50"),
        ({"addresses": ("203.0.113.9",)}, "--media-address 203.0.113.9: expected an address of this machine"),
        ({"addresses": ("example.org",)}, "--media-address"),
        ({"base_path": "/faces/"}, "--base-path"),
        ({"base_path": "faces"}, "--base-path"),
        ({"server": "A b"}, "--server-name"),
        ({"port_of_all": 80}, "--udp-port 80"),
        ({"port_of_all": 5000, "ports": PortRange(5000, 5001)}, "give one of them"),
        ({"max_source": (8, 8)}, "--max-source"),
        ({"drain_seconds": -1.0}, "--drain"),
        ({"proxies": (ip_network("10.0.0.0/8"),)}, "--trusted-proxy"),
        ({"port": 70_000}, "--port"),
        ({"certificate": Path("cert.pem")}, "both"),
        ({"public_address": "example.org"}, "--public-ip"),
        ({"origins": ("*",)}, "--origin"),
        ({"origins": ("https://example.org/path",)}, "--origin"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ServeSettingsError, match=words):
        ServeSettings(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert ServeSettings(host=host).is_local


def test_others_are_let_in_with_a_token_or_knowingly() -> None:
    ServeSettings(host="0.0.0.0", tokens=(Token(TOKEN),))
    ServeSettings(host="0.0.0.0", insecure=True)
    assert TOKEN not in repr(ServeSettings(tokens=(Token(TOKEN),)))
    assert "s3cret" not in repr(TurnSecret("turn:x", "s3cret"))


def test_limits_are_checked() -> None:
    for wrong in ({"sessions": 0}, {"grace_seconds": -1.0}, {"idle_seconds": 0.0}, {"max_seconds": 0.0}):
        with pytest.raises(ServeSettingsError):
            Limits(**wrong)  # type: ignore[arg-type]


def test_a_secret_is_one_line_that_nobody_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "token.txt"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    assert read_secret(path, "--token-file") == TOKEN
    if os.name == "posix":
        path.chmod(0o644)
        with pytest.raises(ServeSettingsError, match="chmod 600"):
            read_secret(path, "--token-file")
    path.chmod(0o600)
    for text in ("", "\n", "two\nlines"):
        path.write_text(text)
        with pytest.raises(ServeSettingsError, match="one line"):
            read_secret(path, "--token-file")
    with pytest.raises(ServeSettingsError, match="cannot be read"):
        read_secret(tmp_path / "none", "--token-file")


def test_presets_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ServeSettingsError, match=r"no \*.toml"):
        read_presets(tmp_path)
    (tmp_path / "older.toml").write_text('[edits]\nage = 2\nsmile = "0:1@2s"\n')
    assert read_presets(tmp_path) == {"older": {"age": 2.0, "smile": 1.0}}
    with pytest.raises(ServeSettingsError, match="a folder"):
        read_presets(tmp_path / "none")


def test_ice_servers_are_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    assert read_ice([], None) == ((), None)
    servers, turn = read_ice(["stun:a:1", "turn:b:2?transport=udp"], secret)
    assert servers == (IceServer("stun:a:1"),)
    assert turn == TurnSecret("turn:b:2?transport=udp", "s3cret")
    for urls, file in ((["http://x"], None), (["turn:b"], None), (["stun:a"], secret), (["turn:a", "turn:b"], secret)):
        with pytest.raises(ServeSettingsError):
            read_ice(urls, file)


def test_turn_passwords_are_made_as_coturn_checks_them() -> None:
    server = turn_server(TurnSecret("turn:b:2", "north", seconds=600), 1_000_000.9)
    assert server.username == "1000600:dynstream"
    assert server.credential == "fETmzyOcTh2Iqb8IOjuh47if32Y="
    assert as_json(server)["credential"] == server.credential
    assert 'username="1000600:dynstream"' in as_link(server)
    assert as_link(IceServer("stun:x", 'a"b', "c")) == (
        '<stun:x>; rel="ice-server"; username="a\\"b"; credential="c"; credential-type="password"'
    )
