"""Clients that wait for a place, in the order in which they came."""

import secrets
import time
from collections.abc import Callable
from typing import Final

KEPT_SECONDS: Final = 15.0
"""Seconds after which a client that did not ask again has left."""

LONGEST: Final = 64


class WaitingLine:
    """A client shows its ticket each time it asks. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def place(self, ticket: str | None = None) -> int:
        """How many are before this client, 0 for the first; a client without a ticket comes after all others."""
        now = self._clock()
        self._seen = {one: seen for one, seen in self._seen.items() if now - seen <= KEPT_SECONDS}
        order = list(self._seen)
        return order.index(ticket) if ticket in self._seen else len(order)

    def wait(self, ticket: str) -> tuple[str, int]:
        """(its ticket, its place from 1 on) for a client that found no room; "" for one more than may wait."""
        before = self.place(ticket)
        if ticket not in self._seen:
            if before >= LONGEST:
                return "", before + 1
            ticket = secrets.token_urlsafe(9)
        self._seen[ticket] = self._clock()
        return ticket, before + 1

    def leave(self, ticket: str | None) -> None:
        """It has found its place."""
        self._seen.pop(ticket or "", None)

    def __len__(self) -> int:
        self.place()
        return len(self._seen)
