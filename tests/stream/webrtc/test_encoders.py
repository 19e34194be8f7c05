from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Decoder, h264_depayload
from aiortc.codecs.vpx import Vp8Decoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from av.video.frame import PictureType

from dynstream.stream.frame import Pixels
from dynstream.stream.webrtc.encoders import Encoded, LiveEncoder, LiveH264Encoder, LiveVp8Encoder, VideoRate
from dynstream.stream.webrtc.jitter import is_key_frame
from dynstream.stream.webrtc.stamp import read_stamp, write_stamp

from .clock import Clock

CODECS = {
    LiveVp8Encoder: (Vp8Decoder, vp8_depayload),
    LiveH264Encoder: (H264Decoder, h264_depayload),
}
KINDS = pytest.mark.parametrize("kind", list(CODECS), ids=["vp8", "h264"])
NOISE = cv2.resize(np.random.default_rng(0).integers(0, 255, (45, 80, 3)).astype(np.uint8), (1280, 720))


def draw(number: int, size: tuple[int, int] = (320, 180)) -> Pixels:
    x, y = number * 5 % 200, number * 3 % 100
    pixels = NOISE[y : y + size[1], x : x + size[0]].copy()
    write_stamp(pixels, number)
    return pixels


def picture(number: int, rate: int = 30, size: tuple[int, int] = (320, 180)) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(draw(number, size), format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = number * 90_000 // rate, Fraction(1, 90_000)
    return frame


def bits_per_second(encoder: LiveEncoder, rate: int, frames: range, clock: Clock) -> float:
    sizes = []
    for number in frames:
        clock.pass_time(1 / rate)
        payloads, _ = encoder.encode(picture(number, rate))
        sizes.append(sum(map(len, payloads)))
    return 8 * float(np.mean(sizes[len(sizes) // 3 :])) * rate


def data_of(kind: type[LiveEncoder], payloads: list[bytes]) -> bytes:
    return b"".join(CODECS[kind][1](payload) for payload in payloads)


@KINDS
def test_what_is_sent_can_be_decoded_at_a_low_rate(kind: type[LiveEncoder]) -> None:
    encoder = kind(VideoRate(start=250_000, lowest=100_000, highest=250_000))
    decoder: Any = CODECS[kind][0]()
    read = []
    for number in range(20):
        payloads, pts = encoder.encode(picture(number, size=(640, 360) if number < 3 else (320, 180)))
        assert pts == number * 3000
        for frame in decoder.decode(JitterFrame(data_of(kind, payloads), pts)):
            assert frame.pts == pts
            read.append(read_stamp(frame.to_ndarray(format="rgb24")))
    assert read == list(range(20))
    assert encoder.rebuilt == 2  # the size changed once


@KINDS
@pytest.mark.parametrize("rate", [30, 10])
def test_the_bit_rate_is_kept_at_the_true_frame_rate(kind: type[LiveEncoder], rate: int) -> None:
    clock = Clock()
    encoder = kind(VideoRate(start=400_000), clock=clock)
    warm_up = 3 * rate
    bits_per_second(encoder, rate, range(warm_up), clock)
    got = bits_per_second(encoder, rate, range(warm_up, warm_up + 60), clock)
    assert 0.6 < got / 400_000 < 1.5


@KINDS
def test_it_follows_the_receiver_and_not_each_of_its_moods(kind: type[LiveEncoder]) -> None:
    clock = Clock()
    encoder = kind(VideoRate(start=1_000_000), clock=clock)
    encoder.encode(picture(0))
    for number in range(1, 30):
        clock.pass_time(1 / 30)
        encoder.target_bitrate = 1_000_000 + (-1) ** number * 130_000
        encoder.encode(picture(number))
    assert encoder.rebuilt == 1
    encoder.target_bitrate = 300_000
    keys = 0
    for number in range(30, 60):
        clock.pass_time(1 / 30)
        keys += is_key_frame(data_of(kind, encoder.encode(picture(number))[0]))
    assert (encoder.rebuilt, keys) == ((2, 1) if kind is LiveVp8Encoder else (1, 0))
    assert encoder.target_bitrate == 300_000
    encoder.target_bitrate = 10**9
    assert encoder.target_bitrate == VideoRate().highest


def test_x264_takes_a_new_rate_without_a_new_stream() -> None:
    clock = Clock()
    encoder = LiveH264Encoder(VideoRate(start=800_000), clock=clock)
    bits_per_second(encoder, 30, range(60), clock)
    encoder.target_bitrate = 250_000
    assert bits_per_second(encoder, 30, range(60, 150), clock) < 400_000
    assert encoder.rebuilt == 1


@KINDS
def test_key_frames_come_when_asked_for_and_only_then(kind: type[LiveEncoder]) -> None:
    encoder = kind(VideoRate())
    keys = []
    for number in range(12):
        frame = picture(number)
        frame.pict_type = PictureType.I if number == 4 else PictureType.NONE  # as of a received key frame
        payloads, _ = encoder.encode(frame, force_keyframe=number == 8)
        if is_key_frame(data_of(kind, payloads)):
            keys.append(number)
    assert keys == [0, 8]


@KINDS
def test_a_shared_frame_is_left_as_it_is(kind: type[LiveEncoder]) -> None:
    frame = picture(3)
    kind(VideoRate()).encode(frame, force_keyframe=True)
    assert frame.pict_type == PictureType.NONE
    assert frame.pts == 9000


def test_it_is_told_of_each_frame() -> None:
    clock, told = Clock(), list[Encoded]()
    encoder = LiveVp8Encoder(VideoRate(), told.append, clock)
    payloads, _ = encoder.encode(picture(2))
    assert [(one.pts, one.seconds) for one in told] == [(6000, clock.now)]
    assert told[0].size == len(data_of(LiveVp8Encoder, payloads))


def test_rates_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="lowest <= start"):
        VideoRate(start=5, lowest=10)
    with pytest.raises(ValueError, match="one thread"):
        VideoRate(threads=0)
