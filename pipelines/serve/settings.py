"""The settings of the server, with defaults and checks."""

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...stream.webrtc.candidates import CandidateRules, Network
from ...stream.webrtc.encoders import VideoRate
from ...stream.webrtc.network import PortRange
from ...stream.webrtc.peer import IceServer
from ..compositing.mark import PLAIN, MarkStyle
from ..credentials.identity import Identity
from .rights import ADMIN, ALL, Caller, Token, find_token
from .settings_error import ServeSettingsError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server.

    Attributes:
        sessions, per_address: sessions at a time; per_address limits viewers, too. Times in seconds; None for no limit.
        connections, connections_per_address: of HTTP, at a time.
        connect_seconds: time in which an answered offer must become a connection.
        silent_seconds: time without a packet after which a connection counts as lost.
        body_seconds: time that a request's body may take.
        idle_seconds: time without a frame until the session ends.
        grace_seconds: time that a lost connection has to return.
        message_bytes, messages_per_second: of the control channel.
    """

    sessions: int = 8
    per_address: int = 4
    viewers: int = 4
    connections: int = 512
    connections_per_address: int = 64
    connect_seconds: float = 10.0
    silent_seconds: float = 10.0
    body_seconds: float = 10.0
    grace_seconds: float = 30.0
    idle_seconds: float = 60.0
    max_seconds: float | None = 3600.0
    sdp_bytes: int = 65_536
    message_bytes: int = 4096
    messages_per_second: float = 20.0

    def __post_init__(self) -> None:
        counts = self.sessions, self.per_address, self.connections, self.connections_per_address, self.sdp_bytes
        if min(*counts, self.message_bytes) < 1 or self.viewers < 0:
            raise ServeSettingsError(f"limits: expected at least one of each, got {self}")
        times = (
            self.idle_seconds,
            self.messages_per_second,
            self.connect_seconds,
            self.silent_seconds,
            self.body_seconds,
        )
        if self.grace_seconds < 0 or min(times) <= 0:
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
class RecordingSigner:
    """Who signs.

    Attributes:
        models: the files that draw, name -> sha256.
        portrait: name of the picture that is moved, "" where faces are edited. consent: why it may be.
    """

    identity: Identity
    models: Mapping[str, str] = field(default_factory=dict)
    portrait: str = ""
    consent: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of `dynstream serve`, without the engine.

    Attributes:
        host, port: of HTTP; port 0 takes a free one.
        tokens: of which every client must bring one; empty for none.
        base_path: "" or /PREFIX, under which everything is, too.
        proxies: networks whose X-Forwarded-For is believed.
        server: a name that begins the names of sessions, so that proxies can tell this server's; "" for none.
        insecure: allow an address other than localhost without a token.
        origins: of other pages that may call.
        addresses: that media listen on, None for every one of the machine.
        certificate, key: PEM files for TLS.
        watermark, mark: whether edited pictures are marked, and how that looks.
        presets: name -> edits.
        recordings: who signs those of pages, None for nobody.
        keep: folder for the edits of streams that are published by name, None to keep them for a session alone.
        max_size: (width, height), largest size of edited pictures.
        max_source: (width, height), largest size that is decoded at all.
        port_of_all: one UDP port for all connections; None for one each, of `ports`.
        measure_seconds: for which the device is measured at the start; 0 for not at all.
        drain_seconds: for which sessions go on after the server was told to end.
        candidates: which addresses of clients are sent connectivity checks.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tokens: tuple[Token, ...] = ()
    insecure: bool = False
    origins: Sequence[str] = ()
    base_path: str = ""
    proxies: tuple[Network, ...] = ()
    server: str = ""
    ice_servers: Sequence[IceServer] = ()
    turn: TurnSecret | None = None
    ports: PortRange | None = None
    port_of_all: int | None = None
    addresses: Sequence[str] | None = None
    public_address: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    watermark: bool = True
    mark: MarkStyle = PLAIN
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    keep: Path | None = None
    recordings: RecordingSigner | None = None
    max_latency_ms: float = 400.0
    max_size: tuple[int, int] = (1280, 720)
    max_source: tuple[int, int] = (1920, 1080)
    max_frame_rate: int = 30
    measure_seconds: float = 0.0
    drain_seconds: float = 10.0
    candidates: CandidateRules = field(default_factory=CandidateRules)
    rate: VideoRate = field(default_factory=VideoRate)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ServeSettingsError(f"--port {self.port}: expected 0 to 65535")
        if not self.is_local and not self.tokens and not self.insecure:
            raise ServeSettingsError(
                f"--host {self.host} can be reached by others: give --token-file, or --insecure where everybody who "
                "can reach it may use it"
            )
        if self.proxies and not self.tokens and not self.insecure:
            raise ServeSettingsError(
                "--trusted-proxy brings others to this server: give --token-file, or --insecure where everybody "
                "who can reach the proxy may use it"
            )
        if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", self.base_path):
            raise ServeSettingsError(
                f"--base-path {self.base_path}: expected one as in /faces, without a slash at its end"
            )
        if not re.fullmatch(r"[a-z0-9]{0,16}", self.server):
            raise ServeSettingsError(f"--server-name {self.server}: expected up to 16 lower-case letters and digits")
        if self.keep is not None and not self.keep.is_dir():
            raise ServeSettingsError(f"--keep {self.keep}: expected a folder; make it first: mkdir -p {self.keep}")
        self._check_media()
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

    def _check_media(self) -> None:
        """What concerns media. Raises ServeSettingsError."""
        if not 50 <= self.max_latency_ms <= 5000:
            raise ServeSettingsError(f"--max-latency {self.max_latency_ms:g}: expected 50 to 5000 ms")
        if not (min(self.max_source) >= 16 and max(self.max_source) <= 8192):
            raise ServeSettingsError("--max-source: expected WIDTHxHEIGHT from 16 to 8192")
        if self.measure_seconds < 0 or self.drain_seconds < 0:
            raise ServeSettingsError("--measure, --drain: expected seconds from 0 on")
        if self.ports is not None and self.port_of_all is not None:
            raise ServeSettingsError("--udp-port and --udp-ports: give one of them")
        if self.port_of_all is not None and not 1024 <= self.port_of_all <= 65535:
            raise ServeSettingsError(f"--udp-port {self.port_of_all}: expected 1024 to 65535")
        for address in self.addresses or ():
            check_own(address)

    @property
    def everybody(self) -> frozenset[str]:
        """The rights of a client without a token: none where there are tokens; on this machine alone all."""
        if self.tokens:
            return frozenset()
        return ALL if self.is_local and not self.insecure else ALL - {ADMIN}

    def caller(self, secret: str) -> Caller:
        """Who brings this secret ("" for none)."""
        token = find_token(self.tokens, secret)
        return Caller(secret, token.rights, token.streams) if token else Caller(secret, self.everybody)


def check_own(address: str) -> None:
    """Raises ServeSettingsError unless media can be received at an address of this machine."""
    try:
        version = ipaddress.ip_address(address.partition("%")[0]).version
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM)[0][4])
    except (ValueError, OSError):
        raise ServeSettingsError(f"--media-address {address}: expected an address of this machine") from None
