"""Small media files made on the spot: moving pictures, a sine tone, subtitles, chapters, and all that can be odd."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48000


def picture(index: int, size: tuple[int, int] = (64, 48)) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: slow gradients that move with `index`, red at the left top and blue at the right bottom."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x / width, y / height
    wave = 24 * np.sin(2 * np.pi * (x + y) + 0.4 * index)
    rgb = np.stack([210 - 150 * x, 90 + 40 * y + wave, 50 + 150 * x * y - 0.5 * wave], axis=-1)
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Clip:
    """What a made file is like; the defaults are a plain second of H.264 with sound."""

    size: tuple[int, int] = (64, 48)
    pts: Sequence[int] = tuple(range(0, 512 * 25, 512))
    time_base: Fraction = Fraction(1, 12800)
    rate: int = 25
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "1", "preset": "ultrafast"})
    colour: tuple[int, int, int, int] = (2, 2, 2, 0)
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    mirrored: bool = False
    audio: str | None = "aac"
    audio_delay: int = 0
    subtitles: str | None = None
    chapters: int = 0
    attachment: bytes | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    stream_metadata: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)


def make(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip and return its path."""
    clip = clip or Clip()
    with av.open(str(path), "w", container_options=clip.container_options) as container:
        container.metadata.update(clip.metadata)
        video = container.add_stream(
            clip.codec, rate=clip.rate, width=clip.size[0], height=clip.size[1], time_base=clip.time_base
        )
        context = video.codec_context
        context.pix_fmt, context.options = clip.pix_fmt, dict(clip.options)
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.colour
        context.sample_aspect_ratio = clip.aspect
        context.thread_count = 1
        if clip.rotation or clip.mirrored:
            video.set_display_rotation(clip.rotation, hflip=clip.mirrored)
        video.metadata.update(clip.stream_metadata)
        seconds = Fraction(len(clip.pts), clip.rate)
        tone = container.add_stream(clip.audio, rate=SAMPLE_RATE) if clip.audio else None
        text = container.add_mux_stream(clip.subtitles) if clip.subtitles else None
        if text is not None:
            text.time_base = Fraction(1, 1000)
            text.metadata["language"] = "eng"
        if clip.attachment is not None:
            container.add_attachment("note.txt", "text/plain", clip.attachment)
        if clip.chapters:
            length = int(1000 * seconds) // clip.chapters
            container.set_chapters(
                [
                    {
                        "id": i + 1,
                        "start": i * length,
                        "end": (i + 1) * length,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"Part {i + 1}"},
                    }
                    for i in range(clip.chapters)
                ]
            )
        container.start_encoding()
        packets = [p for i, pts in enumerate(clip.pts) for p in video.encode(_frame(clip, i, pts))]
        packets += video.encode(None) if clip.pts else []
        if tone is not None:
            packets += _tone(tone, clip, seconds)
        if text is not None:
            packets += [_line(text, clip.subtitles or "", i) for i in range(int(2 * seconds))]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux_one(packet)
    return path


def _frame(clip: Clip, index: int, pts: int) -> av.VideoFrame:
    full = 2 if clip.colour[3] == 2 or clip.pix_fmt.startswith("yuvj") else 1
    matrix = {1: 1, 9: 9}.get(clip.colour[2], 5)
    rgb = av.VideoFrame.from_ndarray(picture(index, clip.size), "rgb24")
    if clip.pix_fmt.startswith(("rgb", "gbr", "pal", "argb")):
        frame = rgb.reformat(format=clip.pix_fmt)
    else:
        frame = rgb.reformat(
            format=clip.pix_fmt, dst_colorspace=matrix, src_color_range=2, dst_color_range=full, interpolation="BICUBIC"
        )
    frame.pts, frame.time_base = pts, clip.time_base
    return frame


def _tone(stream: av.AudioStream, clip: Clip, seconds: Fraction) -> list[av.Packet]:
    packets = []
    total = int(seconds * SAMPLE_RATE)
    for start in range(0, total, 1024):
        times = np.arange(start, min(start + 1024, total)) / SAMPLE_RATE
        wave = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start + clip.audio_delay, Fraction(1, SAMPLE_RATE)
        resampler = av.AudioResampler(stream.codec_context.format.name, "stereo", SAMPLE_RATE)
        for part in resampler.resample(frame):
            packets += stream.encode(part)
    return packets + stream.encode(None)


def _line(stream: av.stream.Stream, codec: str, index: int) -> av.Packet:
    words = f"line {index}".encode()
    packet = av.Packet(len(words).to_bytes(2, "big") + words if codec == "mov_text" else words)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = 500 * index
    packet.duration = 400
    return packet


@dataclass(frozen=True)
class Seen:
    """What a file holds, as far as a copy must keep it. Times in seconds, packets as (pts, dts, duration, digest)."""

    frame_times: list[Fraction]
    packets: dict[str, list[tuple[Fraction | None, Fraction | None, Fraction, str]]]
    chapters: list[tuple[Fraction, Fraction, str]]
    attachments: list[bytes]
    metadata: dict[str, str]


def probe(path: Path) -> Seen:
    """Read a whole file back, without this project's reader."""
    with av.open(str(path)) as container:
        packets: dict[str, list[tuple[Fraction | None, Fraction | None, Fraction, str]]] = {}
        others = [s for s in container.streams if s.type in ("audio", "subtitle")]
        for packet in container.demux(*others) if others else []:
            if packet.dts is not None:
                pts, dts, duration = (None if t is None else t * packet.time_base for t in _times(packet))
                entry = (pts, dts, duration or Fraction(0), hashlib.sha256(bytes(packet)).hexdigest())
                packets.setdefault(f"{packet.stream.type} {packet.stream.name}", []).append(entry)
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title", ""))
            for c in container.chapters()
        ]
        attachments = [s.data for s in container.streams if s.type == "attachment"]
        metadata = dict(container.metadata)
    with av.open(str(path)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    return Seen(times, packets, chapters, attachments, metadata)


def _times(packet: av.Packet) -> tuple[int | None, int | None, int | None]:
    return packet.pts, packet.dts, packet.duration


def psnr(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB of two uint8 arrays of one shape; 99 where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)
