"""The reader of a video file: every frame once, upright, in presentation order, with the source's own time."""

import os
import stat
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
from av.container.input import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.stream import Disposition
from av.video.stream import VideoStream

from .colour import ColourTags, ToRgb, has_alpha, is_rgb
from .errors import SourceError
from .frame import Frame, Original
from .orientation import Orientation

if TYPE_CHECKING:
    from av.container.core import Chapter

MAX_PIXELS = 16384 * 16384


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
    - `pts` and `time_base` are the file's. A frame without a timestamp, or with one that does not grow, gets the
      next possible one, and `notes` says so.
    - Alpha is dropped, more than 8 bits are rounded to 8, interlaced frames come as stored, both fields woven:
      `notes` says so.
    - A damaged or cut-off file gives every frame that can be decoded, and `notes` says so. A file of which not one
      can be decoded raises SourceError.
    - A frame whose size differs from the first one's is scaled to it, and `notes` says so.
    - Frames that were neither turned nor scaled have their `original`, so that a writer can keep its samples.

    Sizes up to 16384x16384 are read. Raises SourceError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._notes: dict[str, str] = {}
        self._last_pts: int | None = None
        self._to_rgb = ToRgb()
        self._container = open_source(self.path)
        try:
            self._stream = self._choose_stream()
            self._stream.thread_type = "AUTO"
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise SourceError(
                    f"input {self.path} has a video stream ({self._stream.name}) but not one frame can be decoded; "
                    "the file is damaged or holds no picture: copy it again or record it anew"
                )
            self._first: av.VideoFrame | None = first
            self._describe(first)
        except BaseException:
            self._container.close()
            raise

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
        self.tags = ColourTags.of(first)
        self.is_rgb = is_rgb(first.format)
        self.pix_fmt = first.format.name
        self.codec = stream.name or "unknown"
        self.time_base = stream.time_base or Fraction(1, 90000)
        self.rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
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
        # The stubs call this mapping a TypedDict with one key; it holds every kind of side data.
        side_data = cast("Mapping[Type, SideData]", first.side_data)
        if Type.DISPLAYMATRIX not in side_data:
            return Orientation()
        orientation = Orientation.from_display_matrix(bytes(side_data[Type.DISPLAYMATRIX]))
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
        """Chapters of the container."""
        return self._container.chapters()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the file for the user; complete when all frames were read."""
        return tuple(self._notes.values())

    def seek(self, seconds: Fraction | float) -> int | None:
        """Go on with the key frame at or before a time: its pts, None at the file's end.

        Containers find it by the order of decoding, so it may lie a little after the time. Frames that refer to
        pictures before it are left out. Only for files whose frames all have times of their own: repaired ones would
        differ. Raises SourceError where the file cannot be searched.
        """
        try:
            self._container.seek(int(Fraction(seconds) / self.time_base), stream=self._stream)
        except av.FFmpegError as error:
            raise SourceError(f"input {self.path} cannot be searched by time ({_reason(error)})") from error
        self._last_pts, self._decoded = None, self._decode_from_key()
        self._first = next(self._decoded, None)
        return None if self._first is None else self._first.pts

    def _decode_from_key(self) -> Iterator[av.VideoFrame]:
        key: int | None = None
        for decoded in self._decode():
            if key is None and decoded.key_frame:
                key = decoded.pts
            if key is not None and decoded.pts is not None and decoded.pts >= key:
                yield decoded

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        decoded, self._first = self._first or next(self._decoded, None), None
        if decoded is None:
            return None
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
        pts = self._timestamp(decoded)
        self.last_duration = decoded.duration or 0
        self._last_pts = pts
        original = None if scaled or self.orientation != Orientation() else Original(decoded, pixels)
        return Frame(pixels, pts, self.time_base, original)

    def _timestamp(self, decoded: av.VideoFrame) -> int:
        pts = decoded.pts if decoded.pts is not None else decoded.dts
        if self._last_pts is None:
            return 0 if pts is None else pts
        if pts is None:
            self._notes["times"] = "frames without a timestamp were given one from the frame rate"
            return self._last_pts + max(1, round(1 / (self.rate * self.time_base)))
        if pts <= self._last_pts:
            self._notes["order"] = "timestamps that did not grow were moved to the next possible one"
            return self._last_pts + 1
        return pts

    def _decode(self) -> Iterator[av.VideoFrame]:
        decoded = damaged = hidden = 0
        for packet in self._demux():
            hidden += packet.is_discard
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            decoded += len(frames)
            yield from frames
        if damaged:
            self._notes["damaged"] = f"damaged: {damaged} pieces of the video could not be decoded"
        self._note_missing(decoded + hidden)

    def _note_missing(self, found: int) -> None:
        # Only MP4 and its kin count their frames; elsewhere the number may be an estimate or count empty packets.
        if "mp4" in self._container.format.name:
            if self._stream.frames > found:
                self._notes["short"] = (
                    f"cut off or damaged: the file promises {self._stream.frames} frames and gave {found}; "
                    "the result holds those"
                )
            return
        duration, start = self.duration, self._stream.start_time or 0
        if duration is None or self._last_pts is None:
            return
        end = (self._last_pts - start) * self.time_base
        if end < duration * Fraction(19, 20) - 1:
            self._notes["short"] = (
                f"cut off or damaged: the file promises {float(duration):.1f} s and its last frame is at "
                f"{float(end):.1f} s; the result holds those"
            )

    def _demux(self) -> "Iterator[av.Packet[VideoStream]]":
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as error:
            self._notes["cut"] = f"cut off or damaged: reading stopped early ({_reason(error)})"
            # An empty packet makes the decoder hand out what it still holds.
            flush = cast("av.Packet[VideoStream]", av.Packet())
            flush.stream = self._stream
            yield flush

    def close(self) -> None:
        """Release the decoder and the file; iterating ends."""
        self._first = None
        self._decoded = iter(())
        self._container.close()

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
