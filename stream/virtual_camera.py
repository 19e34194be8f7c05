"""A virtual camera as a sink: what is sent here, other programs see as a webcam (v4l2loopback, OBS, UnityCapture)."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import cv2
import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from .errors import SinkError
from .frame import Pixels

_LINUX_DEVICES = Path("/sys/devices/virtual/video4linux")
_LOAD = "sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label=dynstream"
_LINUX_INSTALL = {
    "debian": "sudo apt-get install v4l2loopback-dkms linux-headers-$(uname -r)",
    "fedora": "sudo dnf install akmod-v4l2loopback  # from RPM Fusion (rpmfusion.org)",
    "arch": "sudo pacman -S v4l2loopback-dkms linux-headers",
    "suse": "sudo zypper install v4l2loopback-kmp-default",
}
_KINDRED = {"ubuntu": "debian", "linuxmint": "debian", "rhel": "fedora", "centos": "fedora", "manjaro": "arch"}


class FrameSink(Protocol):
    """Where live pictures go. size: (width, height) in pixels. device: its name for people."""

    size: tuple[int, int]
    device: str

    def send(self, pixels: Pixels) -> None:
        """Show a picture, (H, W, 3) uint8 RGB of any size; it is fitted. Raises SinkError if it cannot."""
        ...

    def close(self) -> None:
        """Let the device go; a second call does nothing."""
        ...


class NoSink:
    """A FrameSink that shows nothing, for trying out with a preview."""

    device = "none"

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def send(self, pixels: Pixels) -> None:
        """Nothing happens."""

    def close(self) -> None:
        """Nothing happens."""


class VirtualCamera:
    """A FrameSink through pyvirtualcam.

    size: (width, height), rounded down to even numbers, which video formats ask for. rate: frames a second, a hint.
    device: /dev/videoN on Linux, "OBS Virtual Camera" or a UnityCapture name elsewhere; the first free one where None.
    module: pyvirtualcam, or what keeps its contract. candidates: devices to try where none is named (None: leave it
    to the module). locks: folder for the files that keep two dynstream processes off one device; v4l2loopback itself
    lets any number of writers in, and their pictures alternate.

    Raises SinkError: with what to install where there is no virtual camera, or that the device is taken.
    """

    def __init__(
        self,
        size: tuple[int, int],
        rate: float,
        device: str | None = None,
        *,
        module: Any = None,
        platform: str = sys.platform,
        candidates: Callable[[], Sequence[str | None]] | None = None,
        locks: Path | None = None,
    ) -> None:
        self.size = (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2))
        self._module = load_pyvirtualcam() if module is None else module
        self._platform = platform
        self._locks = locks or platformdirs.user_cache_path("dynstream") / "virtual-cameras"
        self._camera: Any = None
        found = (candidates or (lambda: list_devices(platform)))() if device is None else [device]
        problems = []
        for name in found or [None]:
            try:
                self._open(name, rate)
                return
            except SinkError as error:
                problems.append(error)
        raise problems[0]

    def _open(self, name: str | None, rate: float) -> None:
        lock = self._take(name) if name is not None else None
        try:
            camera = self._module.Camera(
                *self.size, rate, fmt=self._module.PixelFormat.RGB, **({} if name is None else {"device": name})
            )
            try:
                self.device = str(camera.device)
                self._lock = lock or self._take(self.device)
            except SinkError:
                camera.close()
                raise
        except (RuntimeError, OSError, ValueError) as error:
            if lock is not None:
                lock.release()
            raise SinkError(explain(str(error), name, self._platform)) from error
        self._camera = camera

    def _take(self, name: str) -> FileLock:
        self._locks.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        lock = FileLock(self._locks / f"{digest}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SinkError(_taken(name, self._platform)) from None
        return lock

    def send(self, pixels: Pixels) -> None:
        """Show a picture, (H, W, 3) uint8 RGB; another size is scaled in, with black bars. Raises SinkError."""
        if self._camera is None:
            raise SinkError(f"virtual camera {self.device} is closed")
        try:
            self._camera.send(fit(pixels, self.size))
        except (RuntimeError, OSError) as error:
            raise SinkError(
                f"virtual camera {self.device} takes no more pictures ({error}); was its driver unloaded or OBS "
                "removed? See `dynstream doctor`, and start again"
            ) from error

    def close(self) -> None:
        """Let the device go."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture scaled into (width, height) without distortion, with black bars; itself where it has that size."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return np.ascontiguousarray(pixels)
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + inner[1], left : left + inner[0]] = cast(Pixels, cv2.resize(pixels, inner, interpolation=method))
    return canvas


def load_pyvirtualcam() -> Any:
    """The library. Raises SinkError with the command that installs it, or why it does not load here."""
    try:
        return importlib.import_module("pyvirtualcam")
    except ModuleNotFoundError as error:
        if error.name != "pyvirtualcam":
            raise
        raise SinkError("pyvirtualcam is not installed: pip install 'dynstream[webcam]'") from None
    except ImportError as error:  # macOS and Windows too old for its native part
        raise SinkError(f"pyvirtualcam does not load on this system: {error}") from error


def list_devices(platform: str = sys.platform, folder: Path = _LINUX_DEVICES) -> list[str | None]:
    """Virtual cameras by name: of v4l2loopback on Linux; elsewhere [None], as only pyvirtualcam knows."""
    if platform != "linux":
        return [None]
    found = [entry.name for entry in folder.glob("video*")] if folder.is_dir() else []
    return [f"/dev/{name}" for name in sorted(found, key=lambda name: int(name.removeprefix("video") or 0))]


def install_hint(platform: str = sys.platform, os_release: Path = Path("/etc/os-release")) -> str:
    """The software to install on this system for a virtual camera."""
    if platform == "linux":
        family = _linux_family(os_release)
        install = _LINUX_INSTALL.get(family, "install v4l2loopback (github.com/v4l2loopback/v4l2loopback)")
        return f"{install} && {_LOAD}" if family in _LINUX_INSTALL else f"{install}, then {_LOAD}"
    if platform == "darwin":
        return (
            "install OBS Studio (brew install --cask obs), open it, click Start Virtual Camera once, allow its system "
            "extension in System Settings, click Stop Virtual Camera and close OBS"
        )
    if platform == "win32":
        return (
            "install OBS Studio (winget install OBSProject.OBSStudio), which brings the OBS Virtual Camera, or "
            "UnityCapture (github.com/schellingb/UnityCapture) for a second one"
        )
    return f"no virtual camera is known for this system ({platform})"


def _linux_family(os_release: Path) -> str:
    try:
        lines = os_release.read_text("utf-8").splitlines()
    except OSError:
        return ""
    values = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    for name in [values.get("ID", ""), *values.get("ID_LIKE", "").split()]:
        family = _KINDRED.get(name, name.split("-")[0] if name.startswith("opensuse") else name)
        family = "suse" if family in ("opensuse", "sles") else family
        if family in _LINUX_INSTALL:
            return family
    return ""


def explain(said: str, device: str | None, platform: str = sys.platform) -> str:
    """pyvirtualcam's error message with a remedy."""
    lower = said.lower()
    if "already in use" in lower or "busy" in lower or "could not be started" in lower:
        return _taken(device or "the virtual camera", platform)
    if "missing permissions" in lower:
        return f"virtual camera {device or ''} may not be written: sudo usermod -aG video $USER, then log in again"
    if "could not be configured" in lower:
        return (
            f"virtual camera {device or ''} is set to another size by a program that uses it ({said}); close that "
            "program, or take its size with --size"
        )
    if device is not None and platform == "linux" and ("does not exist" in lower or "is not a v" in lower):
        return (
            f"{device} is no virtual camera that can be written to ({said}): `dynstream webcam --list` shows those "
            f"there are; to make one: {install_hint(platform)}"
        )
    found = said.partition(". ")[0]  # what follows is advice for another system
    return f"there is no virtual camera on this system ({found}): {install_hint(platform)}"


def _taken(device: str, platform: str) -> str:
    another = (
        "make a second one: sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback devices=2 exclusive_caps=1,1"
        if platform == "linux"
        else "choose another with --output"
    )
    return f"{device} is in use by another dynstream webcam or another program: stop that one, or {another}"
