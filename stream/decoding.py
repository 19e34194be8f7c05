"""Decoding of one video stream, the same for files, pipes and cameras: a bad packet costs its picture, not the rest."""

import heapq
from collections.abc import Iterable, Iterator
from typing import cast

import av
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream


def decode_packet(packet: "Packet[VideoStream]") -> list[av.VideoFrame] | None:
    """The frames that a packet completes; None where it cannot be decoded."""
    try:
        return packet.decode()
    except av.EOFError:  # the decoder was emptied before
        return []
    except av.FFmpegError:
        return None


class Decoder:
    """Decodes the packets of one stream, gives each frame a pts that grows, and counts what is wrong.

    usual: units of time from one frame to the next, for frames that do not say it.

    Where a codec stores frames out of order and the times of its packets only grow, those are of decoding: frames get
    them in ascending order. A frame without any time gets one from the rate, and one that does not grow the next
    possible one; `notes` says so.

    Attributes:
        last_pts: of the newest frame; None before the first.
        frames: decoded.
        damaged: packets that could not be decoded.
        hidden: packets whose frames the file tells not to show.
    """

    def __init__(self, stream: VideoStream, usual: int) -> None:
        self._stream = stream
        self._usual = usual
        context = stream.codec_context
        self._depth = int(context.reorder_depth or 0) if context.has_b_frames else 0
        self._sorts = self._depth > 0
        self._waiting: list[int] = []
        self._newest: int | None = None
        self._concealed = self._untimed = self._moved = 0
        self.last_pts: int | None = None
        self.frames = self.damaged = self.hidden = 0

    def decode(self, packet: "Packet[VideoStream]") -> Iterator[tuple[av.VideoFrame, int]]:
        """The frames that this packet completes, each with its pts."""
        self._expect(packet)
        self.hidden += packet.is_discard
        frames = decode_packet(packet)
        self.damaged += frames is None
        for frame in frames or ():
            self.frames += 1
            self._concealed += frame.is_corrupt
            self.last_pts = self._growing(frame, self._time(frame))
            yield frame, self.last_pts

    def flush(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """The frames that the decoder still holds."""
        empty = cast("Packet[VideoStream]", av.Packet())
        empty.stream = self._stream
        yield from self.decode(empty)

    def _expect(self, packet: "Packet[VideoStream]") -> None:
        if packet.pts is None and (self._sorts or not self._depth):
            packet.pts = packet.dts
        if not self._sorts or not packet.size or packet.pts is None:
            return
        if self._newest is not None and packet.pts <= self._newest:
            self._sorts = False
        self._newest = packet.pts
        heapq.heappush(self._waiting, packet.pts)

    def _time(self, frame: av.VideoFrame) -> int | None:
        pts = frame.pts
        if not self._sorts or pts is None or not self._waiting:
            return pts
        # At most so many frames are stored before one that is shown earlier: more are of packets without a frame.
        while sum(time < pts for time in self._waiting) > self._depth:
            heapq.heappop(self._waiting)
        return heapq.heappop(self._waiting)

    def _growing(self, frame: av.VideoFrame, pts: int | None) -> int:
        if self.last_pts is None:
            return pts or 0
        if pts is None:
            self._untimed += 1
            return self.last_pts + max(1, frame.duration or self._usual)
        if pts <= self.last_pts:
            self._moved += 1
            return self.last_pts + 1
        return pts

    @property
    def notes(self) -> list[str]:
        """Sentences about the stream so far, for the user."""
        notes = []
        if self.damaged:
            notes.append(f"damaged: {self.damaged} pieces of the video could not be decoded")
        if self._concealed:
            notes.append(f"damaged: parts of {self._concealed} frames were missing, and the decoder made them up")
        if self._untimed:
            notes.append("frames without a timestamp were given one from the frame rate")
        if self._moved:
            notes.append("timestamps that did not grow were moved to the next possible one")
        return notes


def packets_until_cut(packets: "Iterable[Packet[Stream]]", cut: list[str]) -> "Iterator[Packet[Stream]]":
    """The packets up to the place where reading fails, whose reason is then put into `cut`."""
    try:
        yield from packets
    except (av.FFmpegError, OSError) as error:
        cut.append(error.strerror or str(error))
