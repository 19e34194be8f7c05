"""pyvirtualcam as its documentation describes it, without a driver: backends by name, RGB frames, one owner each."""

import enum
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


class PixelFormat(enum.Enum):
    RGB = "raw "
    BGR = "24BG"


class Camera:
    """Keeps what it was sent. Raises RuntimeError where no backend has the device, as the library does."""

    def __init__(
        self,
        world: "FakeVirtualCam",
        width: int,
        height: int,
        fps: float,
        *,
        fmt: PixelFormat = PixelFormat.RGB,
        device: str | None = None,
        backend: str | None = None,
        print_fps: bool = False,
        **kw: Any,
    ) -> None:
        assert not kw, "the built-in backends have no extra arguments"
        assert backend in (None, "fake")
        free = [name for name in world.devices if name not in world.taken]
        if device is not None and device not in world.devices:
            raise RuntimeError(f"'fake' backend: Device {device} does not exist.")
        if device is not None and device not in free:
            raise RuntimeError(f"'fake' backend: Device {device} is already in use.")
        if not free:
            raise RuntimeError("'fake' backend: " + world.none)
        self.width, self.height, self.fps, self.fmt = width, height, fps, fmt
        self.device = device or free[0]
        self.backend = "fake"
        self.frames_sent = 0
        self.open = True
        self._world = world
        world.taken.add(self.device)
        world.cameras.append(self)

    def send(self, frame: npt.NDArray[np.uint8]) -> None:
        assert self.open, "the library's backend is gone after close"
        if frame.dtype != np.uint8:
            raise TypeError(f"unexpected frame dtype: {frame.dtype} != uint8")
        if frame.shape != (self.height, self.width, 3):
            raise ValueError(f"unexpected frame shape: {frame.shape} != {(self.height, self.width, 3)}")
        if self._world.broken:
            raise RuntimeError("the device is gone")
        self.frames_sent += 1
        self._world.sent.append(frame.copy())

    def sleep_until_next_frame(self) -> None:
        assert self.frames_sent

    def close(self) -> None:
        if self.open:
            self._world.taken.discard(self.device)
        self.open = False


@dataclass
class FakeVirtualCam:
    """The module. devices: those installed. taken: in use by anybody. broken: sending fails from now on."""

    devices: tuple[str, ...] = ("/dev/video10",)
    none: str = "No v4l2 loopback device found at /dev/video[0-99]. Did you run 'modprobe v4l2loopback'?"
    taken: set[str] = field(default_factory=set)
    cameras: list[Camera] = field(default_factory=list)
    sent: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    broken: bool = False
    PixelFormat = PixelFormat

    def Camera(self, width: int, height: int, fps: float, **options: Any) -> Camera:  # noqa: N802 - as the library
        return Camera(self, width, height, fps, **options)
