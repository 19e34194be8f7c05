"""The settings of the server, with defaults and checks."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...stream.webrtc.encoders import VideoRate
from ...stream.webrtc.network import PortRange
from ...stream.webrtc.peer import IceServer
from ..common.errors import PipelineError

LEAST_TOKEN: Final = 16


class ServeSettingsError(PipelineError):
    """Options of the server that are out of range or do not go together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server.

    Attributes:
        sessions, per_address: sessions at a time. Times in seconds; None for no limit.
        idle_seconds: time without a frame until the session ends.
        grace_seconds: time that a lost connection has to return.
        message_bytes, messages_per_second: of the control channel.
    """

    sessions: int = 8
    per_address: int = 4
    viewers: int = 4
    grace_seconds: float = 30.0
    idle_seconds: float = 60.0
    max_seconds: float | None = 3600.0
    sdp_bytes: int = 65_536
    message_bytes: int = 4096
    messages_per_second: float = 20.0

    def __post_init__(self) -> None:
        if min(self.sessions, self.per_address, self.sdp_bytes, self.message_bytes) < 1 or self.viewers < 0:
            raise ServeSettingsError(f"limits: expected at least one of each, got {self}")
        if self.grace_seconds < 0 or self.idle_seconds <= 0 or self.messages_per_second <= 0:
            raise ServeSettingsError(f"limits: expected times and rates above zero, got {self}")
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise ServeSettingsError(f"limits: expected a maximum time above zero, got {self.max_seconds:g}")


@dataclass(frozen=True, slots=True)
class TurnSecret:
    """A TURN server that checks credentials made from a shared secret (coturn's `use-auth-secret`)."""

    url: str
    secret: str = field(repr=False)
    seconds: int = 3600


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of `dynstream serve`, without the engine.

    Attributes:
        host, port: of HTTP; port 0 takes a free one.
        token: required of every client, None for none.
        insecure: allow an address other than localhost without a token.
        origins: of other pages that may call.
        addresses: that media listen on, None for every one of the machine.
        certificate, key: PEM files for TLS.
        presets: name -> edits.
        max_size: (width, height), largest size of edited pictures.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    insecure: bool = False
    origins: Sequence[str] = ()
    ice_servers: Sequence[IceServer] = ()
    turn: TurnSecret | None = None
    ports: PortRange | None = None
    addresses: Sequence[str] | None = None
    public_address: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    watermark: bool = True
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    max_latency_ms: float = 400.0
    max_size: tuple[int, int] = (1280, 720)
    max_frame_rate: int = 30
    rate: VideoRate = field(default_factory=VideoRate)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ServeSettingsError(f"--port {self.port}: expected 0 to 65535")
        if self.token is not None and (len(self.token) < LEAST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", self.token)):
            raise ServeSettingsError(
                f"the token has {len(self.token)} characters; expected at least {LEAST_TOKEN}, printable ASCII without "
                "spaces; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if not self.is_local and self.token is None and not self.insecure:
            raise ServeSettingsError(
                f"--host {self.host} can be reached by others: give --token-file (or --token), or --insecure where "
                "everybody who can reach it may use it"
            )
        if (self.certificate is None) != (self.key is None):
            raise ServeSettingsError("TLS needs both --tls-cert and --tls-key")
        if self.public_address is not None:
            try:
                ipaddress.ip_address(self.public_address)
            except ValueError:
                raise ServeSettingsError(f"--public-ip {self.public_address}: expected an IP address") from None
        for origin in self.origins:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ServeSettingsError(f"--origin {origin}: expected one as in https://example.org, without a path")

    @property
    def is_local(self) -> bool:
        """Whether HTTP can be reached from this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
