"""Conversion between the YUV of files and the full-range RGB of frames, in both directions.

The tags of a file (ITU-T H.273 code points) define its YUV. Both directions here use the same matrix and
range, and the most exact arithmetic of libswscale, so that an unedited frame comes back nearly unchanged
(about 62 dB on luma and chroma before any encoding).
"""

from dataclasses import dataclass, replace
from typing import cast

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from .errors import SourceError
from .frame import Pixels

UNSPECIFIED = 2
LIMITED, FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)
BT709, BT601 = 1, 6

_SWSCALE_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_EIGHT_BIT = frozenset({"yuv420p", "yuv422p", "yuv444p"})
UNTAGGED = frozenset({0, UNSPECIFIED, 3})
_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True, slots=True)
class ColourTags:
    """The colour tags of a file, as code points of ITU-T H.273.

    Attributes:
        primaries, transfer, matrix: 2 if the file has no tag.
        signal_range: 0 nothing said, 1 limited (16..235), 2 full (0..255).
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    signal_range: int = 0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "ColourTags":
        """Tags of a decoded frame. A format that means full range in itself (yuvj420p) says so here too."""
        signal_range = int(frame.color_range)
        if signal_range == 0 and frame.format.name.startswith("yuvj"):
            signal_range = FULL
        return cls(int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace), signal_range)

    def for_yuv(self, size: tuple[int, int], *, source_is_rgb: bool) -> "ColourTags":
        """Tags of the YUV that is made from a source with these tags.

        A source of YUV keeps its tags. A source of RGB has no matrix: the usual one is written down, limited range.
        """
        if not source_is_rgb:
            return self
        return replace(self, matrix=usual_matrix(size), signal_range=LIMITED)


def usual_matrix(size: tuple[int, int]) -> int:
    """Matrix that players assume where a file names none: BT.709 from 720 lines on, BT.601 below."""
    return BT709 if min(size) >= 720 else BT601


def _swscale(tags: ColourTags, size: tuple[int, int]) -> tuple[Colorspace, int]:
    matrix = usual_matrix(size) if tags.matrix in UNTAGGED else tags.matrix
    if matrix not in _SWSCALE_MATRIX:
        raise SourceError(
            f"the colour matrix with code {matrix} (ITU-T H.273) is not read, expected one of "
            f"{sorted(_SWSCALE_MATRIX)}; convert the video first: "
            "ffmpeg -i IN -vf zscale=matrix=709,format=yuv420p OUT"
        )
    return _SWSCALE_MATRIX[matrix], tags.signal_range or LIMITED


class ToRgb:
    """Decoded frames of any pixel format to (H, W, 3) uint8 RGB, full range; alpha is dropped."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, size: tuple[int, int]) -> Pixels:
        """Pixels of `frame` at `size` (width, height), which is the frame's own except where it changes midway."""
        width, height = size
        if is_rgb(frame.format):
            rgb = self._reformatter.reformat(frame, width, height, "rgb24", interpolation=_EXACT)
        else:
            tags = ColourTags.of(frame)
            matrix, signal_range = _swscale(tags, (frame.width, frame.height))
            if tags.signal_range == 0 and frame.format.name.startswith("gray"):
                signal_range = FULL
            rgb = self._reformatter.reformat(
                frame,
                width,
                height,
                "rgb24",
                src_colorspace=matrix,
                src_color_range=signal_range,
                dst_color_range=FULL,
                interpolation=_EXACT,
            )
        return cast(Pixels, rgb.to_ndarray())


class FromRgb:
    """(H, W, 3) uint8 RGB, full range, to video frames of one pixel format with the given tags."""

    def __init__(self, pix_fmt: str, tags: ColourTags) -> None:
        self.pix_fmt = pix_fmt
        self.tags = tags
        self._is_rgb = is_rgb(VideoFormat(pix_fmt))
        base = pix_fmt.replace("yuvj", "yuv")
        # libswscale cuts off instead of rounding where it makes 8-bit full range, which shifts every colour.
        self._via = f"{base}14le" if tags.signal_range == FULL and base in _EIGHT_BIT else None
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: Pixels) -> av.VideoFrame:
        """A new frame without a timestamp."""
        rgb = av.VideoFrame.from_ndarray(pixels, "rgb24")
        if self._is_rgb:
            return self._reformatter.reformat(rgb, format=self.pix_fmt, interpolation=_EXACT)
        matrix, signal_range = _swscale(self.tags, (rgb.width, rgb.height))
        frame = self._reformatter.reformat(
            rgb,
            format=self._via or self.pix_fmt,
            dst_colorspace=matrix,
            src_color_range=FULL,
            dst_color_range=signal_range,
            interpolation=_EXACT,
        )
        return frame if self._via is None else _rounded(frame, self.pix_fmt)


def _rounded(deep: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """A 14-bit planar frame rounded to the 8-bit format of the same layout."""
    frame = av.VideoFrame(deep.width, deep.height, pix_fmt)
    for plane, (source, target) in enumerate(zip(deep.planes, frame.planes, strict=True)):
        samples = np.frombuffer(memoryview(source), np.uint16).reshape(source.height, -1)[:, : source.width]
        # Full range ends at 2^n - 1 (ITU-T H.273, equations 26 to 28), with chroma around 2^(n-1).
        middle, eight_bit_middle = (8192, 128) if plane else (0, 0)
        rows = np.zeros((target.height, target.line_size), np.uint8)
        scaled = np.rint((samples.astype(np.float32) - middle) * np.float32(255 / 16383)) + eight_bit_middle
        rows[:, : target.width] = np.clip(scaled, 0, 255)
        target.update(rows.tobytes())
    frame.colorspace, frame.color_range = deep.colorspace, deep.color_range
    return frame


def is_rgb(pixel_format: VideoFormat) -> bool:
    """Whether a pixel format holds RGB: planar, packed, from a sensor, or through a palette."""
    return bool(pixel_format.is_rgb or pixel_format.has_palette or pixel_format.is_bayer)


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Whether a pixel format holds transparency."""
    return any(component.is_alpha for component in pixel_format.components)
