"""Reads a media socket until it is empty.

asyncio takes one datagram from a socket for each turn of its event loop. Where a turn takes long (a handshake, several
clients that connect at once, a machine that does other work) packets wait in the kernel for as many turns as there are
packets in front of them: pictures grow seconds old though no queue of ours holds anything, and where the kernel's
buffer is full packets are lost.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

MOST_AT_ONCE: Final = 128
"""Datagrams of one socket in one turn; the other sockets and tasks come after them."""

LARGEST: Final = 65_536


def read_until_empty(loop: asyncio.AbstractEventLoop) -> None:
    """From now on UDP sockets that this event loop opens are emptied in each turn; a second call does nothing.

    An event loop that is not made as asyncio's own for sockets (Windows' proactor) is left as it is.
    """
    patched: Any = loop
    create = patched.create_datagram_endpoint
    if not isinstance(loop, asyncio.SelectorEventLoop) or getattr(create, "reads_until_empty", False):
        return

    async def create_emptied(factory: Any, *arguments: Any, **settings: Any) -> Any:
        transport, protocol = await create(factory, *arguments, **settings)
        parts = getattr(transport, "_sock", None), getattr(transport, "_sock_fd", None)
        if None not in parts and hasattr(patched, "_add_reader"):
            patched._add_reader(parts[1], empty(transport, protocol, parts[0]))
        return transport, protocol

    create_emptied.reads_until_empty = True  # type: ignore[attr-defined]
    patched.create_datagram_endpoint = create_emptied


def empty(transport: Any, protocol: Any, sock: Any) -> Callable[[], None]:
    """What is done when a socket has something to read."""

    def read() -> None:
        for _ in range(MOST_AT_ONCE):
            if transport.is_closing():
                return
            try:
                data, address = sock.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # such as a peer's closed port; the socket still works
                protocol.error_received(error)
                return
            protocol.datagram_received(data, address)

    return read
