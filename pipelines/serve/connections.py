"""The TCP connections of a server: few, few of one address, and none that keeps us waiting for its request.

aiohttp has no timeout for a request's header, and asyncio's listener takes every connection there is. Here a new
connection that finds no room takes the place of the one that has waited longest without a whole request; where all are
at work, the new one is closed.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
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
        since: when it last became idle, or its request began.
        at_work: a request is being answered.
        fresh: it has not had a request yet.
    """

    sock: socket.socket
    address: str
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
        self._numbers = iter(range(1, 1 << 62))
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
                self._make_room(list(self._open.values()))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._take(sock, str(peer[0]), server, tls)
            await asyncio.sleep(0)  # a flood is accepted without a pause otherwise, and nothing else happens

    def _take(self, sock: socket.socket, address: str, server: web.Server, tls: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        key = limit_key(address)
        same = [one for one in self._open.values() if one.address == key]
        crowded = len(same) >= self._most_per_address and not self._trusted(address)
        if (crowded and not self._make_room(same)) or (
            len(self._open) >= self._most and not self._make_room(list(self._open.values()))
        ):
            self.refused += 1
            sock.close()
            return
        number, one = next(self._numbers), Connection(sock, key, self._clock())
        self._open[number] = one
        one.task = asyncio.ensure_future(self._connect(number, one, server, tls))

    async def _connect(self, number: int, one: Connection, server: web.Server, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        more: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": HEADER_SECONDS}
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: _Handler(self, number, server), one.sock, **more)
        except (OSError, asyncio.CancelledError):  # its handshake failed, or it was cut off
            self._open.pop(number, None)
            one.sock.close()
            return
        one.transport = transport

    def _make_room(self, among: list[Connection]) -> bool:
        """End the connection that has waited longest without a whole request. Returns whether there was one."""
        idle = [one for one in among if not one.at_work]
        if not idle:
            return False
        oldest = min(idle, key=lambda one: one.since)
        self.cut += 1
        self._forget(oldest)
        oldest.cut()
        return True

    def _forget(self, gone: Connection) -> None:
        self._open = {number: one for number, one in self._open.items() if one is not gone}

    def sweep(self) -> None:
        """End those whose time is over."""
        now = self._clock()
        for one in list(self._open.values()):
            most = ANSWER_SECONDS if one.at_work else HEADER_SECONDS if one.fresh else IDLE_SECONDS
            if now - one.since > most:
                self.cut += 1
                self._forget(one)
                one.cut()

    def at_work(self, number: int, working: bool) -> None:
        """A request's header is complete, or its answer is sent."""
        one = self._open.get(number)
        if one is not None:
            one.at_work, one.since, one.fresh = working, self._clock(), False

    def closed(self, number: int) -> None:
        """A connection is gone."""
        self._open.pop(number, None)


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
