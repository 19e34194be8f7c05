"""The cameras of this machine, their modes, and the mode nearest to a request."""

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import av.device
import av.logging

from .errors import SourceError

FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""sys.platform -> FFmpeg's input format for cameras."""

_NOT_CAMERAS = ("obs virtual camera", "unity video capture", "capture screen")
_LINUX_VIRTUAL = Path("/sys/devices/virtual/video4linux")
_LARGE = 640 * 480  # pixels; beyond this USB 2 transfers few raw pictures a second

_V4L2 = re.compile(r"^\s*(Raw|Compressed)\s*:\s*(\w+)\s*:[^:\n]*:(.*)$", re.MULTILINE)
_DSHOW = re.compile(
    r"(pixel_format|vcodec)=(\w+)\s+min s=(\d+)x(\d+) fps=([\d.]+) max s=(\d+)x(\d+) fps=([\d.]+)", re.MULTILINE
)
_AVFOUNDATION = re.compile(r"(\d+)x(\d+)@\[([\d.]+) ([\d.]+)\]fps")


class Listed(Protocol):
    """FFmpeg's description of a device (av.device.DeviceInfo)."""

    name: str
    description: str
    media_types: list[str]


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera.

    Attributes:
        path: what FFmpeg opens.
        label: its name for people.
        virtual: a program's output, or a screen.
    """

    path: str
    label: str
    virtual: bool = False

    def __str__(self) -> str:
        return self.label if self.label == self.path else f"{self.label} ({self.path})"


@dataclass(frozen=True, slots=True)
class CameraMode:
    """A size in pixels with the rates that it comes at, frames a second (high inf: not said).

    Attributes:
        pixel_format: FFmpeg's name of the raw format or, where `compressed`, of the codec; "" where not said.
    """

    width: int
    height: int
    low: float = 0.0
    high: float = math.inf
    pixel_format: str = ""
    compressed: bool = False


def camera_format(platform: str = sys.platform) -> str:
    """FFmpeg's camera format for this system. Raises SourceError on other systems."""
    if platform not in FORMATS:
        raise SourceError(
            f"cameras of this system ({platform}) are not read, only those of Linux, macOS and Windows; give a video "
            "file instead, or `test` for the test pattern"
        )
    return FORMATS[platform]


def list_cameras(
    platform: str = sys.platform,
    enumerate_devices: Callable[[str], Iterable[Listed]] = av.device.enumerate_input_devices,
    linux_virtual: Path = _LINUX_VIRTUAL,
) -> list[CameraDevice]:
    """The cameras of this machine, real ones first. Empty without cameras, or if FFmpeg here cannot list them."""
    found = []
    try:
        for listed in enumerate_devices(camera_format(platform)):
            if listed.media_types and "video" not in listed.media_types:
                continue
            label = listed.description or listed.name
            virtual = label.lower().startswith(_NOT_CAMERAS) or (linux_virtual / Path(listed.name).name).exists()
            path = f"video={listed.name}" if platform == "win32" else listed.name
            found.append(CameraDevice(path, label, virtual))
    except (av.FFmpegError, ValueError):
        return []
    return sorted(found, key=lambda camera: camera.virtual)


def find_camera(wanted: str | None, cameras: Sequence[CameraDevice], platform: str = sys.platform) -> CameraDevice:
    """The camera that a user means by a number, a path, or a part of its name; the first real one where None.

    Raises SourceError that lists those there are.
    """
    if wanted is None:
        real = [camera for camera in cameras if not camera.virtual]
        if real:
            return real[0]
        raise SourceError(no_camera(platform))
    for camera in cameras:
        if wanted in (camera.path, camera.label) or f"video={wanted}" == camera.path:
            return camera
    if wanted.isdecimal() and int(wanted) < len(cameras):
        return cameras[int(wanted)]
    named = [camera for camera in cameras if wanted.lower() in camera.label.lower()]
    if len(named) == 1:
        return named[0]
    if not cameras:
        raise SourceError(f"there is no camera {wanted!r}: {no_camera(platform)}")
    listed = "; ".join(f"{number}: {camera}" for number, camera in enumerate(cameras))
    what = "is the name of more than one camera" if named else "is no camera of this machine"
    raise SourceError(f"{wanted!r} {what}; there are {listed}")


def no_camera(platform: str = sys.platform) -> str:
    """Why there may be no camera here, and what to do."""
    reason = {
        "linux": "plug one in and look with `ls -l /dev/video*`; where devices are there but may not be read, run "
        "`sudo usermod -aG video $USER` and log in again",
        "darwin": "plug one in, and allow your terminal under System Settings > Privacy & Security > Camera",
        "win32": "plug one in, and allow desktop apps under Settings > Privacy & security > Camera",
    }.get(platform, "this system's cameras are not read")
    return f"no camera was found: {reason}. Without one: `dynstream webcam test`, or a video file"


def list_modes(device: CameraDevice, format_name: str, open_input: Callable[..., object] = av.open) -> list[CameraMode]:
    """The camera's modes; empty if the camera or FFmpeg does not list them. The camera is not started."""
    options = {
        "v4l2": {"list_formats": "all"},
        "dshow": {"list_options": "true"},
        "avfoundation": {"video_size": "1x1"},  # refused, with the list of what is not
    }[format_name]
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as said:
            try:
                container = open_input(device.path, format=format_name, options=options)
            except (av.FFmpegError, ValueError):
                container = None
            if container is not None:
                container.close()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(level)
    return parse_modes("".join(message for _, _, message in said))


def parse_modes(text: str) -> list[CameraMode]:
    """The modes in what FFmpeg logs about a camera, of any of FORMATS."""
    modes = []
    for kind, name, sizes in _V4L2.findall(text):
        for width, height in re.findall(r"(?<![-\d])(\d+)x(\d+)(?!\d)", sizes):
            modes.append(CameraMode(int(width), int(height), pixel_format=name, compressed=kind == "Compressed"))
    for kind, name, _, _, low, width, height, high in _DSHOW.findall(text):
        modes.append(CameraMode(int(width), int(height), float(low), float(high), name, kind == "vcodec"))
    for width, height, low, high in _AVFOUNDATION.findall(text):
        modes.append(CameraMode(int(width), int(height), float(low), float(high)))
    return list(dict.fromkeys(modes))


def nearest_mode(modes: Sequence[CameraMode], size: tuple[int, int], rate: float) -> CameraMode | None:
    """The mode to ask for: the nearest size first, then the nearest rate; None if none is known."""

    def distance(mode: CameraMode) -> tuple[float, float, bool]:
        off_size = abs(math.log(mode.width / size[0])) + abs(math.log(mode.height / size[1]))
        off_rate = max(0.0, rate - mode.high, mode.low - rate)
        raw_is_slow = math.isinf(mode.high) and mode.width * mode.height > _LARGE
        return off_size, off_rate, mode.compressed != raw_is_slow

    return min(modes, key=distance, default=None)
