"""Copy sound, subtitles and other streams of a file packet by packet."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from .clock import Clock, demux
from .decoding import packets_until_cut
from .reader import open_source

MOV_FAMILY = frozenset({"mp4", "mov", "ipod", "3gp", "3g2", "psp", "f4v", "ismv"})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of the source that the result does not hold.

    Attributes:
        what: what it is, such as "stream 2 (subtitle, mov_text)".
        why: the reason, as the user should read it.
    """

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class StreamCopier:
    """Adds every stream of a source but one to a result, and hands out their packets in step with the video.

    It opens the source a second time and reads the packets itself, on the same clock as `VideoReader`, so that a source
    in which sound lies far from its pictures costs no memory. A stream that the result's container cannot hold is found
    by a trial header in memory, left out, and listed in `left_out`.

    Attributes:
        later: seconds that are added to all times, as the video must be too: MPEG-TS starts where its source did.

    nothing: copy no stream at all.
    """

    def __init__(self, path: Path, video_index: int, target: OutputContainer, *, nothing: bool = False) -> None:
        self.left_out: list[LeftOut] = []
        self._source = open_source(path)
        try:
            self._streams: dict[int, Stream] = {}
            self._first_dts: dict[int, int] = {}
            self._last_dts: dict[int, int] = {}
            self._started: set[int] = set()
            self._hidden: dict[int, Packet[Stream]] = {}
            self._hides = target.format.name in MOV_FAMILY
            self._clock = Clock(self._source)
            self.later = self._clock.restorable_origin if target.format.name == "mpegts" else Fraction(0)
            for stream in self._source.streams:
                left_out = nothing or stream.index == video_index or not self._add(stream, target)
                if left_out and self._clock.steady:
                    stream.discard = Discard.all
            timed = [self._source.streams[index] for index in self._streams if not self._is_attachment(index)]
            self._packets = self._read(timed)
            self._waiting: Packet[Stream] | None = None
        except BaseException:
            self._source.close()
            raise

    def _is_attachment(self, index: int) -> bool:
        return self._source.streams[index].type == "attachment"

    def _is_made_anew(self, stream: Stream) -> bool:
        # Muxers write tracks of their own for chapters and for the timecode, which are copied as metadata.
        is_chapters = getattr(stream, "name", None) == "bin_data" and bool(self._source.chapters())
        return stream.type == "data" and (is_chapters or "timecode" in stream.metadata)

    def _add(self, stream: Stream, target: OutputContainer) -> bool:
        if self._is_made_anew(stream):
            return False
        reason = _refusal(stream, target.format.name)
        if reason is not None:
            self.left_out.append(LeftOut(describe(stream), reason))
            return False
        copy = _add_copy(target, stream)
        self._streams[stream.index] = copy
        return True

    @property
    def time_bases(self) -> list[Fraction]:
        """Time bases of the streams that are copied."""
        return [s.time_base for i in self._streams if (s := self._source.streams[i]).time_base is not None]

    def until(self, seconds: Fraction | None) -> "Iterator[Packet[Stream]]":
        """Packets not handed out yet whose decoding time is at most `seconds`; all that are left for None."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            time = packet.dts if packet.dts is not None else packet.pts
            if seconds is not None and time is not None and time * packet.time_base > seconds:
                self._waiting = packet
                return
            yield packet

    def _read(self, streams: list[Stream]) -> "Iterator[Packet[Stream]]":
        if not streams:
            return
        cut: list[str] = []
        for packet in packets_until_cut(demux(self._source, self._clock, *streams), cut):
            if (packet.size or packet.dts is not None) and not _is_gap(packet):
                for heard in self._heard(packet):
                    self._trim(heard)
                    self._order(heard)
                    heard.stream = self._streams[heard.stream_index]
                    yield heard
        if cut:
            self.left_out.append(LeftOut("the rest of the copied streams", f"the source is damaged ({cut[0]})"))

    def _heard(self, packet: "Packet[Stream]") -> "list[Packet[Stream]]":
        """Nothing for sound that an MP4's edit list hides, else the packet.

        An MP4 hides again what was hidden before the first packet that is heard. In another container the last of it
        stays, which decoders need to begin.
        """
        index = packet.stream_index
        if packet.stream.type != "audio" or (self._hides and index not in self._started and packet.is_discard):
            return [packet]
        if packet.is_discard:
            if index not in self._started:
                self._hidden[index] = packet
            return []
        self._started.add(index)
        hidden = self._hidden.pop(index, None)
        return [packet] if hidden is None else [hidden, packet]

    def _order(self, packet: "Packet[Stream]") -> None:
        """Move the packet, and where muxers need it make its decoding time the next possible one."""
        later = round(self.later / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + later
        if packet.dts is None:
            return
        least = self._last_dts.get(packet.stream_index)
        packet.dts += later
        if least is not None and packet.stream.type in ("audio", "video") and packet.dts <= least:
            packet.dts = least + 1
            packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
        self._last_dts[packet.stream_index] = packet.dts

    def _trim(self, packet: "Packet[Stream]") -> None:
        # An MP4's last packet of sound may be stored as shorter than its codec's frame; demuxing forgets that, unless
        # the file cuts its first packet (then it starts before the stream does, whose duration means something else).
        stream = packet.stream
        if stream.type != "audio" or not stream.duration or packet.dts is None or "mp4" not in self._source.format.name:
            return
        start = (stream.start_time or 0) - round(self._clock.origin / packet.time_base)
        if self._first_dts.setdefault(stream.index, packet.dts) != start:
            return
        left = start + stream.duration - packet.dts
        if packet.duration and 0 < left < packet.duration:
            packet.duration = left

    def refuse(self, packet: "Packet[Stream]", reason: str) -> None:
        """Note that the muxer would not take one packet; each stream is listed once."""
        entry = LeftOut(f"packets of {describe(packet.stream)}", reason)
        if entry not in self.left_out:
            self.left_out.append(entry)

    def close(self) -> None:
        """Release the source."""
        self._packets = iter(())
        self._source.close()


def describe(stream: Stream) -> str:
    """A stream as a user knows it: "stream 2 (subtitle, mov_text)"."""
    return f"stream {stream.index} ({stream.type}, {getattr(stream, 'name', None) or 'unknown codec'})"


def _is_gap(packet: "Packet[Stream]") -> bool:
    # MP4 holds a pause between two subtitles as an empty one; its muxer writes those itself.
    return getattr(packet.stream, "name", None) == "mov_text" and bytes(packet) == b"\0\0"


def _add_copy(target: OutputContainer, stream: Stream) -> Stream:
    copy = target.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


def _refusal(stream: Stream, container_name: str) -> str | None:
    """Why a container cannot hold a stream, None if it can."""
    if stream.codec_context is None and stream.type not in ("attachment", "data"):
        return "its codec is not known to this FFmpeg"
    try:
        trial = av.open(io.BytesIO(), "w", format=container_name)
        try:
            _add_copy(trial, stream)
            trial.start_encoding()
        finally:
            trial.close()
    except (av.FFmpegError, ValueError, OSError):
        hint = "; an .mkv output holds most kinds" if stream.type != "data" else ""
        return f"the {container_name} container cannot hold it{hint}"
    return None
