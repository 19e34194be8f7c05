"""Is everything beside the pictures untouched: the number of frames, their times, every packet of sound."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

from ....stream.reader import VideoReader, open_source

Sound = tuple[Fraction | None, bytes]


@dataclass(frozen=True, slots=True)
class StreamsKept:
    """A result's streams against its source's.

    Attributes:
        source_frames, result_frames: decoded frames.
        times_equal: every frame is shown at the very same time.
        audio_packets: of all sound streams of the source.
        audio_equal: the result has the same packets, in content (MD5) and time.
        first_difference: the first frame or packet that differs, in words, "" where none does.
    """

    source_frames: int
    result_frames: int
    times_equal: bool
    audio_packets: int
    audio_equal: bool
    first_difference: str

    @property
    def all_equal(self) -> bool:
        """Nothing is lost or moved."""
        return self.times_equal and self.audio_equal


def compare_streams(source: Path, result: Path) -> StreamsKept:
    """Read both files through. Raises SourceError where one cannot be read."""
    frames = [0, 0]
    differences = []
    times_equal = True
    for number, pair in enumerate(zip_longest(_times(source), _times(result))):
        frames = [count + (time is not None) for count, time in zip(frames, pair, strict=True)]
        if times_equal and pair[0] != pair[1]:
            times_equal = False
            differences.append(f"frame {number}: {_seconds(pair[0])} in the source, {_seconds(pair[1])} in the result")
    sounds, kept = _sounds(source), _sounds(result)
    audio_equal = sounds == kept
    if not audio_equal:
        differences.append(_audio_difference(sounds, kept))
    count = sum(len(packets) for packets in sounds)
    return StreamsKept(frames[0], frames[1], times_equal, count, audio_equal, "; ".join(differences))


def _times(path: Path) -> Iterator[Fraction]:
    with VideoReader(path) as reader:
        for frame in reader:
            yield frame.pts * frame.time_base


def _sounds(path: Path) -> list[list[Sound]]:
    """The packets of each sound stream: time in seconds and MD5."""
    with open_source(path) as container:
        streams = container.streams.audio
        packets: dict[int, list[Sound]] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams) if streams else ():
            if packet.size:
                time = None if packet.pts is None else packet.pts * packet.time_base
                packets[packet.stream_index].append((time, hashlib.md5(bytes(packet), usedforsecurity=False).digest()))
    return list(packets.values())


def _audio_difference(sounds: list[list[Sound]], kept: list[list[Sound]]) -> str:
    if len(sounds) != len(kept):
        return f"{len(sounds)} sound streams in the source, {len(kept)} in the result"
    for stream, (ours, theirs) in enumerate(zip(sounds, kept, strict=True)):
        for number, (one, other) in enumerate(zip_longest(ours, theirs)):
            if one != other:
                return f"sound stream {stream}, packet {number} of {len(ours)} differs (the result has {len(theirs)})"
    return ""


def _seconds(time: Fraction | None) -> str:
    return "none" if time is None else f"{float(time):.4f} s"
