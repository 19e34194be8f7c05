"""What is exchanged in aiortc, and why: each of these fails when aiortc has mended it, and our file can go."""

import asyncio
import inspect
import itertools
import queue
import threading
from typing import Any

import aioice.ice
import aioice.stun
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import h264, vpx
from aiortc.contrib.media import MediaRelay
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcrtpreceiver import NackGenerator, RemoteStreamTrack
from aiortc.rtp import RtpPacket

from dynstream.stream.webrtc.private import AiortcChangedError, get_private, set_private
from dynstream.stream.webrtc.receivers import receive_live

from .packets import FakePacket, video_packets


def with_transceiver(check: Any) -> Any:
    async def run() -> Any:
        peer = RTCPeerConnection(RTCConfiguration([]))
        try:
            return check(peer.addTransceiver("video"))
        finally:
            await peer.close()

    return asyncio.run(run())


def test_its_jitter_buffer_gives_a_frame_only_when_the_next_begins() -> None:
    buffer = JitterBuffer(capacity=512, is_video=True)
    assert [buffer.add(packet)[1] for packet in video_packets(1, 3)] == [None] * 3  # jitter.py


def test_its_jitter_buffer_waits_for_a_lost_packet_until_it_is_full() -> None:
    buffer = JitterBuffer(capacity=512, is_video=True)
    packets = video_packets(300, 2)
    del packets[10]
    given = [number for number, packet in enumerate(packets) if buffer.add(packet)[1]]
    pause = max(after - before for before, after in itertools.pairwise(given))
    assert pause > 400  # packets of two a frame: nearly seven seconds of nothing; jitter.py


def test_its_sound_waits_for_sixteen_packets_when_one_is_lost_and_for_four_when_none_is() -> None:
    buffer = JitterBuffer(capacity=16, prefetch=4)
    packets = [FakePacket(number, number * 960) for number in range(40)]
    assert [bool(buffer.add(packet)[1]) for packet in packets[:6]] == [False] * 4 + [True] * 2  # jitter.py
    given = [bool(buffer.add(packet)[1]) for packet in packets[7:]]
    assert given.index(True, 4) > 8


def test_it_asks_for_a_lost_packet_once() -> None:
    nacks = NackGenerator()
    asked = [nacks.add(RtpPacket(sequence_number=number)) for number in (1, 3, 4, 5, 6, 7, 8)]
    assert asked == [False, True] + [False] * 5  # nack.py
    assert nacks.missing == {2}


def test_its_queues_are_unbounded() -> None:
    def check(transceiver: Any) -> tuple[int, int]:
        into: queue.Queue[Any] = get_private(transceiver.receiver, "decoder_queue")
        return into.maxsize, RemoteStreamTrack("video")._queue.maxsize

    assert with_transceiver(check) == (0, 0)  # decode_queue.py, tracks.py


def test_it_encodes_on_the_default_executor() -> None:
    source = inspect.getsource(RTCRtpSender._next_encoded_frame)
    assert "run_in_executor(\n                None" in source  # executors.py


def test_its_bit_rates_are_fixed() -> None:
    assert (vpx.MIN_BITRATE, vpx.DEFAULT_BITRATE, vpx.MAX_BITRATE) == (250_000, 500_000, 1_500_000)  # encoders.py
    assert (h264.MIN_BITRATE, h264.DEFAULT_BITRATE, h264.MAX_BITRATE) == (500_000, 1_000_000, 3_000_000)


def test_its_x264_has_no_preset_and_believes_in_thirty_frames_a_second() -> None:
    source = inspect.getsource(h264.H264Encoder._encode_frame)
    assert '"preset"' not in source  # encoders.py
    assert "MAX_FRAME_RATE" in source
    assert "thread" not in source


def test_its_encoders_begin_anew_at_ten_percent() -> None:
    for encoder in (vpx.Vp8Encoder.encode, h264.H264Encoder._encode_frame):
        assert "> 0.1" in inspect.getsource(encoder)  # rate_hold.py


def test_it_asks_a_public_stun_server_when_no_list_is_given() -> None:
    assert RTCIceGatherer.getDefaultIceServers()  # peer.py gives a list, be it empty


def test_it_knows_neither_ports_nor_addresses() -> None:
    parameters = inspect.signature(aioice.ice.Connection.__init__).parameters
    assert not {"ephemeral_ports", "port_range", "local_addresses", "addresses", "host"} & set(parameters)  # network.py
    assert "local_addr=(address, 0)" in inspect.getsource(aioice.ice.Connection.get_component_candidates)


def test_its_relay_buffers_for_each_viewer_unless_told_otherwise() -> None:
    assert inspect.signature(MediaRelay.subscribe).parameters["buffered"].default is True  # tracks.py has no relay


def test_a_peer_that_vanished_is_found_out_within_forty_seconds() -> None:
    ice, stun = aioice.ice, aioice.stun  # docs/protocol.md tells this time
    assert ice.CONSENT_FAILURES * (1.2 * ice.CONSENT_INTERVAL + stun.RETRY_RTO) < 40
    assert ice.CONSENT_FAILURES * (0.8 * ice.CONSENT_INTERVAL + stun.RETRY_RTO) >= 27


def test_everything_that_we_exchange_is_there() -> None:
    def check(transceiver: Any) -> None:
        receiver: RTCRtpReceiver = transceiver.receiver
        own_queue, own_jitter = receive_live(receiver, "video")
        assert get_private(receiver, "decoder_queue") is own_queue
        assert get_private(receiver, "jitter_buffer") is own_jitter
        assert isinstance(get_private(receiver, "decoder_error"), threading.Event)
        for name in ("loop", "encoder"):
            get_private(transceiver.sender, name)
        assert "self.__decoder_queue" in inspect.getsource(RTCRtpReceiver.receive)
        assert "self.__loop.run_in_executor" in inspect.getsource(RTCRtpSender._next_encoded_frame)

    with_transceiver(check)


def test_a_part_that_moved_is_named() -> None:
    with pytest.raises(AiortcChangedError, match=r"has no NackGenerator\.__nothing; install the version"):
        get_private(NackGenerator(), "nothing")
    with pytest.raises(AiortcChangedError):
        set_private(NackGenerator(), "nothing", 1)
