"""The addresses and ports of media, and the public address that a peer is told.

aioice listens on every address but loopback, on ports that the system chooses, and offers no setting for either
(its pull request for a port range is open). Both pass through one function each.
"""

import asyncio
import ipaddress
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aioice.ice
from aiortc import RTCPeerConnection

from ..errors import SourceError
from .private import get_private

_CANDIDATE: Final = re.compile(r"^(a=candidate:\S+ \d+ udp \d+ )(\S+)( \d+ typ host.*)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports first..last, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1024 <= self.first <= self.last <= 65535:
            raise SourceError(f"UDP ports {self.first}-{self.last}: expected FIRST-LAST within 1024-65535")


def parse_ports(text: str) -> PortRange:
    """`40000-40100`. Raises SourceError for anything else."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None:
        raise SourceError(f"UDP ports {text!r}: expected FIRST-LAST, as in 40000-40100")
    return PortRange(int(match[1]), int(match[2]))


def use_ports(loop: asyncio.AbstractEventLoop, ports: PortRange, chooser: random.Random | None = None) -> None:
    """From now on UDP sockets that this event loop opens without a port get one of these.

    Raises OSError, where a socket is opened, when all of them are taken.
    """
    patched: Any = loop
    create = patched.create_datagram_endpoint
    choose = chooser or random.Random()

    async def create_in_range(factory: Any, local_addr: Any = None, **settings: Any) -> Any:
        if not local_addr or local_addr[1] != 0:
            return await create(factory, local_addr=local_addr, **settings)
        candidates = list(range(ports.first, ports.last + 1))
        choose.shuffle(candidates)
        for port in candidates:
            try:
                return await create(factory, local_addr=(local_addr[0], port), **settings)
            except OSError:
                continue
        raise OSError(f"every UDP port of {ports.first}-{ports.last} is taken on {local_addr[0]}")

    patched.create_datagram_endpoint = create_in_range


def listen_on(peer: RTCPeerConnection, addresses: Sequence[str]) -> None:
    """Gather host candidates of these addresses alone, before the local description is set."""
    for transport in get_private(peer, "iceTransports"):
        connection = transport.iceGatherer._connection
        connection.get_component_candidates = _Gather(connection, list(addresses))


class _Gather:
    """aioice's `Connection.get_component_candidates` with other addresses."""

    def __init__(self, connection: Any, addresses: list[str]) -> None:
        self._gather = connection.get_component_candidates
        self._addresses = addresses

    async def __call__(self, component: int, addresses: list[str], timeout: int = 5) -> Any:
        return await self._gather(component=component, addresses=self._addresses, timeout=timeout)


def usable_addresses() -> list[str]:
    """The addresses that aioice would use; loopback where the machine has no other."""
    found = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    return [address for address in found if not ipaddress.ip_address(address.partition("%")[0]).is_link_local] or [
        "127.0.0.1"
    ]


def announce(sdp: str, public_address: str) -> str:
    """An SDP whose host candidates are told at a public address, too, as behind a NAT that maps ports one to one."""
    version = ipaddress.ip_address(public_address).version

    def add(match: re.Match[str]) -> str:
        try:
            same = ipaddress.ip_address(match[2]).version == version
        except ValueError:
            same = False
        return f"{match[1]}{public_address}{match[3]}\r\n{match[0]}" if same else match[0]

    return _CANDIDATE.sub(add, sdp)
