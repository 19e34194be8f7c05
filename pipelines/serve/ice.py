"""The ICE servers that clients get, with short-lived credentials for TURN."""

import base64
import hashlib
import hmac
from typing import Any

from ...stream.webrtc.peer import IceServer
from .settings import ServeSettings, TurnSecret


def ice_servers(settings: ServeSettings, now: float) -> list[IceServer]:
    """The servers of the settings; now: Unix time in seconds."""
    servers = list(settings.ice_servers)
    if settings.turn is not None:
        servers.append(turn_server(settings.turn, now))
    return servers


def turn_server(turn: TurnSecret, now: float, user: str = "dynstream") -> IceServer:
    """Credentials that TURN servers with a shared secret accept until they expire ("TURN REST API").

    The name is the time of expiry and a user; the password its HMAC-SHA1, in base64.
    """
    name = f"{int(now) + turn.seconds}:{user}"
    digest = hmac.new(turn.secret.encode(), name.encode(), hashlib.sha1).digest()
    return IceServer(turn.url, name, base64.b64encode(digest).decode())


def as_json(server: IceServer) -> dict[str, Any]:
    """For `RTCPeerConnection` in a browser."""
    entry: dict[str, Any] = {"urls": [server.url]}
    if server.username is not None:
        entry |= {"username": server.username, "credential": server.credential or ""}
    return entry


def as_link(server: IceServer) -> str:
    """For a Link header (RFC 9725, 4.6)."""
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None:
        link += f'; username="{_quote(server.username)}"; credential="{_quote(server.credential or "")}"'
        link += '; credential-type="password"'
    return link


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
