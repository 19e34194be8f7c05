"""Recordings whose clock starts anywhere and jumps: parts of a made clip, joined byte by byte as `cat` does."""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av

from .media import SAMPLE_RATE, picture

FRAMES = 16
RATE = 25
SIZE = (64, 48)
WRAP = Fraction(2**33, 90000)
"""Seconds after which the clock of MPEG-TS and MPEG-PS begins again."""

Encoded = list[tuple[Fraction | None, Fraction, Fraction, bool, bytes]]
"""Packets as (pts, dts, duration in seconds, key frame, data)."""


@dataclass(frozen=True)
class Kind:
    """A container, its codecs, and whether frames are stored out of order."""

    container: str
    video: str
    audio: str
    b_frames: int


@functools.cache
def encoded(codec: str, b_frames: int) -> Encoded:
    """The packets of FRAMES pictures or as long a tone."""
    context = av.CodecContext.create(codec, "w")
    packets = []
    if isinstance(context, av.VideoCodecContext):
        context.width, context.height = SIZE
        context.pix_fmt, context.framerate, context.time_base = "yuv420p", Fraction(RATE), Fraction(1, RATE)
        context.max_b_frames, context.thread_count = b_frames, 1
        if codec == "libx264":
            context.options = {"preset": "ultrafast", "x264-params": f"bframes={b_frames}:b-adapt=0:scenecut=0"}
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index, SIZE), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            packets += context.encode(frame)
        base, usual = Fraction(1, RATE), Fraction(1, RATE)
    else:
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.time_base = SAMPLE_RATE, "stereo", Fraction(1, SAMPLE_RATE)
        context.format = "fltp" if codec == "aac" else "s16"
        size = 1024 if codec == "aac" else 1152
        for start in range(0, SAMPLE_RATE * FRAMES // RATE, size):
            frame = av.AudioFrame(format=context.format.name, layout="stereo", samples=size)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            packets += context.encode(frame)
        base, usual = Fraction(1, SAMPLE_RATE), Fraction(size, SAMPLE_RATE)
    packets += context.encode(None)
    least = min(packet.dts for packet in packets)
    return [((p.pts - least) * base, (p.dts - least) * base, usual, bool(p.is_keyframe), bytes(p)) for p in packets]


def part(kind: Kind, start: Fraction, sounds: int) -> bytes:
    """A file of one video and so many sound streams whose clock starts there."""
    file = io.BytesIO()
    options = {"mpegts_copyts": "1"} if kind.container == "mpegts" else {"avoid_negative_ts": "disabled"}
    with av.open(file, "w", format=kind.container, container_options=options) as container:
        video = container.add_stream(kind.video, rate=RATE, width=SIZE[0], height=SIZE[1], time_base=Fraction(1, RATE))
        video.codec_context.pix_fmt = "yuv420p"
        video.codec_context.max_b_frames = kind.b_frames
        tracks = [(video, encoded(kind.video, kind.b_frames))]
        tracks += [(container.add_stream(kind.audio, rate=SAMPLE_RATE), encoded(kind.audio, 0)) for _ in range(sounds)]
        container.start_encoding()
        packets = []
        for stream, entries in tracks:
            for pts, dts, duration, key, data in entries:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 90000)
                packet.pts = None if pts is None else round((pts + start) * 90000)
                packet.dts, packet.duration = round((dts + start) * 90000), round(duration * 90000)
                packet.is_keyframe = key
                packets.append(packet)
        for packet in sorted(packets, key=lambda p: p.dts):
            container.mux_one(packet)
    return file.getvalue()


def joined(kind: Kind, starts: Sequence[Fraction], sounds: int) -> bytes:
    """Parts one after the other, each with its clock."""
    return b"".join(part(kind, start, sounds) for start in starts)
