"""The reader of a video file: every frame once, upright, in presentation order, with the source's own time."""

import os
import stat
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

import av
from av.container.input import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.stream import VideoStream

from .clock import Clock, demux
from .colour import ColourTags, ToRgb, has_alpha, is_rgb
from .decoding import Decoder, packets_until_cut
from .errors import SourceError
from .frame import Frame, Original
from .hardware import NONE, PLANAR, check_hwaccel, open_on_hardware, planar
from .orientation import Orientation
from .side_data import SideDataSeen, side_data

if TYPE_CHECKING:
    from av.container.core import Chapter

MAX_PIXELS = 16384 * 16384

LAST_READ_SECONDS: Final = 1.0
"""For which closing waits for a frame that another thread reads."""


def open_source(path: Path) -> InputContainer:
    """Open a media file for demuxing. Raises SourceError that says what is wrong with the file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SourceError(f"input {path} does not exist; check the name and the folder") from None
    except OSError as error:
        raise SourceError(f"input {path} cannot be read: {error.strerror}; check its permissions") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"input {path} is a folder, expected a video file; name one file in it")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"input {path} is not a regular file, expected a video file; save the stream to a file first")
    if status.st_size == 0:
        raise SourceError(f"input {path} is empty (0 bytes), expected a video file; copy or download it again")
    try:
        # "file:" keeps a colon in the name from being taken for a protocol; bytes of old tags survive as they are.
        return av.open(f"file:{os.fspath(path)}", "r", metadata_errors="surrogateescape")
    except PermissionError as error:
        raise SourceError(f"input {path} cannot be read: permission denied; check its permissions") from error
    except (av.FFmpegError, ValueError) as error:
        raise SourceError(
            f"input {path} is not a video that FFmpeg can open ({_reason(error)}); it may be of another kind, damaged "
            "or cut off (an MP4 that was not finished has no index); copy it again, or see what `ffprobe` says about it"
        ) from error


class VideoReader:
    """The pictures of one video file, and the properties that a writer needs to copy everything else.

    Opening decodes the first frame, so that a file without any is refused at once. Iterating yields each frame once,
    in presentation order, and holds one frame at a time beside the decoder's own few; a second pass needs a second
    reader. The first video stream that is not a cover picture is read.

    - Frames are turned upright (multiples of 90 degrees and mirrorings).
    - `pts` and `time_base` are the file's, on the `Clock` that all its streams share: it counts on where theirs
      wraps or jumps, and starts near zero where the format's does not. A frame without a timestamp, or with one that
      does not grow, gets the next possible one. `notes` says so.
    - Alpha is dropped, more than 8 bits are rounded to 8, interlaced frames come as stored, both fields woven:
      `notes` says so.
    - A damaged or cut-off file gives every frame that can be decoded, and `notes` says so. A file of which not one
      can be decoded raises SourceError.
    - A frame whose size differs from the first one's is scaled to it, and `notes` says so.
    - Frames that were neither turned nor scaled have their `original`, so that a writer can keep its samples.

    Sizes up to 16384x16384 are read. Raises SourceError.

    Attributes:
        hardware: what decodes it, "" for software.
    """

    at_own_times = True
    """Whether a writer gets the frames of this reader, each at its time."""

    def __init__(self, path: str | os.PathLike[str], *, hwaccel: str = NONE) -> None:
        """hwaccel: one of `hardware.HWACCELS`. Where hardware cannot decode the file, or no longer can, software does,
        and `notes` says so.
        """
        self.path = Path(path)
        self.hardware = ""
        self._notes: dict[str, str] = {}
        self._first: tuple[av.VideoFrame, int] | None = None
        self._to_rgb = ToRgb()
        self._reading = threading.Lock()
        wanted = check_hwaccel(hwaccel)
        self._container = open_source(self.path)
        if wanted != NONE:
            self._take_hardware(hwaccel)
        try:
            self._stream = stream = self._choose_stream()
            if not self.hardware:
                stream.thread_type = "AUTO"
            self.time_base = stream.time_base or Fraction(1, 90000)
            self.rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
            self._decoded = self._decode()
            self._first = next(self._decoded, None)
            if self._first is None:
                raise SourceError(
                    f"input {self.path} has a video stream ({self._stream.name}) but not one frame can be decoded; "
                    "the file is damaged or holds no picture: copy it again or record it anew"
                )
            self.first_pts = self._first[1]
            self._describe(self._first[0])
        except BaseException:
            self._container.close()
            raise

    def _take_hardware(self, hwaccel: str) -> None:
        found = open_on_hardware(self.path, hwaccel)
        if isinstance(found, str):
            self._notes["hwaccel"] = f"decoded in software: no hardware for it ({found})"
            return
        self._container.close()
        self._container, self.hardware = found

    def _choose_stream(self) -> VideoStream:
        videos = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not videos:
            kinds = sorted({str(s.type) for s in self._container.streams}) or ["none"]
            raise SourceError(
                f"input {self.path} has no video stream (its streams: {', '.join(kinds)}); choose a file with pictures"
            )
        stream = videos[0]
        if stream.codec_context is None:
            raise SourceError(
                f"input {self.path}: no decoder for its video stream in this FFmpeg; convert it first: "
                "ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        if len(videos) > 1:
            self._notes["several"] = f"{len(videos)} video streams: the first is read, the others are copied"
        return stream

    def _describe(self, first: av.VideoFrame) -> None:
        stream = self._stream
        self._stored_size = (first.width, first.height)
        if first.width * first.height > MAX_PIXELS:
            raise SourceError(
                f"input {self.path} is {first.width}x{first.height}, expected at most 16384x16384 pixels; "
                "scale it down first: ffmpeg -i IN -vf scale=7680:-2 OUT.mp4"
            )
        self.side_data = SideDataSeen(first)
        self.tags = ColourTags.of(first)
        self.is_rgb = is_rgb(first.format)
        self.pix_fmt = PLANAR.get(first.format.name, first.format.name) if self.hardware else first.format.name
        self.codec = stream.name or "unknown"
        self.interlaced = bool(first.interlaced_frame)
        self.orientation = self._read_orientation(first)
        self.size = self.orientation.size(*self._stored_size)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        self.sample_aspect_ratio = 1 / aspect if self.orientation.transpose else aspect
        self.last_duration = 0
        bits = max(component.bits for component in first.format.components)
        if bits > 8:
            self._notes["depth"] = f"{bits}-bit pictures ({self.pix_fmt}): frames are rounded to 8 bits"
        if has_alpha(first.format):
            self._notes["alpha"] = f"transparency ({self.pix_fmt}) is dropped"
        if self.interlaced:
            self._notes["interlaced"] = (
                "interlaced: frames are taken and written as stored, both fields woven, and marked progressive; "
                "deinterlace first for a better picture: ffmpeg -i IN -vf bwdif OUT"
            )

    def _read_orientation(self, first: av.VideoFrame) -> Orientation:
        found, _ = side_data(first)
        if Type.DISPLAYMATRIX not in found:
            return Orientation()
        orientation = Orientation.from_display_matrix(bytes(found[Type.DISPLAYMATRIX]))
        if orientation is None:
            self._notes["angle"] = "the rotation is not a multiple of 90 degrees: frames are left as stored"
            return Orientation()
        return orientation

    @property
    def stream_index(self) -> int:
        """Index of the video stream that is read, among all streams of the file."""
        return self._stream.index

    @property
    def frame_count_estimate(self) -> int | None:
        """Number of frames by the file's header, or by its duration and rate; None if it has neither."""
        if self._stream.frames:
            return self._stream.frames
        duration = self.duration
        return None if duration is None else max(1, round(duration * self.rate))

    @property
    def duration(self) -> Fraction | None:
        """Duration in seconds by the file's header; None if it has none."""
        if self._stream.duration:
            return self._stream.duration * self.time_base
        return Fraction(self._container.duration, av.time_base) if self._container.duration else None

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the container."""
        return dict(self._container.metadata)

    @property
    def stream_metadata(self) -> dict[str, str]:
        """Metadata of the video stream."""
        return dict(self._stream.metadata)

    @property
    def disposition(self) -> Disposition:
        """Disposition of the video stream (default, forced, ...)."""
        return self._stream.disposition

    @property
    def chapters(self) -> "list[Chapter]":
        """Chapters of the container, on the clock of the frames."""
        chapters = self._container.chapters()
        for chapter in chapters:
            unit = chapter["time_base"]
            moved = round(self.clock.origin / unit) if unit else 0
            chapter["start"], chapter["end"] = chapter["start"] - moved, chapter["end"] - moved
        return chapters

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the file for the user; complete when all frames were read."""
        clock = self.clock.note
        return (*self._notes.values(), *([clock] if clock else []), *self._decoder.notes)

    def seek(self, seconds: Fraction | float) -> int | None:
        """Go on with the key frame at or before a time: its pts, None at the file's end.

        Containers find it by the order of decoding, so it may lie a little after the time. Frames that refer to
        pictures before it are left out. Only for files whose frames all have times of their own: repaired ones would
        differ. Raises SourceError where the file cannot be searched.
        """
        try:
            self._container.seek(int((Fraction(seconds) + self.clock.origin) / self.time_base), stream=self._stream)
        except av.FFmpegError as error:
            raise SourceError(f"input {self.path} cannot be searched by time ({_reason(error)})") from error
        self._decoded = self._decode_from_key()
        self._first = next(self._decoded, None)
        return None if self._first is None else self._first[1]

    def _decode_from_key(self) -> Iterator[tuple[av.VideoFrame, int]]:
        key: int | None = None
        for decoded, pts in self._decode():
            if key is None and decoded.key_frame:
                key = pts
            if key is not None and pts >= key:
                yield decoded, pts

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        with self._reading:
            return self._decode_next()

    def _decode_next(self) -> Frame | None:
        timed, self._first = self._first or next(self._decoded, None), None
        if timed is None:
            return None
        decoded, pts = timed
        self.side_data.add(decoded)
        scaled = (decoded.width, decoded.height) != self._stored_size
        if scaled:
            self._notes["size"] = "the picture size changes midway: later frames are scaled to the first one's size"
        try:
            pixels = self.orientation.apply(self._to_rgb(decoded, self._stored_size))
        except av.FFmpegError as error:
            raise SourceError(
                f"input {self.path}: frames of pixel format {decoded.format.name} cannot be converted to RGB "
                f"({_reason(error)}); convert the video first: ffmpeg -i IN -pix_fmt yuv420p OUT.mp4"
            ) from error
        self.last_duration = decoded.duration or 0
        original = (
            None
            if scaled or self.orientation != Orientation()
            else Original(planar(decoded) if self.hardware else decoded, pixels, self.codec)
        )
        return Frame(pixels, pts, self.time_base, original)

    def _decode(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """Every frame with its time on the clock, from where the container is."""
        self.clock = Clock(self._container)
        self._decoder = Decoder(self._stream, round(1 / (self.rate * self.time_base)))
        cut: list[str] = []
        for packet in packets_until_cut(demux(self._container, self.clock, self._stream), cut):
            yield from self._decoder.decode(cast("av.Packet[VideoStream]", packet))
            if self.hardware and self._decoder.damaged:
                yield from self._in_software(self._decoder.frames)
                return
        if cut:
            self._notes["cut"] = f"cut off or damaged: reading stopped early ({cut[0]})"
            yield from self._decoder.flush()
        self._note_missing()

    def _in_software(self, given: int) -> Iterator[tuple[av.VideoFrame, int]]:
        """The frames after the first so many, after hardware could not decode a packet: if software cannot either, the
        packet is damaged. The file is read again from its beginning, since only so its times are counted alike.
        """
        self._notes["hwaccel"] = f"{self.hardware} failed after {given} frames: decoded in software from there on"
        self.hardware = ""
        index = self._stream.index
        self._container.close()
        self._container = open_source(self.path)
        self._stream = cast("VideoStream", self._container.streams[index])
        self._stream.thread_type = "AUTO"
        yield from islice(self._decode(), given, None)

    def _note_missing(self) -> None:
        last, found = self._decoder.last_pts, self._decoder.frames + self._decoder.hidden
        if last is None:
            return
        # Only MP4 and its kin count their frames; elsewhere the number may be an estimate or count empty packets.
        if "mp4" in self._container.format.name:
            if self._stream.frames > found:
                self._notes["short"] = (
                    f"cut off or damaged: the file promises {self._stream.frames} frames and gave {found}; "
                    "the result holds those"
                )
        elif self.duration is not None and not self.clock.jumps:
            end = (last - self.first_pts) * self.time_base
            if end < self.duration * Fraction(19, 20) - 1:
                self._notes["short"] = (
                    f"cut off or damaged: the file promises {float(self.duration):.1f} s and its last frame is at "
                    f"{float(end):.1f} s; the result holds those"
                )

    def close(self) -> None:
        """Release the decoder and the file; iterating ends.

        Where another thread still waits for a frame, of a pipe that nobody writes to any more, they are left to it.
        """
        if not self._reading.acquire(timeout=LAST_READ_SECONDS):
            return
        try:
            self._first = None
            self._decoded = iter(())
            self._container.close()
        finally:
            self._reading.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.size
        return (
            f"VideoReader({str(self.path)!r}, {self.codec} {self.pix_fmt} {width}x{height}, {float(self.rate):.3g}/s)"
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
