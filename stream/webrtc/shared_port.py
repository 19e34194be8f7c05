"""One UDP port for every connection: a firewall opens one, a container publishes one.

aioice opens a socket for each connection and each address. Each gets a transport here that sends by the one socket of
its address. What comes is told apart by the address it comes from, which is first learned from a connectivity check:
that names the user fragment of its connection (RFC 8445, 7.2.2).
"""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from aioice import stun

SILENT_SECONDS: Final = 5.0
"""After which an address may go over to another connection that it names."""

RECEIVE_BYTES: Final = 4 << 20
COOKIE: Final = b"\x21\x12\xa4\x42"


class SharedPort(asyncio.DatagramProtocol):
    """The socket of one address. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_fragment: dict[str, Any] = {}
        self._by_address: dict[tuple[str, int], tuple[Any, float]] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = transport

    def join(self, protocol: Any) -> "SharedTransport":
        """A transport for a connection's protocol."""
        self._by_fragment[protocol.receiver.local_username] = protocol
        return SharedTransport(self, protocol)

    def leave(self, protocol: Any) -> None:
        """The connection has ended."""
        self._by_fragment = {name: one for name, one in self._by_fragment.items() if one is not protocol}
        self._by_address = {where: seen for where, seen in self._by_address.items() if seen[0] is not protocol}

    def send(self, protocol: Any, data: bytes, address: tuple[str, int]) -> None:
        """Send for a connection; answers from there are its own unless the address is another's."""
        self._by_address.setdefault((address[0], address[1]), (protocol, self._clock() - SILENT_SECONDS))
        self.transport.sendto(data, address)

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        """Hand it to its connection; what belongs to none is dropped."""
        where, now = (address[0], address[1]), self._clock()
        known, seen = self._by_address.get(where, (None, 0.0))
        if (known is None or now - seen >= SILENT_SECONDS) and (named := self._named(data)) is not None:
            known = named
        if known is not None:
            self._by_address[where] = known, now
            known.datagram_received(data, address)

    def _named(self, data: bytes) -> Any:
        if len(data) < 20 or data[0] > 3 or data[4:8] != COOKIE:
            return None
        try:
            message = stun.parse_message(data)
        except ValueError:
            return None
        name = str(message.attributes.get("USERNAME", ""))
        protocol = self._by_fragment.get(name.partition(":")[0])
        if protocol is None or not message.check_message_integrity(protocol.receiver.local_password.encode()):
            return None
        return protocol

    def error_received(self, error: Exception) -> None:
        """An answer of the network to something sent; nobody knows to whose."""


class SharedTransport(asyncio.DatagramTransport):
    """What a connection takes for its own socket."""

    def __init__(self, port: SharedPort, protocol: Any) -> None:
        super().__init__()
        self._port = port
        self._protocol = protocol
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send from the shared port."""
        if not self._closing:
            self._port.send(self._protocol, data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the shared socket."""
        return self._port.transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing

    def close(self) -> None:
        """Leave the port, which stays open."""
        if not self._closing:
            self._closing = True
            self._port.leave(self._protocol)
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """The same."""
        self.close()


def share_port(loop: asyncio.AbstractEventLoop, port: int) -> Callable[[], None]:
    """From now on connections that this event loop opens without a port of their own share this one, on each address.

    Returns what closes the sockets. Raises OSError, where the first connection is made, if the port is taken.
    """
    patched: Any = loop
    create = patched.create_datagram_endpoint
    ports: dict[str, SharedPort] = {}
    opening = asyncio.Lock()

    async def create_shared(factory: Any, local_addr: Any = None, **settings: Any) -> Any:
        if not local_addr or local_addr[1] != 0:
            return await create(factory, local_addr=local_addr, **settings)
        async with opening:
            if local_addr[0] not in ports:
                _, shared = await create(SharedPort, local_addr=(local_addr[0], port), **settings)
                _enlarge(shared.transport)
                ports[local_addr[0]] = shared
        protocol = factory()
        transport = ports[local_addr[0]].join(protocol)
        protocol.connection_made(transport)
        return transport, protocol

    def close() -> None:
        for shared in ports.values():
            shared.transport.close()

    patched.create_datagram_endpoint = create_shared
    return close


def _enlarge(transport: Any) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
