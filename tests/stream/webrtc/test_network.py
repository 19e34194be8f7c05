import asyncio
import random
import socket

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from dynstream.stream.errors import SourceError
from dynstream.stream.webrtc.network import PortRange, announce, listen_on, parse_ports, usable_addresses, use_ports


def test_ports_are_read() -> None:
    assert parse_ports("40000-40100") == PortRange(40000, 40100)
    for text in ("", "40000", "5-7", "40100-40000", "1-70000", "a-b", "40000-40100x"):
        with pytest.raises(SourceError, match="FIRST-LAST"):
            parse_ports(text)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_media_use_the_ports_of_the_range_and_the_given_address() -> None:
    port = free_ports(1)[0]

    async def gather() -> list[tuple[str, int]]:
        use_ports(asyncio.get_running_loop(), PortRange(port, port), random.Random(1))
        peer = RTCPeerConnection(RTCConfiguration([]))
        try:
            peer.addTransceiver("video")
            listen_on(peer, ["127.0.0.1"])
            await peer.setLocalDescription(await peer.createOffer())
            transport = peer.getTransceivers()[0].receiver.transport.transport
            return [(one.ip, one.port) for one in transport.iceGatherer.getLocalCandidates()]
        finally:
            await peer.close()

    assert asyncio.run(gather()) == [("127.0.0.1", port)]


def test_a_full_range_is_an_error_that_says_so() -> None:
    port = free_ports(1)[0]

    async def open_two() -> None:
        loop = asyncio.get_running_loop()
        use_ports(loop, PortRange(port, port))
        first, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        try:
            with pytest.raises(OSError, match="every UDP port"):
                await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        finally:
            first.close()

    asyncio.run(open_two())


def test_there_is_always_an_address() -> None:
    assert usable_addresses()


def test_the_public_address_is_told_beside_the_own_one() -> None:
    sdp = (
        "a=candidate:1 1 udp 2130706431 10.0.0.5 40001 typ host\r\n"
        "a=candidate:2 1 udp 2130706431 fd00::5 40002 typ host\r\n"
        "a=candidate:3 1 udp 1694498815 1.2.3.4 40003 typ srflx raddr 10.0.0.5 rport 40001\r\n"
    )
    told = announce(sdp, "203.0.113.9")
    assert told.count("203.0.113.9 40001 typ host") == 1
    assert told.count("203.0.113.9") == 1
    assert "10.0.0.5 40001 typ host" in told
    assert "fd00::5 40002" in told
    assert announce(sdp, "2001:db8::1").count("2001:db8::1 40002 typ host") == 1
