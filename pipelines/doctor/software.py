"""Checks of Python, packages, FFmpeg and its codecs."""

import re
from collections.abc import Sequence
from typing import Final, Literal

from .finding import Finding
from .machine import Machine

LEAST_PYTHON: Final = (3, 11)
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?[>=]=([\d.]+)(?:\s*;.*extra\s*==\s*[\"']([\w-]+)[\"'])?")
EXTRAS: Final = {
    "webcam": "`dynstream webcam`",
    "ray": "`dynstream batch --ray`",
    "research": "training, measuring and the page of results",
    "dlib": "one of the identity measures",
    "face-alignment": "the face-alignment landmarks; it wants an environment of its own",
}
"""Extra -> its use; an extra that is missing here is reported without its use."""

NEEDED: Final[tuple[tuple[str, Literal["r", "w"]], ...]] = (("h264", "r"), ("libx264", "w"), ("aac", "r"))
WANTED: Final[tuple[tuple[str, Literal["r", "w"], str], ...]] = (
    ("aac", "w", "sound in MP4"),
    ("libopus", "w", "sound over WebRTC"),
    ("opus", "r", "sound over WebRTC"),
    ("libvpx", "w", "VP8 over WebRTC"),
    ("vp8", "r", "VP8 over WebRTC"),
    ("libvpx-vp9", "w", "VP9 files"),
    ("libx265", "w", "H.265 files"),
    ("mjpeg", "r", "cameras beyond 640x480"),
)
_INSTALL_FFMPEG = {"darwin": "brew install ffmpeg", "win32": "winget install Gyan.FFmpeg"}


def python(machine: Machine) -> list[Finding]:
    """The interpreter."""
    found = ".".join(map(str, machine.python))
    if machine.python < LEAST_PYTHON:
        return [Finding("Python", "fail", found, "install Python 3.11 or later, and dynstream into it")]
    return [Finding("Python", "ok", found)]


def packages(machine: Machine) -> list[Finding]:
    """The required packages and the extras."""
    wrong, extras, count = [], dict[str, list[str]](), 0
    for name, least, extra in _read(machine.requirements()):
        version = machine.version(name)
        if extra:
            extras.setdefault(extra, []).append(f"{name} {version}" if version else "")
            continue
        count += 1
        if version is None or _numbers(version) < _numbers(least):
            wrong.append((name, least, version))
    findings = [
        Finding(
            f"package {name}",
            "fail",
            f"{version or 'not installed'}, expected {least} or later",
            f"pip install --upgrade '{name}>={least}'",
        )
        for name, least, version in wrong
    ]
    if not wrong:
        key = ", ".join(f"{name} {machine.version(name)}" for name in ("torch", "av", "numpy"))
        findings = [Finding("packages", "ok", f"all {count} are here ({key})")]
    for extra, versions in extras.items():
        here = all(versions)
        use = f", needed for {EXTRAS[extra]}" if extra in EXTRAS else ""
        found = ", ".join(versions) if here else f"not installed{use}"
        findings.append(Finding(f"extra {extra}", "ok", found, "" if here else f"pip install 'dynstream[{extra}]'"))
    return findings


def _read(requirements: Sequence[str]) -> list[tuple[str, str, str | None]]:
    found = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is not None:
            found.append((match[1], match[2], match[3]))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])


def ffmpeg(machine: Machine) -> list[Finding]:
    """The program, which pipes need; dynstream itself uses the libraries inside PyAV."""
    version = machine.ffmpeg()
    if version is None:
        mend = _INSTALL_FFMPEG.get(machine.platform, "sudo apt-get install ffmpeg")
        return [Finding("ffmpeg", "warn", "not found; needed to feed `dynstream filter`", mend)]
    return [Finding("ffmpeg", "ok", version)]


def codecs(machine: Machine) -> list[Finding]:
    """The codecs that PyAV's own FFmpeg libraries can read and write."""

    def kind(mode: Literal["r", "w"]) -> str:
        return "decoder" if mode == "r" else "encoder"

    missing = [f"{name} {kind(mode)}" for name, mode in NEEDED if not machine.has_codec(name, mode)]
    if missing:
        mend = "pip install --force-reinstall --only-binary :all: av"
        return [Finding("codecs of PyAV", "fail", f"missing: {', '.join(missing)}", mend)]
    lacking = [f"{name} {kind(mode)} ({use})" for name, mode, use in WANTED if not machine.has_codec(name, mode)]
    if lacking:
        mend = "pip install --force-reinstall --only-binary :all: av, or choose another --codec"
        return [Finding("codecs of PyAV", "warn", f"missing: {', '.join(lacking)}", mend)]
    return [Finding("codecs of PyAV", "ok", "H.264, H.265, VP8, VP9, AAC, Opus, MJPEG")]
