"""The TCP connections of a server: few, few of one address, and none that keeps us waiting for its request.

aiohttp has no timeout for a request's header, and asyncio's listener takes every connection there is. Here a new
connection that finds no room takes the place of one that is without a whole request: the one that has waited longest,
of the address that has most of them, so that a flood from a few addresses costs nobody else a place. Where all are at
work, the new one is closed.
"""

import asyncio
import itertools
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from .addresses import limit_key

HEADER_SECONDS: Final = 10.0
"""From the connection to the end of its first request's header, the TLS handshake included."""

IDLE_SECONDS: Final = 75.0
"""Between requests: longer than a proxy keeps its own."""

ANSWER_SECONDS: Final = 60.0
"""For a request and its answer."""

RETRY_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Connection:
    """One of them.

    Attributes:
        owner: the address, or the connection alone where it comes through a proxy of ours.
        since: when it last became idle, or its request began.
        at_work: a request is being answered.
        fresh: it has not had a request yet.
    """

    number: int
    sock: socket.socket
    owner: Hashable
    since: float
    at_work: bool = False
    fresh: bool = True
    transport: asyncio.Transport | None = None
    task: "asyncio.Task[Any] | None" = None

    def cut(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()
        elif self.task is not None:
            self.task.cancel()
            self.task.add_done_callback(lambda _task: self.sock.close())  # it may not have begun


class Connections:
    """Accepts, counts and ends them. most, most_per_address: at a time. clock: seconds."""

    def __init__(
        self,
        most: int,
        most_per_address: int,
        *,
        trusted: Callable[[str], bool] = lambda address: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._trusted = trusted
        self._clock = clock
        self._open: dict[int, Connection] = {}
        self._held: Counter[Hashable] = Counter()
        self._idle: dict[Hashable, dict[int, Connection]] = {}  # of each owner, the longest idle first
        self._numbers = itertools.count(1)
        self.refused = 0
        self.cut = 0

    def __len__(self) -> int:
        return len(self._open)

    async def accept_for_ever(self, listener: socket.socket, server: web.Server, tls: ssl.SSLContext | None) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError as error:  # no descriptors; the next that ends gives one back
                log.warning("no connection can be accepted: %s", error.strerror)
                self._make_room()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._take(sock, str(peer[0]), server, tls)
            await asyncio.sleep(0)  # a flood is accepted without a pause otherwise, and nothing else happens

    def _take(self, sock: socket.socket, address: str, server: web.Server, tls: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        number = next(self._numbers)
        owner: Hashable = number if self._trusted(address) else limit_key(address)
        if (self._held[owner] >= self._most_per_address and not self._make_room(owner)) or (
            len(self._open) >= self._most and not self._make_room()
        ):
            self.refused += 1
            sock.close()
            return
        one = self._open[number] = Connection(number, sock, owner, self._clock())
        self._held[owner] += 1
        self._idle.setdefault(owner, {})[number] = one
        one.task = asyncio.ensure_future(self._connect(one, server, tls))

    async def _connect(self, one: Connection, server: web.Server, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        more: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": HEADER_SECONDS}
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: _Handler(self, one.number, server), one.sock, **more
            )
        except (OSError, asyncio.CancelledError):  # its handshake failed, or it was cut off
            self.closed(one.number)
            one.sock.close()
            return
        one.transport = transport

    def _make_room(self, owner: Hashable | None = None) -> bool:
        """End the connection that has waited longest without a whole request: of one owner, or of the one who has most
        such. Returns whether there was one.
        """
        if owner is None:
            owner = max(
                self._idle, key=lambda one: (len(self._idle[one]), -_longest(self._idle[one]).since), default=None
            )
        if owner not in self._idle:
            return False
        self._end(_longest(self._idle[owner]))
        return True

    def _end(self, one: Connection) -> None:
        self.cut += 1
        self.closed(one.number)
        one.cut()

    def sweep(self) -> None:
        """End those whose time is over."""
        now = self._clock()
        for one in list(self._open.values()):
            most = ANSWER_SECONDS if one.at_work else HEADER_SECONDS if one.fresh else IDLE_SECONDS
            if now - one.since > most:
                self._end(one)

    def at_work(self, number: int, working: bool) -> None:
        """A request's header is complete, or its answer is sent."""
        one = self._open.get(number)
        if one is not None:
            self._wake(one)
            one.at_work, one.since, one.fresh = working, self._clock(), False
            if not working:
                self._idle.setdefault(one.owner, {})[number] = one

    def closed(self, number: int) -> None:
        """A connection is gone."""
        one = self._open.pop(number, None)
        if one is not None:
            self._wake(one)
            self._held[one.owner] -= 1
            if not self._held[one.owner]:
                del self._held[one.owner]

    def _wake(self, one: Connection) -> None:
        """It is idle no longer."""
        same = self._idle.get(one.owner, {})
        same.pop(one.number, None)
        if not same:
            self._idle.pop(one.owner, None)


def _longest(idle: Mapping[int, Connection]) -> Connection:
    return next(iter(idle.values()))


class _Handler(web.RequestHandler):
    """aiohttp's, that tells when it ends. number: of its connection."""

    __slots__ = ("connections", "number")

    def __init__(self, connections: Connections, number: int, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=2.0,
        )
        self.connections = connections
        self.number = number

    def connection_lost(self, exc: BaseException | None) -> None:
        self.connections.closed(self.number)
        super().connection_lost(exc)


def began(request: web.Request) -> None:
    """A request has come whole but for its body."""
    if isinstance(request.protocol, _Handler):
        request.protocol.connections.at_work(request.protocol.number, True)


def ended(request: web.Request) -> None:
    """Its answer is on its way."""
    if isinstance(request.protocol, _Handler):
        request.protocol.connections.at_work(request.protocol.number, False)
