"""Several connections over one UDP port."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from aioice import stun

from dynstream.stream.webrtc.client import LiveClient
from dynstream.stream.webrtc.datagrams import read_until_empty
from dynstream.stream.webrtc.peer import Peer, PeerSettings, answer_offer
from dynstream.stream.webrtc.shared_port import SILENT_SECONDS, SharedPort, share_port

from .clock import Clock


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_three_connections_share_a_port_and_one_that_leaves_does_not_close_it() -> None:
    async def story() -> None:
        loop: Any = asyncio.get_running_loop()
        read_until_empty(loop)
        port, peers, own = free_port(), list[Peer](), loop.create_datagram_endpoint
        close = share_port(loop, port)
        shared = loop.create_datagram_endpoint
        loop.create_datagram_endpoint = own
        with ThreadPoolExecutor(1) as executor:
            settings = PeerSettings(executor, addresses=("127.0.0.1",))

            async def signal(offer: str) -> str:
                loop.create_datagram_endpoint = shared  # of the server alone: the clients share this loop
                peers.append(await answer_offer(offer, settings))
                loop.create_datagram_endpoint = own
                return peers[-1].answer

            clients = [LiveClient(None, addresses=("127.0.0.1",), channel="dynstream") for _ in range(3)]
            try:
                async with asyncio.timeout(60):
                    for client in clients:
                        await client.connect(signal)
                    while any(peer.state != "connected" for peer in peers):
                        await asyncio.sleep(0.01)
                    assert all(f" {port} typ host" in peer.answer for peer in peers)
                    await peers[0].close()
                    before = peers[1].bytes_received
                    assert clients[1].channel is not None
                    clients[1].channel.send(b"x")
                    while peers[1].bytes_received <= before:
                        await asyncio.sleep(0.01)
            finally:
                for one in (*clients, *peers):
                    await one.close()
                close()

    asyncio.run(story())


class FakeConnection:
    """A connection's protocol, as far as a shared port knows it."""

    def __init__(self, name: str) -> None:
        self.receiver = SimpleNamespace(local_username=name, local_password=name * 8)
        self.got: list[bytes] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.got.append(data)


def check_for(name: str, password: str) -> bytes:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{name}:them"
    message.add_message_integrity(password.encode())
    return bytes(message)


def test_an_address_belongs_to_the_connection_whose_check_it_passed_until_it_is_silent() -> None:
    clock, sent = Clock(), list[Any]()
    port = SharedPort(clock)
    port.transport = SimpleNamespace(sendto=lambda data, address: sent.append(address))
    one, two, three = FakeConnection("onex"), FakeConnection("twox"), FakeConnection("threex")
    for connection in (one, two, three):
        port.join(connection)
    here, there = ("192.0.2.1", 5), ("192.0.2.2", 6)
    for strange in (b"media", b"", b"\x00" * 30, check_for("nobody", "x"), check_for("onex", "guessed")):
        port.datagram_received(strange, here)
    assert not one.got
    port.datagram_received(check_for("onex", "onex" * 8), here)
    port.datagram_received(b"media", here)
    port.send(two, b"check", here)  # a candidate of its offer; it does not take the address from the other
    port.datagram_received(check_for("twox", "twox" * 8), here)
    assert (len(one.got), len(two.got)) == (3, 0)
    port.send(two, b"check", there)
    port.datagram_received(b"answer", there)
    assert two.got == [b"answer"]
    clock.pass_time(SILENT_SECONDS)
    port.datagram_received(check_for("threex", "threex" * 8), here)
    port.datagram_received(b"media", here)
    assert len(three.got) == 2
    port.leave(three)
    port.datagram_received(b"media", here)
    assert (len(one.got), len(three.got), len(sent)) == (3, 2, 2)
