"""The size of a picture is known before it is decoded, and one that is too large is not."""

import random
import threading
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.rtcrtpreceiver import TimestampMapper

from dynstream.stream.webrtc.decode_queue import DecodeQueue
from dynstream.stream.webrtc.jitter import ArrivedFrame, PatientJitterBuffer
from dynstream.stream.webrtc.picture_size import picture_size


def encode(codec: str, size: tuple[int, int], **options: str) -> list[bytes]:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = *size, "yuv420p", Fraction(1, 30)
    context.options = options
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    return [bytes(packet) for _ in range(2) for packet in context.encode(frame)] + [
        bytes(packet) for packet in context.encode(None)
    ]


@pytest.mark.parametrize("size", [(64, 48), (640, 360), (1280, 720), (1920, 1080), (360, 640), (3840, 2160)])
def test_the_header_says_the_size(size: tuple[int, int]) -> None:
    vp8 = encode("libvpx", size, deadline="realtime")
    assert [picture_size("video/VP8", data) for data in vp8] == [size, None]
    for profile in ("baseline", "high"):
        key, *others = encode("libx264", size, profile=profile, preset="ultrafast", tune="zerolatency")
        found = picture_size("video/H264", key)
        assert found is not None
        assert (found[0] - size[0] in range(16), found[1] - size[1] in range(16)) == (True, True)
        assert [picture_size("video/H264", data) for data in others] == [None] * len(others)
    assert picture_size("video/AV1", vp8[0]) is None


def test_headers_that_lie_or_end_early_are_large_or_nothing() -> None:
    chance = random.Random(5)
    key = encode("libx264", (64, 48), preset="ultrafast")[0]
    start = key.index(b"\x00\x00\x01\x67")
    assert picture_size("video/H264", key[: start + 6]) == (65535, 65535)
    for _ in range(300):
        broken = bytearray(key[start : start + 40])
        broken[chance.randrange(4, len(broken))] = chance.randrange(256)
        found = picture_size("video/H264", bytes(broken))
        assert found is None or min(found) > 0
        assert picture_size("video/VP8", chance.randbytes(chance.randrange(30))) is None


def test_what_is_too_large_never_reaches_the_decoder() -> None:
    jitter = PatientJitterBuffer(video=True, patience=1)
    queue = DecodeQueue(jitter, TimestampMapper(), threading.Event(), bounded=True, largest=(1920, 1080))
    number = 0
    for size, kept in (((320, 240), 2), ((1920, 1080), 2), ((1080, 1920), 2), ((1920, 1200), 0), ((7680, 4320), 0)):
        before = queue.qsize()
        for data in encode("libvpx", size, deadline="realtime"):
            queue.put(("video/VP8", ArrivedFrame(data, number, 0.0)))
            number += 1
        assert queue.qsize() - before == kept, size
        assert queue.too_large == (None if kept else size)
    assert queue.dropped == 4
