"""Open a live source by its name: the test pattern, a video file, or a camera."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .camera import Camera, Open
from .camera_devices import CameraDevice, find_camera, list_cameras
from .errors import SourceError
from .live_source import LiveSource
from .loop import FileLoop
from .reconnect import Reconnecting
from .test_pattern import TestPattern

PATTERN: Final = "test"
Sleep = Callable[[float], bool | None]


def open_live(
    wanted: str | None,
    *,
    size: tuple[int, int] = (640, 360),
    rate: float = 30.0,
    reconnect: float = 0.0,
    lost: Callable[[str], None] = lambda _reason: None,
    found: Callable[[], None] = lambda: None,
    platform: str = sys.platform,
    cameras: Callable[[str], list[CameraDevice]] = list_cameras,
    open_input: Open | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = time.sleep,
) -> LiveSource:
    """The source that `wanted` names.

    wanted: "test" for the test pattern, a video file, or a camera's number, path or part of its name; None is the
    first camera. size: (width, height) and rate: of a camera and of the pattern; a file has its own.
    reconnect: seconds for which a camera that is lost is waited for. lost, found, sleep: see `Reconnecting`.

    Raises SourceError that says what to do.
    """
    if wanted == PATTERN:
        return TestPattern(size, rate, clock=clock, sleep=sleep)
    path = Path(wanted) if wanted else None
    if path is not None and (path.is_file() or path.is_dir()):
        return FileLoop(path, clock=clock, sleep=sleep)

    chosen: list[CameraDevice] = []

    def open_camera() -> LiveSource:
        present = cameras(platform)
        # After a loss it may have another number: the one with the same name is meant.
        again = [camera for camera in present if chosen and camera.label == chosen[0].label]
        device = again[0] if again else chosen[0] if chosen else _find(wanted, present, platform)
        options = {} if open_input is None else {"open_input": open_input}
        camera = Camera(device, size, rate, platform=platform, clock=clock, sleep=sleep, **options)
        chosen[:] = [device]
        return camera

    if reconnect <= 0:
        return open_camera()
    return Reconnecting(open_camera, reconnect, lost=lost, found=found, clock=clock, sleep=sleep)


def _find(wanted: str | None, present: list[CameraDevice], platform: str) -> CameraDevice:
    if wanted is not None and not present and platform == "linux" and wanted.startswith("/dev/"):
        return CameraDevice(wanted, wanted)  # FFmpeg here may be built without the list; opening it says what is wrong
    if wanted is not None and Path(wanted).suffix and not Path(wanted).exists() and not wanted.startswith("/dev/"):
        raise SourceError(f"input {wanted} is neither a file nor a camera; see `dynstream webcam --list`")
    return find_camera(wanted, present, platform)
