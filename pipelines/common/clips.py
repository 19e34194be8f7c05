"""A video file made shorter or longer without encoding it again: packets copied, times shifted.

Only pictures and sound are taken; what else the file holds is left out.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from ...stream.atomic import AtomicFile
from ...stream.errors import SinkError, SourceError
from ...stream.reader import open_source

_INT32_MAX = 2**31 - 1
_COUNTS_FRAMES = frozenset({"mp4", "mov", "ipod"})

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi"})
"""Names of files that are taken for clips where a folder is searched."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The first pieces of a video stream, in decoding order, that can be shown without the ones after them.

    Attributes:
        packets: how many.
        end: seconds at which the last of their frames stops to be shown.
    """

    packets: int
    end: Fraction


def shorten(source: Path, target: Path, seconds: float, *, overwrite: bool = False) -> Cut:
    """Write the first `seconds` of a video, to the frame or, where frames are stored out of order, a few less.

    At least one frame is kept. Raises SourceError and SinkError; ValueError unless `seconds` is above zero.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"expected a time above zero, got {seconds}")
    cut = _find_cut(source, Fraction(seconds).limit_denominator(1_000_000))
    with _remuxed(source, target, overwrite) as (container, streams):
        video_packets = 0
        for packet in _packets(source):
            if packet.stream.type == "video":
                video_packets += 1
                if video_packets > cut.packets:
                    continue
            elif _time(packet) >= cut.end:
                continue
            _mux(container, streams, packet, Fraction(0))
    return cut


def repeat(source: Path, target: Path, times: int, *, overwrite: bool = False) -> None:
    """Write a video that shows `source` several times over.

    Each pass starts when the longest stream of the one before has ended, so that no times overlap; the last frame of
    a pass may stay a little longer for it. Raises SourceError and SinkError; ValueError where `times` is under one.
    """
    if times < 1:
        raise ValueError(f"expected one pass or more, got {times}")
    starts, ends = [], []
    for packet in _packets(source):
        starts.append(_time(packet))
        ends.append((max(packet.pts or 0, packet.dts or 0) + (packet.duration or 0)) * packet.time_base)
    if not ends:
        raise SourceError(f"input {source} holds no pictures and no sound; check it with ffprobe")
    length = max(ends) - min(starts)
    with _remuxed(source, target, overwrite) as (container, streams):
        for index in range(times):
            for packet in _packets(source):
                _mux(container, streams, packet, index * length)


def _find_cut(source: Path, seconds: Fraction) -> Cut:
    shown = [
        (packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base)
        for packet in _packets(source)
        if packet.stream.type == "video" and packet.pts is not None
    ]
    if not shown:
        raise SourceError(f"input {source} holds no video packets with a time; check it with ffprobe")
    starts = [start for start, _ in shown]
    first = min(starts)
    # The earliest time after each packet; a cut is clean where all before it are shown earlier.
    later = list(starts)
    for index in range(len(later) - 2, -1, -1):
        later[index] = min(later[index], later[index + 1])
    best, latest = 0, first
    for index, start in enumerate(starts):
        latest = max(latest, start)
        clean = index + 1 == len(starts) or latest < later[index + 1]
        if clean and (latest - first < seconds or best == 0):
            best = index + 1
        if latest - first >= seconds and best:
            break
    last, duration = max(shown[:best])
    return Cut(best, last + duration)


def _packets(source: Path) -> "Iterator[Packet[Stream]]":
    """The packets of the first video stream and of every sound stream, in the file's order."""
    with open_source(source) as container:
        chosen = _chosen(container.streams)
        if not chosen:
            raise SourceError(f"input {source} has no video stream and no sound; choose a video file")
        try:
            yield from (packet for packet in container.demux(*chosen) if packet.size and packet.dts is not None)
        except av.FFmpegError as error:
            raise SourceError(f"input {source} is damaged ({error.strerror}); copy or download it again") from error


def _chosen(streams: "av.container.streams.StreamContainer") -> list[Stream]:
    videos = [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
    return [*videos[:1], *streams.audio]


@contextmanager
def _remuxed(source: Path, target: Path, overwrite: bool) -> Iterator[tuple[OutputContainer, dict[int, Stream]]]:
    """A container beside the target with a copy of each chosen stream, renamed when the block ends well."""
    file = AtomicFile(target, overwrite=overwrite)
    try:
        try:
            with open_source(source) as template, av.open(f"file:{file.path}", "w") as container:
                chosen = _chosen(template.streams)
                streams = {stream.index: container.add_stream_from_template(stream, opaque=True) for stream in chosen}
                if container.format.name in _COUNTS_FRAMES:
                    container.container_options.update(_timescales([stream.time_base for stream in chosen]))
                yield container, streams
        except (av.FFmpegError, ValueError) as error:
            raise SinkError(f"cannot write {target} ({getattr(error, 'strerror', None) or error})") from error
        file.commit()
    finally:
        file.discard()


def _timescales(time_bases: list[Fraction | None]) -> dict[str, str]:
    """Options that make MP4 keep the source's own units of time."""
    ticks = [base.denominator for base in time_bases if base is not None]
    options = {"video_track_timescale": str(ticks[0])} if ticks and ticks[0] <= _INT32_MAX else {}
    if ticks and (common := math.lcm(*ticks)) <= _INT32_MAX:
        options["movie_timescale"] = str(common)
    return options


def _time(packet: "Packet[Stream]") -> Fraction:
    """The earlier of a packet's two times, in seconds."""
    times = [time for time in (packet.pts, packet.dts) if time is not None]
    return min(times) * packet.time_base


def _mux(container: OutputContainer, streams: dict[int, Stream], packet: "Packet[Stream]", later_by: Fraction) -> None:
    shift = math.ceil(later_by / packet.time_base)
    packet.stream = streams[packet.stream_index]
    if packet.pts is not None:
        packet.pts += shift
    if packet.dts is not None:
        packet.dts += shift
    container.mux_one(packet)
