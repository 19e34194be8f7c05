"""A camera as a live source, through FFmpeg's devices: V4L2 on Linux, AVFoundation on macOS, DirectShow on Windows.

FFmpeg is used instead of OpenCV because it lists cameras by name and opens them by that name, keeps the camera's own
timestamps, and reports why a camera does not open.
"""

import errno
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

import av
from av.container.input import InputContainer
from av.video.stream import VideoStream

from .camera_devices import CameraDevice, camera_format, list_modes, nearest_mode
from .colour import ToRgb
from .decoding import decode_packet
from .errors import SourceError
from .frame import Frame

TIME_BASE: Final = Fraction(1, 1_000_000)
SILENT_SECONDS: Final = 5.0
"""Seconds without a picture after which a camera counts as lost."""
DAMAGED_PACKETS: Final = 100
"""Number of undecodable pictures in a row after which a camera counts as lost."""
NAP_SECONDS: Final = 0.005

Open = Callable[..., InputContainer]


class Camera:
    """A LiveSource of one camera.

    size: requested (width, height). rate: requested frames a second. The camera's nearest mode is used, and `notes`
    has a sentence on it. open_input: av.open or a replacement.

    pts are the camera's own times in microseconds, from zero. Raises SourceError with a remedy if it is missing,
    forbidden or in use, and from `read` when it is unplugged.
    """

    def __init__(
        self,
        device: CameraDevice,
        size: tuple[int, int] = (640, 360),
        rate: float = 30.0,
        *,
        platform: str = sys.platform,
        open_input: Open = av.open,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if min(size) < 16 or not 1 <= rate <= 240:
            raise SourceError(
                f"a camera picture of {size[0]}x{size[1]} at {rate:g} frames a second is not asked for; "
                "give --size from 16x16 and --fps from 1 to 240"
            )
        self.device = device
        self.name = str(device)
        self._platform = platform
        self._clock = clock
        self._sleep = sleep
        self._container = self._open(open_input, size, rate)
        try:
            self._stream = self._choose_stream()
            self._packets = self._demux()
            self._to_rgb = ToRgb()
            self._first: Fraction | None = None
            self._last_pts = -1
            self._closed = False
            self._ahead: Frame | None = None
            self._describe(size, rate)
        except BaseException:
            self._container.close()
            raise

    def _open(self, open_input: Open, size: tuple[int, int], rate: float) -> InputContainer:
        format_name = camera_format(self._platform)
        mode = nearest_mode(list_modes(self.device, format_name, open_input), size, rate)
        options = {"video_size": f"{size[0]}x{size[1]}", "framerate": f"{rate:g}"}
        if mode is not None:
            options["video_size"] = f"{mode.width}x{mode.height}"
            options["framerate"] = f"{min(max(rate, mode.low), mode.high):g}"
            if mode.pixel_format:
                kind = {"v4l2": "input_format", "dshow": "vcodec" if mode.compressed else "pixel_format"}
                options[kind[format_name]] = mode.pixel_format
        try:
            return open_input(self.device.path, format=format_name, options=options)
        except OSError as error:
            if error.errno in _PLAIN:
                raise SourceError(self._explain(error)) from error
        try:  # whatever it gives unasked
            return open_input(self.device.path, format=format_name, options={})
        except (OSError, ValueError) as error:
            raise SourceError(self._explain(error)) from error

    def _choose_stream(self) -> VideoStream:
        if not self._container.streams.video:
            raise SourceError(f"camera {self.name} gives no pictures; choose another: `dynstream webcam --list`")
        return self._container.streams.video[0]

    def _describe(self, size: tuple[int, int], rate: float) -> None:
        first = next(self._packets, None)
        if first is None:
            raise SourceError(self._lost("it ended before the first picture"))
        self.size = (first.width, first.height)
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or rate)
        self._ahead = self._frame(first)
        notes = []
        if self.size != size:
            notes.append(
                f"{self.device.label} does not offer {size[0]}x{size[1]}; taken: {self.size[0]}x{self.size[1]}"
            )
        if abs(self.rate - rate) > 0.5:
            notes.append(f"{self.device.label} does not offer {rate:g} frames a second; taken: {self.rate:g}")
        self.notes: tuple[str, ...] = tuple(notes)

    def read(self) -> Frame | None:
        """The next picture. None after `close`. Raises SourceError when the camera is gone."""
        if self._closed:
            return None
        if self._ahead is not None:
            frame, self._ahead = self._ahead, None
            return frame
        decoded = next(self._packets, None)
        if decoded is None:
            raise SourceError(self._lost("it sent nothing more"))
        return self._frame(decoded)

    def _frame(self, decoded: av.VideoFrame) -> Frame:
        seconds = Fraction(self._clock()) if decoded.pts is None else decoded.pts * (decoded.time_base or TIME_BASE)
        if self._first is None:
            self._first = seconds
        self._last_pts = max(round((seconds - self._first) / TIME_BASE), self._last_pts + 1)
        return Frame(self._to_rgb(decoded, self.size), self._last_pts, TIME_BASE)

    def _demux(self) -> Iterator[av.VideoFrame]:
        damaged, last = 0, self._clock()
        packets = self._container.demux(self._stream)
        while True:
            try:
                decoded = decode_packet(next(packets))
            except StopIteration:
                return
            except BlockingIOError:  # nothing yet
                if self._clock() - last > SILENT_SECONDS:
                    raise SourceError(self._lost(f"no picture for {SILENT_SECONDS:g} s")) from None
                self._sleep(NAP_SECONDS)
                packets = self._container.demux(self._stream)  # an error ends the iterator
                continue
            except av.InvalidDataError:
                decoded, packets = None, self._container.demux(self._stream)
            except (OSError, av.FFmpegError) as error:
                raise SourceError(self._lost(getattr(error, "strerror", None) or str(error))) from error
            damaged = damaged + 1 if decoded is None else 0
            if damaged >= DAMAGED_PACKETS:
                raise SourceError(self._lost("its pictures cannot be decoded"))
            if decoded:
                last = self._clock()
            yield from decoded or ()

    def close(self) -> None:
        """Release the camera; the next read gives None."""
        self._closed = True
        self._ahead = None
        self._container.close()

    def _lost(self, reason: str) -> str:
        return (
            f"camera {self.name} was lost ({reason}): was it unplugged, or taken by another program? "
            "Plug it in and start again; --reconnect SECONDS waits for it"
        )

    def _explain(self, error: OSError | ValueError) -> str:
        number = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or str(error)
        mend = _PLAIN.get(number) if number is not None else None
        if mend is None or isinstance(mend, dict):
            mend = (mend or {}).get(self._platform, _BUSY)
        return f"camera {self.name} cannot be opened ({reason}): {mend}"


_GONE = "plug it in, or choose another: `dynstream webcam --list`"
_BUSY = "close the program that uses it (a call, a browser tab, another dynstream webcam), or choose another camera"
_FORBIDDEN = {
    "linux": "run `sudo usermod -aG video $USER` and log in again",
    "darwin": "allow your terminal under System Settings > Privacy & Security > Camera",
    "win32": "allow desktop apps under Settings > Privacy & security > Camera",
}
_PLAIN: dict[int, str | dict[str, str]] = {
    errno.ENOENT: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.EBUSY: _BUSY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}
"""errno -> what to do; trying again with other settings would not help with these."""
