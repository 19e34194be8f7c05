"""Decoding by hardware, through FFmpeg's hwaccel: where it cannot be had, or fails midway, software goes on."""

import os
from pathlib import Path
from typing import Final

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container.input import InputContainer

from .errors import SourceError

NONE: Final = "none"
AUTO: Final = "auto"
KINDS: Final = ("cuda", "vaapi", "qsv", "videotoolbox", "d3d11va")
"""In the order in which `auto` tries them."""
HWACCELS: Final = (NONE, AUTO, *KINDS)

PLANAR: Final = {"nv12": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "p010le": "yuv420p10le"}
"""What hardware gives -> the same samples with a plane for each component, as software decoders give them."""


def check_hwaccel(name: str) -> str:
    """The name. Raises SourceError, which lists the names."""
    if name not in HWACCELS:
        raise SourceError(f"unknown --hwaccel {name!r}; expected one of {', '.join(HWACCELS)}")
    return name


def open_on_hardware(path: Path, name: str) -> tuple[InputContainer, str] | str:
    """(the file as hardware decodes it, which), or why it cannot be had. name: one of HWACCELS but "none"."""
    there = hwdevices_available()
    reasons = []
    for kind in KINDS if name == AUTO else (name,):
        if kind not in there:
            reasons.append(f"{kind}: not in this FFmpeg")
            continue
        try:
            accelerator = HWAccel(device_type=kind, allow_software_fallback=True)
            container = av.open(f"file:{os.fspath(path)}", "r", metadata_errors="surrogateescape", hwaccel=accelerator)
        except (av.FFmpegError, RuntimeError, ValueError) as error:
            reasons.append(f"{kind}: {getattr(error, 'strerror', None) or error}")
            continue
        if any(stream.codec_context and stream.codec_context.is_hwaccel for stream in container.streams.video):
            return container, kind
        container.close()
        reasons.append(f"{kind}: does not decode this codec")
    return "; ".join(reasons)


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame with a plane for each component; itself where it has them."""
    wanted = PLANAR.get(frame.format.name)
    return frame if wanted is None else frame.reformat(format=wanted)
