"""The machine, versions and thread counts of a measurement, for benchmark reports."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av
import cv2
import torch

PACKAGES = (
    "dynstream",
    "torch",
    "numpy",
    "av",
    "opencv-python-headless",
    "ai-edge-litert",
    "onnxruntime",
    "openvino",
    "dlib-bin",
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def describe_machine(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Processor, cores, memory, load, versions and thread counts, for the JSON of a benchmark. Nothing personal."""
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_bytes": memory_bytes(),
        "load_before": _load(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
        "threads": {
            "torch": torch.get_num_threads(),
            "opencv": cv2.getNumThreads(),
            **{name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        },
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def processor() -> str:
    """The processor's name, if the system has it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Main memory in bytes, None if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def free_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _load() -> float | None:
    """Mean number of busy processes in the last minute: above zero before a run, another program was running."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
