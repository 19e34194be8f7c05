"""The address of a client: of its connection, or of the one that a trusted proxy names."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from ...stream.webrtc.candidates import Network
from .settings_error import ServeSettingsError

NEIGHBOURS: Final = 64
"""Bits of an IPv6 address that stand for one customer: all of one /64 share their limits."""


def read_networks(texts: Sequence[str], option: str) -> tuple[Network, ...]:
    """Addresses and networks. Raises ServeSettingsError."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ServeSettingsError(f"{option}: {error}; expected an address or a network, as in 10.0.0.0/8") from None


def client_address(request: web.Request, proxies: Sequence[Network]) -> str:
    """Where a request comes from: behind trusted proxies the last address of X-Forwarded-For that is none of them."""
    address = request.remote or ""
    named = [part.strip() for line in request.headers.getall("X-Forwarded-For", []) for part in line.split(",")]
    while named and is_in(address, proxies):
        address = named.pop().strip("[]")
    return _plain(address)


def limit_key(address: str) -> str:
    """What limits for each address count by."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, NEIGHBOURS), strict=False)) if parsed.version == 6 else str(parsed)


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is of one of the networks; what is no address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _plain(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed)
