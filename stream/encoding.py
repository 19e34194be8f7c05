"""The choice of encoder, pixel format and quality of a result, from options and from the source."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import av
from av.codec.codec import Codec
from av.codec.context import Flags
from av.video.format import VideoFormat

from .colour import FULL, LIMITED, is_rgb
from .errors import SinkError
from .hardware_encoding import quality_options

# 45 dB in RGB on a clean 640x360 clip, so that what was not edited looks untouched; the others match by eye.
DEFAULT_CRF = {"libx264": 15.0, "libx264rgb": 15.0, "libx265": 17.0, "libvpx": 8.0, "libvpx-vp9": 17.0}
_OTHER_CRF = 18.0
_DEFAULT_QSCALE = 2.0
_QSCALE = frozenset({"mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "flv", "h263", "h263p", "msmpeg4", "msmpeg4v2"})
_NO_RANGE_TAG = _QSCALE - {"mjpeg"}
_EVEN_SIZE = frozenset({"libx264", "libx265", "libsvtav1"})
_LARGE = 2560 * 1440


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How the video is encoded.

    codec: name of an FFmpeg video encoder.
    crf: constant quality, lower is better and larger: CRF where the encoder has it, else the quantizer scale of
        MPEG-4 and its kin; None for this project's default. Encoders with neither (ffv1) take no `crf`.
    preset: speed against size, as the encoder names it; None for the encoder's own.
    pix_fmt: name of a pixel format, "source" for the source's own (without alpha), or None for the 8-bit YUV format
        with the source's chroma resolution; where the encoder cannot take an odd size so, it is yuv444p.

    Raises ValueError if `crf` is negative or not finite.
    """

    codec: str = "libx264"
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None

    def __post_init__(self) -> None:
        if self.crf is not None and not (math.isfinite(self.crf) and self.crf >= 0):
            raise ValueError(f"expected a crf of zero or more, got {self.crf}")


def find_encoder(name: str) -> Codec:
    """The video encoder of that name. Raises SinkError that lists names like it."""
    try:
        codec = Codec(name, "w")
    except ValueError:
        known = sorted(n for n in av.codecs_available if _is_video_encoder(n))
        near = difflib.get_close_matches(name, known, n=4, cutoff=0.5) or ["libx264", "libx265", "libvpx-vp9", "ffv1"]
        raise SinkError(
            f"unknown video encoder {name!r}; this FFmpeg has, for example: {', '.join(near)}; pass one of them"
        ) from None
    if codec.type != "video":
        raise SinkError(f"{name!r} encodes {codec.type}, expected a video encoder such as libx264")
    return codec


def _is_video_encoder(name: str) -> bool:
    try:
        return Codec(name, "w").type == "video"
    except ValueError:
        return False


def choose_pix_fmt(options: EncoderOptions, codec: Codec, source_pix_fmt: str, size: tuple[int, int]) -> str:
    """Pixel format of the result (see EncoderOptions). Raises SinkError if the requested one is not available."""
    supported = [f.name for f in codec.video_formats or []]
    if options.pix_fmt is None:
        wanted = [_eight_bit(source_pix_fmt), "yuv444p", "yuv422p", "yuv420p", "gbrp", "rgb24", *supported]
        usable = [f for f in wanted if (not supported or f in supported) and _fits(codec.name, f, size)]
        if usable:
            return usable[0]
        raise SinkError(f"{codec.name} takes no pixel format for {size[0]}x{size[1]}; choose another --codec")
    name = _without_alpha(source_pix_fmt) if options.pix_fmt == "source" else options.pix_fmt
    try:
        VideoFormat(name)
    except ValueError:
        some = ", ".join(supported[:6]) or "yuv420p"
        raise SinkError(f"unknown pixel format {name!r}; expected one such as {some}") from None
    if supported and name not in supported:
        raise SinkError(f"{codec.name} does not take pixel format {name}; it takes: {', '.join(supported)}")
    if not _fits(codec.name, name, size):
        raise SinkError(
            f"{codec.name} cannot encode {size[0]}x{size[1]} as {name}, which needs even sizes; "
            "pass --pix-fmt yuv444p, which takes any size"
        )
    return name


def _eight_bit(source: str) -> str:
    source_format = VideoFormat(source, 16, 16)
    if is_rgb(source_format):
        return "yuv444p"
    if len(source_format.components) < 3:
        return "yuv420p"
    sampling = (source_format.chroma_width(), source_format.chroma_height())
    return {(8, 8): "yuv420p", (8, 16): "yuv422p", (16, 16): "yuv444p", (4, 16): "yuv422p"}.get(sampling, "yuv444p")


def _without_alpha(source: str) -> str:
    opaque = source.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp")
    return {"rgba": "rgb24", "bgra": "bgr24", "argb": "rgb24", "abgr": "bgr24", "pal8": "rgb24"}.get(opaque, opaque)


def _fits(codec: str, pix_fmt: str, size: tuple[int, int]) -> bool:
    if codec not in _EVEN_SIZE:
        return True
    chroma = VideoFormat(pix_fmt, 16, 16)
    return size[0] % (16 // chroma.chroma_width()) == 0 and size[1] % (16 // chroma.chroma_height()) == 0


def signal_range(codec: str, wanted: int) -> int:
    """Range code that a result can be tagged with: the wanted one, unless the codec knows only one."""
    if codec == "mjpeg":
        return FULL
    if codec in _NO_RANGE_TAG and wanted == FULL:
        return LIMITED
    return wanted


def configure(
    context: av.VideoCodecContext, options: EncoderOptions, size: tuple[int, int], more: Mapping[str, str] = {}
) -> None:
    """Set quality, speed and threads of an encoder that is not open yet, and `more` of its own options.

    Pictures above 2560x1440 look fewer frames ahead, so that 8K fits into memory. Raises SinkError if the
    encoder has no option of that kind.
    """
    known = {option.name for option in context.supported_options.private}
    chosen = dict(more)
    if "crf" in known:
        chosen["crf"] = f"{DEFAULT_CRF.get(options.codec, _OTHER_CRF) if options.crf is None else options.crf:g}"
    elif options.codec in _QSCALE:
        context.qscale = True
        context.global_quality = round(118 * (_DEFAULT_QSCALE if options.crf is None else options.crf))
    elif (own := quality_options(options.codec, known, _OTHER_CRF if options.crf is None else options.crf)) is not None:
        context.bit_rate = 0
        chosen |= own
    elif options.crf is not None:
        raise SinkError(f"{options.codec} has no quality setting; leave out --crf or choose libx264")
    if options.preset is not None:
        if "preset" not in known:
            raise SinkError(f"{options.codec} has no presets; leave out --encoder-preset or choose libx264")
        chosen["preset"] = options.preset
    pixels = size[0] * size[1]
    if pixels > _LARGE and "rc-lookahead" in known:
        chosen["rc-lookahead"] = str(max(4, 20 * _LARGE // pixels))
        context.thread_count = 4
    # Without it the last frame of a clip of uneven frames would be shown for a time that the encoder makes up.
    context.flags |= Flags.frame_duration
    context.options = chosen


def refused(options: EncoderOptions, pix_fmt: str, container: str, reasons: Sequence[str]) -> SinkError:
    """The error for an encoder or container that would not start with these settings."""
    settings = [pix_fmt]
    settings += [] if options.crf is None else [f"crf {options.crf:g}"]
    settings += [] if options.preset is None else [f"preset {options.preset}"]
    return SinkError(
        f"cannot write {options.codec} video ({', '.join(settings)}) into {container}: {'; '.join(reasons)}; "
        "try another --codec, --encoder-preset or output suffix, such as .mkv"
    )
