"""Encoding by hardware, through FFmpeg's encoders: where no device answers, or one fails midway, software does it."""

from collections.abc import Collection
from typing import Final

from .errors import SinkError

DEVICES: Final = ("nvenc", "vaapi", "qsv", "amf", "videotoolbox", "v4l2m2m", "mf")
"""What the names of such encoders end in."""
SOFTWARE: Final = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the encoder that takes its place."""
QUALITY: Final = {
    "nvenc": ("cq", {"rc": "vbr"}),
    "vaapi": ("qp", {"rc_mode": "CQP"}),
    "amf": ("qvbr_quality_level", {"rc": "qvbr"}),
}
"""Device -> (its option of constant quality, what goes with it)."""


class HardwareFailedError(SinkError):
    """A hardware encoder that gave up in the middle of a file.

    Attributes:
        software: the encoder to write the file with.
    """

    def __init__(self, message: str, software: str) -> None:
        super().__init__(message)
        self.software = software


def software_for(encoder: str) -> str | None:
    """The software encoder of what a hardware encoder of that name writes; None for any other name."""
    codec, _, device = encoder.rpartition("_")
    return SOFTWARE.get(codec) if device in DEVICES else None


def quality_options(encoder: str, known: Collection[str], crf: float) -> dict[str, str] | None:
    """Options of a hardware encoder for constant quality, on libx264's scale; None where it has none of that kind."""
    name, more = QUALITY.get(encoder.rpartition("_")[2], ("", {}))
    return {name: f"{crf:g}", **more} if name in known else None
