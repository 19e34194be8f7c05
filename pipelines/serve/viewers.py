"""The WHEP viewers of one stream."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...stream.webrtc.peer import Peer


@dataclass(slots=True)
class Viewer:
    """One connection.

    Attributes:
        address: what limits for each address count by.
        shared: it came by the share link.
        waiting_since: until it is connected; then None.
    """

    peer: Peer
    address: str
    shared: bool
    waiting_since: float | None


class Viewers:
    """Of one stream. left: told of each connection that ends. clock: seconds."""

    def __init__(
        self, connect_seconds: float, left: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect_seconds = connect_seconds
        self._left = left
        self._clock = clock
        self._found: dict[str, Viewer] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._found))

    def of_address(self, address: str) -> int:
        """Connections of one address."""
        return sum(viewer.address == address for viewer in self._found.values())

    def add(self, peer: Peer, address: str, *, shared: bool) -> str:
        """Returns the name of the connection."""
        self._number += 1
        name = f"{self._number}-{secrets.token_urlsafe(6)}"
        viewer = self._found[name] = Viewer(peer, address, shared, self._clock())

        def told(state: str) -> None:
            if state == "connected":
                viewer.waiting_since = None
            elif state in ("failed", "closed"):
                self._left(name)

        peer.on_state(told)
        return name

    def remove(self, name: str) -> Peer | None:
        """Forget a connection; None if it is gone already."""
        viewer = self._found.pop(name, None)
        return None if viewer is None else viewer.peer

    def late(self) -> list[str]:
        """Those that did not connect in time."""
        now = self._clock()
        return [
            name
            for name, viewer in self._found.items()
            if viewer.waiting_since is not None and now - viewer.waiting_since > self._connect_seconds
        ]

    def by_link(self) -> list[str]:
        """Those that came by the share link."""
        return [name for name, viewer in self._found.items() if viewer.shared]
