"""A new video file from pictures and sound that no other file holds; `stream.writer` is for edited ones."""

import contextlib
import math
import os
from fractions import Fraction
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from ....stream.atomic import AtomicFile
from ....stream.colour import ColourTags, FromRgb
from ....stream.encoding import EncoderOptions, choose_pix_fmt, configure, find_encoder, refused
from ....stream.errors import SinkError
from ....stream.frame import Pixels
from .sound import SAMPLE_RATE

SOUND_CODECS: Final = {"webm": "libopus", "avi": "pcm_s16le"}
OTHER_SOUND_CODEC: Final = "aac"
X264: Final = frozenset({"libx264", "libx264rgb"})
_INT32_MAX: Final = 2**31 - 1


class ClipWriter:
    """Encodes frames, and sound where wanted, into a file that waits for its name beside the target.

    A clip is several files, which are to appear together: `finish` ends this one, `file.commit` gives it its name, and
    what has none when the block ends is removed.

    target: its suffix names the container. size: (width, height). rate: the usual frames a second. time_base: unit
    of every pts. A context manager. One thread encodes, so that the same pictures give the same bytes on machines with
    more or fewer cores.

    Raises SinkError.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        size: tuple[int, int],
        *,
        rate: Fraction,
        time_base: Fraction,
        options: EncoderOptions,
        sound: bool,
        overwrite: bool = False,
    ) -> None:
        self.target = os.fspath(target)
        self.size = size
        self.rate = rate
        self.time_base = time_base
        self.options = options
        self._wants_sound = sound
        self._overwrite = overwrite
        self.pix_fmt = choose_pix_fmt(options, find_encoder(options.codec), "yuv420p", size)
        # Written down, so that no player has to guess.
        tags = ColourTags().for_yuv(size, source_is_rgb=True)
        self._from_rgb = FromRgb(self.pix_fmt, tags)
        self._held: tuple[Pixels, int] | None = None
        self._samples = 0

    def __enter__(self) -> Self:
        self.file = AtomicFile(self.target, overwrite=self._overwrite)
        try:
            self._open()
        except BaseException:
            self.file.discard()
            raise
        return self

    def _open(self) -> None:
        try:
            self._container: OutputContainer = av.open(f"file:{self.file.path}", "w")
        except ValueError:
            raise SinkError(
                f"output {self.target}: no container known for the suffix {self.file.target.suffix!r}; "
                "use one such as .mp4, .mov, .mkv or .webm"
            ) from None
        name = self._container.format.name
        try:
            self._add_streams(name)
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            with contextlib.suppress(av.FFmpegError, ValueError):
                self._container.close()
            raise refused(self.options, self.pix_fmt, name, [str(error)]) from error

    def _add_streams(self, name: str) -> None:
        video = self._container.add_stream(
            self.options.codec,
            rate=self.rate.limit_denominator(_INT32_MAX),
            width=self.size[0],
            height=self.size[1],
            time_base=self.time_base,
        )
        assert isinstance(video, VideoStream)
        context, tags = video.codec_context, self._from_rgb.tags
        context.pix_fmt = self.pix_fmt
        if not self.pix_fmt.startswith(("rgb", "bgr", "gbr")):
            context.colorspace, context.color_range = tags.matrix, tags.signal_range
        configure(context, self.options, self.size)
        context.thread_count = 1
        if self.options.codec in X264:
            # Without it x264 weighs the blocks of small pictures by what lies in memory beside them, and differently
            # from processor to processor.
            context.options = {**context.options, "x264-params": "cpu-independent=1"}
        self._video = video
        self._sound: AudioStream | None = None
        if self._wants_sound:
            sound = self._container.add_stream(SOUND_CODECS.get(name, OTHER_SOUND_CODEC), rate=SAMPLE_RATE)
            assert isinstance(sound, AudioStream)
            sound.codec_context.layout = "mono"
            self._resampler = av.AudioResampler(sound.codec_context.format.name, "mono", SAMPLE_RATE)
            self._sound = sound
        options = {}
        if "mp4" in name or "mov" in name:
            options["video_track_timescale"] = str(self.time_base.denominator)
            if (common := math.lcm(self.time_base.denominator, SAMPLE_RATE)) <= _INT32_MAX:
                options["movie_timescale"] = str(common)
        elif name in ("matroska", "webm"):
            options["avoid_negative_ts"] = "disabled"
        self._container.container_options.update(options)

    def write(self, pixels: Pixels, pts: int) -> None:
        """Take the next frame, (H, W, 3) uint8 RGB; its pts must be above the last one's."""
        if self._held is not None:
            if pts <= self._held[1]:
                raise ValueError(f"expected a pts above {self._held[1]}, got {pts}")
            self._encode(*self._held, pts - self._held[1])
        self._held = (pixels, pts)

    def write_sound(self, block: npt.NDArray[np.float32]) -> None:
        """Take the next samples, (n,) float32 in -1..1 at 48 kHz."""
        if self._sound is None:
            raise ValueError("this clip was opened without sound")
        frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._samples, Fraction(1, SAMPLE_RATE)
        self._samples += block.size
        for part in self._resampler.resample(frame):
            self._mux(list(self._sound.encode(part)))

    def _encode(self, pixels: Pixels, pts: int, duration: int) -> None:
        picture = self._from_rgb(pixels)
        picture.pts, picture.time_base, picture.duration = pts, self.time_base, duration
        try:
            self._mux(list(self._video.encode(picture)))
        except av.FFmpegError as error:
            raise self._failed(error) from error

    def _mux(self, packets: "list[Packet[Stream]]") -> None:
        for packet in packets:
            try:
                self._container.mux_one(packet)
            except av.FFmpegError as error:
                raise self._failed(error) from error

    def finish(self) -> None:
        """Write what is left; `file` then is whole, and only waits for its name."""
        if self._held is None:
            raise SinkError(f"no frame was written, so {self.target} was not made")
        self._encode(*self._held, max(1, round(1 / (self.rate * self.time_base))))
        try:
            self._mux(list(self._video.encode(None)))
            if self._sound is not None:
                self._mux(list(self._sound.encode(None)))
            self._container.close()
        except av.FFmpegError as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> SinkError:
        return SinkError(
            f"writing {self.target} failed ({getattr(error, 'strerror', None) or error}) and nothing of it was left; "
            "free space, or try another output suffix, such as .mkv, or another --codec"
        )

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(av.FFmpegError, ValueError):
            self._container.close()
        self.file.discard()
