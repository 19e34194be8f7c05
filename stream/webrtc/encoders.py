"""Video encoders for live pictures, in the place of aiortc's.

aiortc 1.16 fixes the bit rates (VP8 0.25 to 1.5 Mbit/s, H.264 0.5 to 3), creates the encoder again for each change of
more than 10 %, runs x264 at its `medium` preset on every core, tells it 30 frames a second whatever they are, and takes
a key frame of the received video for a request to send one. Here the bounds are settings, the time base is 1/90000 s
with the frames' own pts, x264 changes its rate without a new stream, and VP8 does so seldom (`RateHold`).
The packets are made by aiortc's own functions.
"""

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import RTCRtpSender
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from .frame_rate import FrameRateHold
from .private import set_private
from .rate_hold import RateHold

TIME_BASE: Final = Fraction(1, 90_000)
KEY_FRAME_EVERY: Final = 3000  # frames; receivers ask for one where they need it


@dataclass(frozen=True, slots=True)
class VideoRate:
    """Bit rates in bit/s; threads that an encoder may use; frames a second that are expected."""

    start: int = 1_200_000
    lowest: int = 200_000
    highest: int = 2_500_000
    threads: int = 1
    frame_rate: int = 30

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.start <= self.highest:
            raise ValueError(f"expected 0 < lowest <= start <= highest, got {self}")
        if self.threads < 1 or self.frame_rate < 1:
            raise ValueError(f"expected at least one thread and one frame a second, got {self}")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded frame: its pts in 1/90000 s, its bytes, and when it was done, in seconds of the encoder's clock."""

    pts: int
    size: int
    seconds: float


Watch = Callable[[Encoded], object]
"""Told of each frame, on the thread that encoded it."""


class LiveEncoder(Encoder):
    """The common part of the VP8 and H.264 encoders. clock: seconds."""

    _knows_time = True
    """Whether its rate control uses the frames' times instead of the given frame rate."""

    def __init__(
        self, rate: VideoRate, watch: Watch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._hold = RateHold(rate.start, rate.lowest, rate.highest)
        self._frame_rate = FrameRateHold(rate.frame_rate)
        self._watch = watch
        self._clock = clock
        self._codec: VideoCodecContext | None = None
        self.rebuilt = 0

    @property
    def target_bitrate(self) -> int:
        """Target bit/s; aiortc sets it from the receiver's estimate."""
        return self._hold.wanted

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._hold.want(bitrate)

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """(RTP payloads, pts in 1/90000 s) of an av.VideoFrame of even width and height.

        The frame is not changed: several encoders may be at work on it.
        """
        pts = convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)
        wanted = PictureType.I if force_keyframe else PictureType.NONE
        if frame.format.name != "yuv420p" or frame.pict_type != wanted or frame.time_base != TIME_BASE:
            frame = _copy(frame, pts, wanted)
        codec = self._codec_for(frame, pts)
        data = b"".join(bytes(packet) for packet in codec.encode(frame))
        payloads = self._payloads(data)
        if self._watch is not None:
            self._watch(Encoded(pts, len(data), self._clock()))
        return payloads, pts

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        """(RTP payloads, pts in 1/90000 s) of an av.Packet that is encoded already."""
        return self._payloads(bytes(packet)), convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)

    def _codec_for(self, frame: av.VideoFrame, pts: int) -> VideoCodecContext:
        codec = self._codec
        if codec is not None and (codec.width, codec.height) != (frame.width, frame.height):
            codec = None
        if self._frame_rate.step(pts / 90_000) and not self._knows_time:
            codec = None
        if self._hold.step(self._clock()) and codec is not None:
            codec = self._change_rate(codec, self._hold.held)
        if codec is None:
            codec = self._open(frame.width, frame.height, self._hold.held)
            self.rebuilt += 1
        self._codec = codec
        return codec

    def _context(self, name: str, width: int, height: int, bit_rate: int) -> VideoCodecContext:
        codec = av.CodecContext.create(name, "w")
        assert isinstance(codec, VideoCodecContext)
        codec.width, codec.height = width, height
        codec.pix_fmt = "yuv420p"
        codec.bit_rate = bit_rate
        codec.time_base = TIME_BASE
        codec.framerate = Fraction(self._frame_rate.held).limit_denominator(1001)
        codec.gop_size = KEY_FRAME_EVERY
        codec.thread_count = self._rate.threads
        return codec

    @abstractmethod
    def _open(self, width: int, height: int, bit_rate: int) -> VideoCodecContext: ...

    @abstractmethod
    def _change_rate(self, codec: VideoCodecContext, bit_rate: int) -> VideoCodecContext | None: ...

    @abstractmethod
    def _payloads(self, data: bytes) -> list[bytes]: ...


def _copy(frame: av.VideoFrame, pts: int, picture_type: PictureType) -> av.VideoFrame:
    pixels: Any = frame.to_ndarray(format="yuv420p")
    copy = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
    copy.pts, copy.time_base, copy.pict_type = pts, TIME_BASE, picture_type
    return copy


class LiveVp8Encoder(LiveEncoder):
    """libvpx at its real-time settings."""

    _picture_id = 0

    def _open(self, width: int, height: int, bit_rate: int) -> VideoCodecContext:
        codec = self._context("libvpx", width, height, bit_rate)
        codec.qmin, codec.qmax = 2, 56
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "error-resilient": "default",
            "minrate": str(bit_rate),
            "maxrate": str(bit_rate),
            "bufsize": str(bit_rate),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "static-thresh": "1",
        }
        return codec

    def _change_rate(self, codec: VideoCodecContext, bit_rate: int) -> VideoCodecContext | None:
        return None  # FFmpeg's libvpx takes no new rate while it runs

    def _payloads(self, data: bytes) -> list[bytes]:
        self._picture_id = (self._picture_id + 1) % (1 << 15)
        return Vp8Encoder._packetize(data, self._picture_id)


class LiveH264Encoder(LiveEncoder):
    """x264 without look-ahead, at a preset that keeps up.

    By the frames' times x264 would go only at the price of a frame's delay, so it is told the true rate instead.
    """

    _knows_time = False

    def _open(self, width: int, height: int, bit_rate: int) -> VideoCodecContext:
        codec = self._context("libx264", width, height, self._rate.highest)
        codec.profile = "Baseline"
        codec.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "level": "31" if width * height <= 1280 * 720 else "40",
            "maxrate": str(self._rate.highest),
            "bufsize": str(self._rate.highest // 2),
        }
        # x264 follows a new rate quickly only where it was opened at its highest one.
        codec.open()
        codec.bit_rate = bit_rate
        return codec

    def _change_rate(self, codec: VideoCodecContext, bit_rate: int) -> VideoCodecContext | None:
        codec.bit_rate = bit_rate  # FFmpeg's libx264 notices, and x264 continues without a key frame
        return codec

    def _payloads(self, data: bytes) -> list[bytes]:
        return H264Encoder._packetize(H264Encoder._split_bitstream(data))


ENCODERS: Final[dict[str, type[LiveEncoder]]] = {"video/vp8": LiveVp8Encoder, "video/h264": LiveH264Encoder}


def encode_with(sender: RTCRtpSender, mime_type: str, rate: VideoRate, watch: Watch | None = None) -> LiveEncoder:
    """Give a sender, before it starts, the encoder for what was negotiated.

    mime_type: of the first negotiated codec, which is the one that aiortc sends. Raises AiortcChangedError.
    """
    encoder = ENCODERS[mime_type.lower()](rate, watch)
    set_private(sender, "encoder", encoder)
    return encoder
