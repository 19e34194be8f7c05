"""The queries that checks make of a machine, with defaults for this one; tests replace them."""

import errno
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

import av
import av.codec
import torch

from ...models.zoo.zoo import Zoo
from ...stream.camera_devices import CameraDevice, list_cameras
from ...stream.errors import SinkError
from ...stream.virtual_camera import list_devices, load_pyvirtualcam
from ..common.machine import free_memory, processor, usable_cores
from ..editor.precision import describe_choice
from .gstreamer import Problem, find_problem

WEIGHTS = Path(__file__).parents[2] / "models" / "weights"
SHIPPED = ("encoder.safetensors", "output-tail.safetensors", "directions.safetensors")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics card.

    Attributes:
        kind: "cuda" or "mps".
        memory: bytes, 0 if unknown.
    """

    kind: str
    name: str
    memory: int = 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu() -> Gpu | None:
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Gpu("cuda", properties.name, properties.total_memory)
    if torch.backends.mps.is_available():
        return Gpu("mps", platform.processor() or "Apple")
    return None


def _has_nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def _ffmpeg() -> str | None:
    binary = shutil.which("ffmpeg")
    if binary is None:
        return None
    try:
        said = subprocess.run([binary, "-hide_banner", "-version"], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.partition("version ")[2].partition(" ")[0] or "of unknown version"


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    try:
        av.codec.Codec(name, mode)
    except (ValueError, av.FFmpegError):
        return False
    return True


def _pyvirtualcam() -> str | None:
    try:
        load_pyvirtualcam()
    except SinkError as error:
        return str(error)
    return None


def _obs_installed() -> bool:
    if sys.platform == "darwin":
        return Path("/Applications/OBS.app").exists()
    if sys.platform == "win32":
        import winreg

        try:
            winreg.CloseKey(winreg.OpenKey(winreg.HKEY_CLASSES_ROOT, r"CLSID\{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"))
        except OSError:
            return False
        return True
    return False


def _tcp_error(port: int) -> str | None:
    return _bind_error(socket.SOCK_STREAM, port)


def _udp_error(port: int) -> str | None:
    return _bind_error(socket.SOCK_DGRAM, port)


def _bind_error(kind: socket.SocketKind, port: int) -> str | None:
    with ExitStack() as stack:
        try:
            one = stack.enter_context(socket.socket(socket.AF_INET, kind))
            if kind == socket.SOCK_STREAM and sys.platform != "win32":  # as servers do; else old connections count
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            number = getattr(error, "errno", None)
            return "taken" if number == errno.EADDRINUSE else getattr(error, "strerror", None) or str(error)
    return None


def _free_disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Each field answers one query; the defaults query this machine.

    Attributes:
        tcp_error, udp_error: why a port of localhost cannot be had, None where it can.
        pyvirtualcam, gstreamer: why it does not load, None where it does.
        free_disk: bytes.
        available_memory: bytes, None if unknown.
    """

    platform: str = sys.platform
    python: tuple[int, int] = (sys.version_info.major, sys.version_info.minor)
    requirements: Callable[[], Sequence[str]] = lambda: metadata.requires("dynstream") or []
    version: Callable[[str], str | None] = _version
    environment: Callable[[str], str | None] = os.environ.get
    processor: Callable[[], str] = processor
    cores: Callable[[], int] = usable_cores
    threads: Callable[[], int] = torch.get_num_threads
    cpu_capability: Callable[[], str] = torch.backends.cpu.get_cpu_capability
    precision: Callable[[Path], str] = describe_choice
    gpu: Callable[[], Gpu | None] = _gpu
    cuda_build: Callable[[], str | None] = lambda: torch.version.cuda
    has_nvidia: Callable[[], bool] = _has_nvidia
    ffmpeg: Callable[[], str | None] = _ffmpeg
    has_codec: Callable[[str, Literal["r", "w"]], bool] = _has_codec
    cameras: Callable[[], list[CameraDevice]] = list_cameras
    pyvirtualcam: Callable[[], str | None] = _pyvirtualcam
    virtual_devices: Callable[[], Sequence[str | None]] = list_devices
    may_write: Callable[[str], bool] = lambda path: os.access(path, os.W_OK)
    obs_installed: Callable[[], bool] = _obs_installed
    gstreamer: Callable[[], Problem | None] = find_problem
    tcp_error: Callable[[int], str | None] = _tcp_error
    udp_error: Callable[[int], str | None] = _udp_error
    free_disk: Callable[[Path], int] = _free_disk
    writable: Callable[[Path], bool] = _writable
    available_memory: Callable[[], int | None] = free_memory
    shipped: Callable[[], list[str]] = lambda: [name for name in SHIPPED if (WEIGHTS / name).is_file()]
    zoo: Zoo = field(default_factory=lambda: Zoo(offline=True))
