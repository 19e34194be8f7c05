"""The candidates of a peer that are asked: few, and where told so of some networks alone.

An offer may name any address, and an agent sends STUN to each. A peer that reaches us is answered wherever it comes
from: its own checks make it a candidate.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LEAST_PORT = 1024
"""Media do not come from the ports of well-known services."""


@dataclass(frozen=True, slots=True)
class CandidateRules:
    """networks: of candidates that may be asked; empty for any. most: of one connection."""

    networks: tuple[Network, ...] = ()
    most: int = 16

    def allows(self, line: str) -> bool:
        """Whether a candidate ("candidate:..." or "a=candidate:...") may be asked; one that cannot be read may not."""
        parts = line.split()
        if len(parts) < 8 or parts[2].lower() != "udp" or not parts[5].isascii() or not parts[5].isdecimal():
            return False
        if not LEAST_PORT <= int(parts[5][:6]) <= 65535:
            return False
        if parts[4].lower().endswith(".local"):
            return not self.networks  # resolved in our own network, by multicast
        try:
            address = ipaddress.ip_address(parts[4].partition("%")[0])
        except ValueError:
            return False
        if address.is_multicast or address.is_unspecified or address == ipaddress.ip_address("255.255.255.255"):
            return False
        return not self.networks or any(address in network for network in self.networks)

    def few(self, lines: Iterable[str], before: int = 0) -> list[str]:
        """Those of the lines that may be asked. before: how many were taken already."""
        return [line for line in lines if self.allows(line)][: max(0, self.most - before)]


def keep_candidates(offer: str, rules: CandidateRules) -> tuple[str, int]:
    """(an offer without the candidates that may not be asked, how many it has left)."""
    lines = offer.splitlines()
    asked = list(dict.fromkeys(line for line in lines if line.lower().startswith("a=candidate:")))
    kept = set(rules.few(asked))
    out = [line for line in lines if not line.lower().startswith("a=candidate:") or line in kept]
    return "\r\n".join(out) + "\r\n", len(kept)
