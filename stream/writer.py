"""Writing a video file: edited pictures, and everything else of the source as it was."""

import contextlib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from .atomic import NO_SPACE, AtomicFile, write_whole
from .copied import MOV_FAMILY, LeftOut, StreamCopier
from .encoding import EncoderOptions, choose_pix_fmt, configure, find_encoder, refused, signal_range
from .errors import SinkError
from .frame import Frame
from .hardware import PLANAR
from .hardware_encoding import HardwareFailedError, software_for
from .orientation import Orientation
from .reader import VideoReader
from .side_data import FRAME_KINDS, keep
from .to_samples import ToSamples

_HOLD_CHAPTERS = MOV_FAMILY | {"matroska", "webm", "nut", "ogg", "asf"}
_MOV_TAGS = frozenset(
    {
        "title",
        "artist",
        "album",
        "album_artist",
        "composer",
        "comment",
        "genre",
        "date",
        "copyright",
        "description",
        "synopsis",
        "lyrics",
        "grouping",
        "show",
        "episode_id",
        "network",
        "track",
        "disc",
        "creation_time",
        "timecode",
    }
)
_WRITTEN_ANEW = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "vendor_id",
        "rotate",
        "duration",
        "bps",
        "number_of_frames",
        "number_of_bytes",
        "_statistics_writing_app",
        "_statistics_writing_date_utc",
        "_statistics_tags",
    }
)
_INT32_MAX = 2**31 - 1


class VideoWriter:
    """One frame out per frame in, with the source's own times, and the source's other streams copied beside them.

    target: path of the result; its suffix names the container.
    reader: the open source; frames given to `write` are its, with other pixels.
    codec, crf, preset, pix_fmt: see `EncoderOptions`.
    overwrite: whether a file of that name may be replaced.
    seal: called with the finished file before it gets its name, to sign it; bytes that it returns become a file of the
        same name with the further suffix .c2pa.
    said: a sentence that is added to the comment of the file, where it is not there already.
    alone: the pictures without the source's other streams, for a piece of a result (see `joined`).

    A context manager. The result is written beside the target and renamed when the block ends well; any exception,
    Ctrl-C included, removes it. Memory does not grow with the length.

    - Samples are the source's own, with what was edited added to them, where the result has their pixel format and
      colours; else they are made from RGB (see `ToSamples`).
    - pts and time base are the source's. Containers that count time their own way (Matroska in milliseconds,
      MPEG-TS in 1/90000 s, AVI in frames) round to it, and `notes` says so.
    - Frames are written upright, without a rotation tag: they show as the source does in every player.
    - Colour tags, pixel aspect, metadata and chapters are the source's. A source of RGB gets BT.601 or BT.709.
    - Video is written as progressive.
    - Where a hardware encoder cannot be had, software takes its place, and `notes` says so; one that fails in the
      middle of a file raises HardwareFailedError.
    - What the container cannot hold is listed in `left_out`, complete when the block has ended.

    Raises SinkError.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        reader: VideoReader,
        *,
        codec: str = "libx264",
        crf: float | None = None,
        preset: str | None = None,
        pix_fmt: str | None = None,
        overwrite: bool = False,
        alone: bool = False,
        seal: Callable[[Path], bytes | None] | None = None,
        said: str = "",
    ) -> None:
        self.alone = alone
        self._said = said
        self._seal = seal
        self.target = os.fspath(target)
        self.reader = reader
        self.overwrite = overwrite
        if os.path.exists(self.target) and os.path.samefile(self.target, reader.path):
            raise SinkError(f"output {self.target} is the input itself; choose another name for the result")
        self._in_software = ""
        try:
            options = EncoderOptions(codec, crf, preset, pix_fmt)
        except ValueError as error:
            raise SinkError(f"{error}; leave out --crf for the default") from None
        software = software_for(codec)
        try:
            self._choose(options)
        except SinkError as error:
            if software is None:
                raise
            self._fall_back(options, software, error)
        self.frames_written = 0
        self._bare = False
        self._held: Frame | None = None
        self._notes: list[str] = []
        self._left_out: list[LeftOut] = []

    def _choose(self, options: EncoderOptions) -> None:
        reader, codec = self.reader, options.codec
        self.options = options
        self.pix_fmt = choose_pix_fmt(options, find_encoder(codec), reader.pix_fmt, reader.size)
        tags = reader.tags.for_yuv(reader.size, source_is_rgb=reader.is_rgb)
        self.signal_range = signal_range(codec, tags.signal_range)
        # Hardware takes the same samples in another order, see `_encode`.
        own = PLANAR.get(self.pix_fmt, self.pix_fmt) if software_for(codec) else self.pix_fmt
        self._to_samples = ToSamples(own, replace(tags, signal_range=self.signal_range), reader)

    def _fall_back(self, options: EncoderOptions, software: str, reason: SinkError) -> None:
        """Take a software encoder; its presets have other names."""
        self._choose(replace(options, codec=software, preset=None))
        self._in_software = f"{options.codec} cannot be had here ({reason}): encoded in software, by {software}"

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Parts of the source that are not in the result, and why."""
        return tuple(self._left_out)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the result for the user."""
        return tuple(self._notes) if not self._in_software else (self._in_software, *self._notes)

    def check(self) -> None:
        """Raise SinkError if the result could not be begun: everything is opened once, and nothing of it stays."""
        self.__enter__()
        try:
            self._release()
        finally:
            self._file.discard()
            self._notes.clear()

    def __enter__(self) -> Self:
        self._file = AtomicFile(self.target, overwrite=self.overwrite)
        try:
            try:
                self._open()
            except SinkError as error:
                software = software_for(self.options.codec)
                if software is None:
                    raise
                self._fall_back(self.options, software, error)
                self._open()
        except BaseException:
            self._file.discard()
            raise
        return self

    def _open(self) -> None:
        suffix = self._file.target.suffix
        try:
            self._container: OutputContainer = av.open(
                f"file:{self._file.path}", "w", metadata_errors="surrogateescape"
            )
        except ValueError:
            raise SinkError(
                f"output {self.target}: no container known for the suffix {suffix!r}; "
                "use one such as .mp4, .mov, .mkv or .webm"
            ) from None
        if self._container.format.no_file or self._container.format.name in {"image2", "null"}:
            raise SinkError(f"output {self.target}: {suffix} is not a video container; use one such as .mp4 or .mkv")
        name = self._container.format.name
        try:
            self._stream = self._add_video()
        except (av.FFmpegError, ValueError) as error:
            raise refused(self.options, self.pix_fmt, name, [str(error)]) from error
        self._copier = StreamCopier(self.reader.path, self.reader.stream_index, self._container, nothing=self.alone)
        try:
            self._left_out = self._copier.left_out
            self._describe_container(name)
            try:
                self._container.start_encoding()
            except (av.FFmpegError, ValueError) as error:
                if _errno(error) in NO_SPACE:
                    raise self._failed(error) from error
                raise refused(self.options, self.pix_fmt, name, [str(error)]) from error
            self._note_times(name)
        except BaseException:
            self._release()
            raise

    def _add_video(self) -> VideoStream:
        reader = self.reader
        stream = self._container.add_stream(
            self.options.codec,
            rate=reader.rate.limit_denominator(_INT32_MAX),
            width=reader.size[0],
            height=reader.size[1],
            time_base=reader.time_base,
        )
        assert isinstance(stream, VideoStream)
        context, tags = stream.codec_context, self._to_samples.tags
        context.pix_fmt = self.pix_fmt
        context.sample_aspect_ratio = reader.sample_aspect_ratio
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        if not self.pix_fmt.startswith(("rgb", "bgr", "gbr")):
            context.colorspace, context.color_range = tags.matrix, tags.signal_range
        self._kept = keep(
            reader.side_data,
            self.options.codec,
            self._container.format.name,
            [option.name for option in context.supported_options.private],
            frames=reader.at_own_times,
            turned=reader.orientation != Orientation(),
        )
        self._to_samples.kept = self._kept.kinds
        configure(context, self.options, reader.size, self._kept.options)
        stream.metadata.update(self._kept.metadata | carried(reader.stream_metadata))
        stream.disposition = reader.disposition & ~Disposition.attached_pic
        return stream

    def _describe_container(self, name: str) -> None:
        metadata = _saying(self._said, carried(self.reader.metadata))
        self._container.metadata.update(metadata)
        chapters = self.reader.chapters
        if chapters and name in _HOLD_CHAPTERS:
            self._container.set_chapters(chapters)
        elif chapters:
            self._left_out.append(LeftOut(f"{len(chapters)} chapters", f"the {name} container cannot hold them"))
        options: dict[str, str] = {}
        if name in MOV_FAMILY:
            ticks = [t.denominator for t in [self.reader.time_base, *self._copier.time_bases]]
            if ticks[0] <= _INT32_MAX:
                options["video_track_timescale"] = str(ticks[0])
            # Starts are stored in this unit: any coarser one would move streams that do not start at zero.
            if (common := math.lcm(*ticks)) <= _INT32_MAX:
                options["movie_timescale"] = str(common)
            if any(key.lower() not in _MOV_TAGS for key in metadata):
                options["movflags"] = "use_metadata_tags"
        elif name in ("matroska", "webm"):
            # Sound that starts a little before zero would otherwise move every stream.
            options["avoid_negative_ts"] = "disabled"
        elif name == "mpegts":
            # Else as ffmpeg does: times from 1.4 s on, so that no decoding time is below zero.
            options.update({"mpegts_copyts": "1"} if self._copier.later else {"max_delay": "700000"})
        self._container.container_options.update(options)

    def _note_times(self, name: str) -> None:
        unit = self._stream.time_base
        if unit is not None and (self.reader.time_base / unit).denominator != 1:
            self._notes.append(
                f"the {name} container counts time in units of {unit} s, the source in {self.reader.time_base} s: "
                "timestamps are rounded to the nearest; .mp4 keeps them exactly"
            )

    def write(self, frame: Frame) -> None:
        """Take the next frame, with the source's time base and a pts greater than the one before.

        Raises ValueError if size, time base or pts is not so, SinkError if writing fails.
        """
        if frame.size != self.reader.size or frame.time_base != self.reader.time_base:
            raise ValueError(
                f"expected a frame of {self.reader.size} with time base {self.reader.time_base}, "
                f"got {frame.size} with {frame.time_base}"
            )
        if self._held is not None:
            if frame.pts <= self._held.pts:
                raise ValueError(f"expected a pts above {self._held.pts}, got {frame.pts}")
            self._encode(self._held, frame.pts - self._held.pts)
        self._held = frame
        self.frames_written += 1

    def _encode(self, frame: Frame, duration: int) -> None:
        picture = self._to_samples(frame)
        self._bare |= frame.original is None
        later = round(self._copier.later / frame.time_base)
        if picture.format.name != self.pix_fmt and self._to_samples.pix_fmt != self.pix_fmt:
            picture = picture.reformat(format=self.pix_fmt)
        picture.pts, picture.time_base, picture.duration = frame.pts + later, frame.time_base, duration
        try:
            packets = self._stream.encode(picture)
        except av.FFmpegError as error:
            raise self._encoder_failed(error) from error
        self._mux_video(packets)

    def _mux_video(self, packets: "list[Packet[Stream]]") -> None:
        for packet in packets:
            time = packet.dts if packet.dts is not None else packet.pts
            self._copy(None if time is None else time * packet.time_base)
            try:
                self._container.mux_one(packet)
            except av.FFmpegError as error:
                raise self._failed(error) from error

    def _copy(self, seconds: Fraction | None) -> None:
        for packet in self._copier.until(seconds):
            try:
                self._container.mux_one(packet)
            except (av.ArgumentError, av.InvalidDataError) as error:
                self._copier.refuse(packet, f"the container does not take them as they are ({error.strerror})")
            except av.FFmpegError as error:
                raise self._failed(error) from error

    def _finish(self) -> None:
        if self._held is None:
            raise SinkError(f"no frame was written, so {self.target} was not made; check the input with ffprobe")
        usual = max(1, round(1 / (self.reader.rate * self.reader.time_base)))
        self._encode(self._held, self.reader.last_duration or usual)
        try:
            rest = self._stream.encode(None)
        except av.FFmpegError as error:
            raise self._encoder_failed(error) from error
        self._mux_video(rest)
        self._copy(None)
        kept = self._kept.kinds - (FRAME_KINDS if self._bare else frozenset())
        self._left_out += [
            LeftOut(name, "not kept beside the new pictures") for name in self.reader.side_data.lost(kept)
        ]
        try:
            self._container.close()
        except av.FFmpegError as error:
            raise self._failed(error) from error

    def _encoder_failed(self, error: av.FFmpegError) -> SinkError:
        software = software_for(self.options.codec)
        if software is None or _errno(error) in NO_SPACE:
            return self._failed(error)
        reason = error.strerror or str(error)
        return HardwareFailedError(
            f"{self.options.codec} failed in the middle of the file ({reason}); --codec {software} needs no hardware",
            software,
        )

    def _failed(self, error: Exception) -> SinkError:
        if _errno(error) in NO_SPACE:
            return SinkError(
                f"the disk is full: {self.target} could not be finished and nothing of it was left in "
                f"{self._file.target.parent}; free some space there or choose another folder, then run it again"
            )
        return SinkError(
            f"writing {self.target} failed ({getattr(error, 'strerror', None) or error}) and nothing of it was left; "
            "try another output suffix, such as .mkv, or another --codec"
        )

    def _release(self) -> None:
        self._copier.close()
        # A trailer that cannot be written on the way out of another error is not news.
        with contextlib.suppress(av.FFmpegError, ValueError):
            self._container.close()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None:
                self._finish()
                beside = None if self._seal is None else self._seal(self._file.path)
                if beside is not None:
                    write_whole(f"{self._file.target}.c2pa", beside, overwrite=self.overwrite)
                self._file.commit()
        finally:
            try:
                self._release()
            finally:  # a second Ctrl-C may have come meanwhile
                self._file.discard()

    def __repr__(self) -> str:
        return f"VideoWriter({self.target!r}, {self.options.codec} {self.pix_fmt}, {self.frames_written} frames)"


def _saying(said: str, metadata: dict[str, str]) -> dict[str, str]:
    """Metadata with a sentence in the comment, after what it says already."""
    key = next((key for key in metadata if key.lower() == "comment"), "comment")
    before = metadata.get(key, "")
    return metadata if said in before else {**metadata, key: f"{before} {said}".strip()}


def carried(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without entries that every muxer writes itself or that only apply to the source's encoding."""
    return {k: v for k, v in metadata.items() if k.lower() not in _WRITTEN_ANEW and not k.lower().startswith("bps-")}


def _errno(error: Exception) -> int | None:
    return getattr(error, "errno", None)
