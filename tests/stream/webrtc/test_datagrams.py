import asyncio
import inspect
import socket
from typing import Any

import pytest

from dynstream.stream.webrtc import datagrams
from dynstream.stream.webrtc.datagrams import read_until_empty
from dynstream.stream.webrtc.network import PortRange, use_ports


class Turns(asyncio.DatagramProtocol):
    """Notes in which turn of the event loop each datagram came."""

    def __init__(self) -> None:
        self.turn = 0
        self.came: list[tuple[int, bytes]] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.came.append((self.turn, data))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


async def receive(count: int, *, own: bool) -> Turns:
    loop = asyncio.get_running_loop()
    if own:
        read_until_empty(loop)
        read_until_empty(loop)
    transport, protocol = await loop.create_datagram_endpoint(Turns, local_addr=("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(b"%d" % number, transport.get_extra_info("sockname"))
    while len(protocol.came) < count:
        protocol.turn += 1
        await asyncio.sleep(0)
    transport.close()
    await asyncio.sleep(0)
    return protocol


def test_asyncio_reads_one_datagram_a_turn() -> None:
    came = asyncio.run(receive(20, own=False)).came
    assert len({turn for turn, _ in came}) == 20  # where this fails datagrams.py can go
    assert "_add_reader" in dir(asyncio.SelectorEventLoop)


def test_a_socket_is_emptied_in_one_turn_in_order() -> None:
    came = asyncio.run(receive(100, own=True)).came
    assert [data for _, data in came] == [b"%d" % number for number in range(100)]
    assert len({turn for turn, _ in came}) == 1


def test_a_flood_leaves_turns_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "MOST_AT_ONCE", 8)
    came = asyncio.run(receive(40, own=True)).came
    assert len({turn for turn, _ in came}) == 5


def test_errors_and_the_end_are_told_and_the_range_of_ports_holds() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        use_ports(loop, PortRange(41_000, 41_900))
        read_until_empty(loop)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            closed = nobody.getsockname()
        transport, protocol = await loop.create_datagram_endpoint(Turns, local_addr=("127.0.0.1", 0))
        assert 41_000 <= transport.get_extra_info("sockname")[1] <= 41_900

        class Refusing:
            def recvfrom(self, size: int) -> None:
                raise ConnectionRefusedError(closed)

        datagrams.empty(transport, protocol, Refusing())()
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        transport.close()
        datagrams.empty(transport, protocol, Refusing())()
        assert len(protocol.errors) == 1
        await asyncio.sleep(0)

    asyncio.run(story())


def test_the_transport_has_the_parts_that_are_used() -> None:
    source = inspect.getsource(asyncio.selector_events._SelectorDatagramTransport)
    assert "self._sock.recvfrom" in source
