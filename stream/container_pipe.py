"""NUT and Matroska through a pipe: pictures with their own timestamps, in any codec.

Both are written as NUT: Matroska has no place for most raw pixel formats, and its times are coarser.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, Literal, cast

import av
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from .clock import Clock, demux
from .colour import BT601, BT709, FULL, LIMITED, ColourTags, usual_matrix
from .decoding import Decoder, packets_until_cut
from .errors import SinkError, SourceError
from .layout import find_layout
from .picture import AS_SAID, Aside, ColourChoice, Picture, PictureFormat, check_size, decoded_siting, packed
from .pipe import CHUNK, PIPE_BYTES, PipeWriter, ReaderGone
from .side_data import SideDataSeen

Container = Literal["nut", "matroska"]
MAGIC: dict[bytes, Container] = {b"nut/multimedia container\0": "nut", b"\x1a\x45\xdf\xa3": "matroska"}
# No more is read ahead than one picture: what comes from a camera is shown at once.
_READ_OPTIONS = {"fpsprobesize": "0", "analyzeduration": "0"}
# Without an index, which would grow with the length, and without waiting for sound that does not come.
_WRITE_OPTIONS = {"write_index": "0", "flush_packets": "1", "max_interleave_delta": "200000"}
_MATRIX_NAMES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
_RANGE_NAMES = {LIMITED: "tv", FULL: "pc"}


class _Arriving:
    """A stream whose `read` returns the available bytes, instead of waiting for the requested number."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read1(size)


class ContainerReader:
    """A PictureSource of the first video stream of a container; its sound comes between the pictures.

    stream: at its beginning. kind: the container. colours: over what it says. rate: over what it says, which is only
    told on, since the pictures have timestamps (see `Decoder`). A picture that cannot be decoded is left out, and
    `notes` says so. Decodes the first picture. Raises SourceError.
    """

    def __init__(
        self,
        stream: io.BufferedReader,
        kind: Container,
        *,
        colours: ColourChoice = AS_SAID,
        rate: Fraction | None = None,
    ) -> None:
        self.kind = kind
        self._notes: dict[str, str] = {}
        self._asides: list[Aside] = []
        self._number = 0
        try:
            self._container: InputContainer = av.open(
                cast(BinaryIO, _Arriving(stream)), "r", format=kind, options=_READ_OPTIONS, buffer_size=CHUNK
            )
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(f"the {kind} stream cannot be read ({_reason(error)}); see what writes it") from error
        videos = self._container.streams.video
        if not videos:
            raise SourceError(f"the {kind} stream has no video; leave out -vn, or choose a source with pictures")
        self.video: VideoStream = videos[0]
        self.sound: list[AudioStream] = list(self._container.streams.audio)
        self.video.thread_type = "SLICE"  # threads that take a picture each would hold back as many
        others = len(self._container.streams) - len(self.sound) - 1
        if others:
            self._notes["others"] = f"{others} streams that are neither this video nor sound are left out"
        self._clock = Clock(self._container, keep_origin=True)
        self._rate = rate or self.video.average_rate or self.video.guessed_rate or Fraction(25)
        self._decoder = Decoder(self.video, round(1 / (self._rate * (self.video.time_base or Fraction(1, 1000)))))
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            raise SourceError(f"the {kind} stream has not one picture that can be decoded; see what writes it")
        self._side_data = SideDataSeen(self._first[0])
        self.format = self._describe(self._first[0], colours)
        self._note_lost()

    def _describe(self, first: av.VideoFrame, colours: ColourChoice) -> PictureFormat:
        stream = self.video
        layout = find_layout(first.format.name, source=f"the {self.kind} stream")
        size = check_size(first.width, first.height, f"the {self.kind} stream says a picture")
        return PictureFormat(
            size=size,
            layout=layout,
            time_base=stream.time_base or Fraction(1, 1000),
            rate=self._rate,
            tags=colours.tags(ColourTags.of(first), layout, size),
            siting=decoded_siting(stream.codec_context.name),
        )

    def _note_lost(self) -> None:
        """Note the properties of the pictures that NUT, as FFmpeg and PyAV write it, does not store."""
        tags, family = self.format.tags, self.format.layout.family
        assumed = {5, 6} if usual_matrix(self.format.size) == BT601 else {BT709}
        usual_range = LIMITED if family == "yuv" else FULL
        if family != "rgb" and (tags.matrix not in assumed or tags.signal_range != usual_range):
            matrix = _MATRIX_NAMES.get(tags.matrix, tags.matrix)
            said = f"-colorspace {matrix} -color_range {_RANGE_NAMES[tags.signal_range]}"
            self._notes["colours"] = (
                f"NUT does not say what the colours are; say it to the program that reads it, as in ffmpeg {said} -i -"
            )
        aspect = self.video.sample_aspect_ratio
        if aspect not in (None, 0, 1):
            self._notes["aspect"] = (
                f"NUT does not say that pixels are not square ({aspect}); say it to the program that reads it, "
                f"as in ffmpeg -i - -vf setsar={aspect}, or send y4m, which does"
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the stream for the user."""
        clock = self._clock.note
        lost = [f"{name}: not kept beside raw pictures" for name in self._side_data.lost()]
        return (*self._notes.values(), *([clock] if clock else []), *self._decoder.notes, *lost)

    def __iter__(self) -> Iterator[Picture | Aside]:
        timed, self._first = self._first, None
        while timed is not None:
            yield from self._pending()
            yield self._picture(*timed)
            timed = next(self._decoded, None)
        yield from self._pending()

    def _pending(self) -> list[Aside]:
        asides, self._asides = self._asides, []
        return asides

    def _picture(self, frame: av.VideoFrame, pts: int) -> Picture:
        self._number += 1
        self._side_data.add(frame)
        found = (frame.width, frame.height, frame.format.name)
        expected = (*self.format.size, self.format.layout.pix_fmt)
        if found != expected:
            raise SourceError(
                f"frame {self._number} is {found[0]}x{found[1]} {found[2]}, the frames before it are {expected[0]}x"
                f"{expected[1]} {expected[2]}: a stream of pictures cannot change midway; scale it before: "
                f"ffmpeg -i IN -vf scale={expected[0]}:{expected[1]},format={expected[2]} -f {self.kind} -"
            )
        data = packed(frame, self.format.layout)
        return Picture(data, pts, frame.duration or 0, bool(frame.interlaced_frame), decoded=frame)

    def _decode(self) -> Iterator[tuple[av.VideoFrame, int]]:
        cut: list[str] = []
        broken = False  # the last picture: whoever writes the stream has ended in the middle of it
        for packet in packets_until_cut(demux(self._container, self._clock, self.video, *self.sound), cut):
            if packet.stream is self.video:
                before = self._decoder.damaged
                yield from self._decoder.decode(cast("av.Packet[VideoStream]", packet))
                if packet.size:
                    broken = self._decoder.damaged > before
            elif packet.dts is not None:
                self._asides.append(Aside(packet))
        if broken and not cut:
            cut.append("its last picture cannot be decoded")
        elif cut:
            yield from self._decoder.flush()
        if cut:
            raise SourceError(
                f"frame {self._number + 1} of the {self.kind} stream is cut off or damaged ({cut[0]}); "
                f"the {self._number} frames before it are written; see what the program that writes it says"
            )


class ContainerWriter:
    """A PictureSink that writes NUT: raw pictures, the source's sound unchanged, all timestamps unchanged."""

    def __init__(self, output: PipeWriter, source: ContainerReader) -> None:
        self._source, format = source, source.format
        try:
            self._container: OutputContainer = av.open(
                _Leaving(output),
                "w",
                format="nut",
                options=_WRITE_OPTIONS,
                buffer_size=PIPE_BYTES,
            )
            stream = self._container.add_stream(
                "rawvideo", rate=format.rate, width=format.size[0], height=format.size[1], time_base=format.time_base
            )
            self._sound = {sound.index: self._container.add_stream_from_template(sound) for sound in source.sound}
        except (av.FFmpegError, ValueError) as error:
            raise SinkError(f"cannot write NUT: {_reason(error)}; leave sound out with ffmpeg's -an") from error
        stream.codec_context.pix_fmt = format.layout.pix_fmt
        self._stream = stream

    def write(self, item: Picture | Aside) -> None:
        """Write a picture or a packet of sound, which goes out at once."""
        packet: av.Packet[Stream]
        if isinstance(item, Aside):
            packet = item.packet
            packet.stream = self._sound[packet.stream.index]
        else:
            packet = av.Packet(bytes(item.data))
            packet.stream, packet.time_base = self._stream, self._source.format.time_base
            packet.pts = packet.dts = item.pts
            packet.duration, packet.is_keyframe = item.duration, True
        self._run(packet)

    def _run(self, packet: "av.Packet[Stream] | None") -> None:
        try:
            if packet is None:
                self._container.close()
            else:
                self._container.start_encoding()
                self._container.mux_one(packet)
        except (av.FFmpegError, ValueError) as error:
            raise SinkError(
                f"cannot write NUT ({self._source.format.layout.pix_fmt} pictures, {len(self._sound)} sounds): "
                f"{_reason(error)}; send y4m instead, with ffmpeg's -f yuv4mpegpipe"
            ) from error

    def close(self) -> None:
        """Write the end of the container."""
        self._run(None)


class _Leaving:
    """The output for FFmpeg; without `seek` and `close`, so FFmpeg treats it as a pipe and leaves it open."""

    def __init__(self, output: PipeWriter) -> None:
        self._output = output
        self._gone = False

    def write(self, data: bytes) -> int:
        if self._gone:  # the end of the container, after the reader had gone
            return len(data)
        try:
            return self._output.write(data)
        except ReaderGone:
            self._gone = True
            raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
