"""Pieces of one video, encoded apart, joined into a file without encoding again; all else of the source is copied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from .errors import SinkError
from .reader import VideoReader, open_source
from .writer import VideoWriter, carried


@dataclass(frozen=True, slots=True)
class VideoPiece:
    """A piece: a Matroska file of pictures alone, and their times.

    Attributes:
        pts: of its frames in order, in the source's time base; Matroska itself keeps milliseconds alone.
    """

    path: Path
    pts: tuple[int, ...]


class JoinedWriter(VideoWriter):
    """Joins pieces that were written with `VideoWriter(alone=True)` and the same options.

    Each begins with a key frame, so their packets follow each other as they are. Times are those that were given, and
    decoding times are made of them for the whole. Raises SinkError for pieces that do not fit each other.
    """

    def __init__(self, target: Path, reader: VideoReader, pieces: Sequence[VideoPiece], **options: Any) -> None:
        super().__init__(target, reader, **options)
        self.pieces = pieces
        self._order: list[int] = []  # pts in the order of decoding
        heads = []
        for piece in pieces:
            with open_source(piece.path) as container:
                stream = container.streams.video[0]
                heads.append((stream.codec_context.extradata, stream.codec_context.width, stream.codec_context.height))
                stored = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
            ranks = {pts: rank for rank, pts in enumerate(sorted(stored))}
            if not len(ranks) == len(stored) == len(piece.pts):
                raise self._misfit(f"{piece.path.name} holds {len(ranks)} pictures, expected {len(piece.pts)}")
            self._order += [piece.pts[ranks[pts]] for pts in stored]
        if any(head != heads[0] for head in heads):
            raise self._misfit("the encoder gave them different headers")
        self._shown = sorted(self._order)
        if self._shown != [pts for piece in pieces for pts in piece.pts] or len(set(self._shown)) != len(self._shown):
            raise self._misfit("their times overlap")

    def _misfit(self, why: str) -> SinkError:
        return SinkError(f"the pieces of {self.target} do not fit each other: {why}; run it without --segments")

    def _add_video(self) -> VideoStream:
        with open_source(self.pieces[0].path) as container:
            stream = self._container.add_stream_from_template(container.streams.video[0], opaque=True)
        stream.time_base = self.reader.time_base
        stream.metadata.clear()
        stream.metadata.update(carried(self.reader.stream_metadata))
        stream.disposition = self.reader.disposition & ~Disposition.attached_pic
        return stream

    def _packets(self) -> "Iterator[Packet[Any]]":
        for piece in self.pieces:
            with open_source(piece.path) as container:
                yield from (packet for packet in container.demux(container.streams.video[0]) if packet.size)

    def _decoding_times(self) -> list[int]:
        """One for each packet: growing, and never after the time at which its frame is shown."""
        rank = {pts: number for number, pts in enumerate(self._shown)}
        delay = max(number - rank[pts] for number, pts in enumerate(self._order))
        usual = max(1, round(1 / (self.reader.rate * self.reader.time_base)))
        before = [self._shown[0] - usual * step for step in range(delay, 0, -1)]
        return [*before, *self._shown][: len(self._order)]

    def join(self) -> None:
        """Write all of it, inside of the `with` block. Raises SinkError."""
        lasts = {pts: later - pts for pts, later in pairwise(self._shown)}
        usual = max(1, round(1 / (self.reader.rate * self.reader.time_base)))
        times = zip(self._order, self._decoding_times(), strict=True)
        for packet, (pts, dts) in zip(self._packets(), times, strict=True):
            packet.stream, packet.time_base = self._stream, self.reader.time_base
            packet.pts, packet.dts, packet.duration = pts, dts, lasts.get(pts, usual)
            self._mux_video([packet])
            self.frames_written += 1

    def _finish(self) -> None:
        self._copy(None)
        try:
            self._container.close()
        except av.FFmpegError as error:
            raise self._failed(error) from error
