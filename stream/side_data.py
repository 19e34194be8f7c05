"""Data that travels beside the pictures: what of it a result keeps, and what is told to be left out.

RULES has every kind that PyAV knows; a kind that FFmpeg has and PyAV does not know is told as such.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import av
from av.sidedata.sidedata import SideData, Type

Rule = Literal["frame", "stream", "left out", "no matter"]
"""frame: stays with its frame, where the encoder writes it. stream: an option of the encoder, from the first frame.
left out: told to the user. no matter: applied already, made anew by the encoder, or of sound, which is copied."""

RULES: Final[dict[Type, tuple[Rule, str]]] = {
    Type.A53_CC: ("frame", "closed captions (CEA-608 and 708)"),
    Type.STEREO3D: ("stream", "the arrangement of stereo pictures"),
    Type.MASTERING_DISPLAY_METADATA: ("stream", "HDR mastering display"),
    Type.CONTENT_LIGHT_LEVEL: ("stream", "HDR content light level"),
    Type.AFD: ("left out", "active format description"),
    Type.PANSCAN: ("left out", "pan and scan"),
    Type.GOP_TIMECODE: ("stream", "timecode of groups of pictures"),
    Type.S12M_TIMECODE: ("stream", "timecode of frames (SMPTE ST 12-1)"),
    Type.SPHERICAL: ("left out", "spherical projection (360 degrees)"),
    Type.ICC_PROFILE: ("left out", "ICC colour profile"),
    Type.DYNAMIC_HDR_PLUS: ("left out", "HDR10+"),
    Type.DYNAMIC_HDR_VIVID: ("left out", "HDR Vivid"),
    Type.DOVI_RPU_BUFFER: ("left out", "Dolby Vision"),
    Type.DOVI_METADATA: ("left out", "Dolby Vision"),
    Type.AMBIENT_VIEWING_ENVIRONMENT: ("left out", "ambient viewing environment"),
    Type.FILM_GRAIN_PARAMS: ("left out", "film grain parameters"),
    Type.SEI_UNREGISTERED: ("frame", "user data of the video (unregistered SEI)"),
    Type.DETECTION_BBOXES: ("left out", "boxes around detected objects"),
    Type.DISPLAYMATRIX: ("no matter", "display matrix"),
    Type.MOTION_VECTORS: ("no matter", "motion vectors"),
    Type.VIDEO_ENC_PARAMS: ("no matter", "encoder parameters"),
    Type.REGIONS_OF_INTEREST: ("no matter", "regions of interest"),
    Type.VIDEO_HINT: ("no matter", "hints on changed regions"),
    Type.MATRIXENCODING: ("no matter", "matrix encoding of sound"),
    Type.DOWNMIX_INFO: ("no matter", "downmix of sound"),
    Type.REPLAYGAIN: ("no matter", "replay gain"),
    Type.SKIP_SAMPLES: ("no matter", "samples to skip"),
    Type.AUDIO_SERVICE_TYPE: ("no matter", "kind of sound"),
}
_FRAME_OPTIONS: Final = {Type.A53_CC: "a53cc", Type.SEI_UNREGISTERED: "udu_sei"}
"""Kind -> the option of encoders that write it."""
FRAME_KINDS: Final = frozenset(_FRAME_OPTIONS)
"""Kinds that stay with their frames, if at all."""
_ENCODER_INFO: Final = tuple(
    bytes.fromhex(uuid) for uuid in ("dc45e9bde6d948b7962cd820d923eeef", "2ca2de09b51747dbbb55a4fe7fc2fc4e")
)
"""What x264 and x265 write into their first frame: the source's settings, not the result's."""
_TIMECODES: Final = frozenset({Type.GOP_TIMECODE, Type.S12M_TIMECODE})
_FROM_ZERO: Final = "00:00:00:00"
_HOLD_TIMECODE: Final = frozenset({"mov", "mp4", "ipod", "matroska", "mxf"})
"""Containers that keep the time of the first frame, from which those of the others follow."""
_PARAMETERS: Final = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
_LIGHT: Final = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}
_DISPLAY: Final = {"libx264": "mastering-display", "libx265": "master-display", "libsvtav1": "mastering-display"}
_PACKINGS: Final = {0: 6, 1: 3, 2: 4, 3: 5, 4: 0, 6: 2, 7: 1}
"""AVStereo3DType -> frame_packing_arrangement_type of H.264."""
_STEREO_MODES: Final = {
    0: ("mono", "mono"),
    1: ("left_right", "right_left"),
    2: ("top_bottom", "bottom_top"),
    3: ("block_lr", "block_rl"),
    4: ("checkerboard_lr", "checkerboard_rl"),
    6: ("row_interleaved_lr", "row_interleaved_rl"),
    7: ("col_interleaved_lr", "col_interleaved_rl"),
}
"""AVStereo3DType -> Matroska's word for it, and for the same with the right view first."""


def side_data(frame: av.VideoFrame) -> tuple[dict[Type, SideData], str | None]:
    """The frame's side data by kind, and the number of a kind that PyAV does not know, which hides the others."""
    try:
        # Iterating this mapping gives values; the stubs call it a TypedDict.
        found = cast("Iterable[SideData]", frame.side_data)
        return {data.type: data for data in found}, None
    except ValueError as error:
        number = re.search(r"-?\d+", str(error))
        return {}, number.group() if number else "?"


def brought(frame: av.VideoFrame) -> set[Type]:
    """The kinds that a frame has, without what its encoder says of itself."""
    found = side_data(frame)[0]
    return {kind for kind, data in found.items() if not _of_encoder(kind, data)}


def _of_encoder(kind: Type, data: SideData) -> bool:
    return kind is Type.SEI_UNREGISTERED and bytes(data).startswith(_ENCODER_INFO)


class SideDataSeen:
    """The kinds of side data that the frames of a stream had.

    first: its first frame, of which `data` are the bytes.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        self.kinds: set[Type] = set()
        self.unknown: set[str] = set()
        self.data = {data.type: bytes(data) for data in side_data(first)[0].values()}
        self.add(first)

    def add(self, frame: av.VideoFrame) -> None:
        """Look at one more frame."""
        found, unknown = side_data(frame)
        if unknown is not None:
            self.unknown.add(unknown)
        self.kinds |= {kind for kind, data in found.items() if not _of_encoder(kind, data)}

    def lost(self, kept: Iterable[Type] = ()) -> list[str]:
        """Names of what is not kept and matters, each once."""
        kept = set(kept)
        names = [name for kind, (rule, name) in RULES.items() if kind in self.kinds - kept and rule != "no matter"]
        return list(dict.fromkeys(names)) + [f"side data of FFmpeg's kind {number}" for number in sorted(self.unknown)]


@dataclass(frozen=True, slots=True)
class Kept:
    """What an encoder keeps.

    Attributes:
        kinds: kept kinds.
        options: for the encoder.
        metadata: for the stream.
    """

    kinds: frozenset[Type]
    options: dict[str, str]
    metadata: dict[str, str]


def keep(
    seen: SideDataSeen, codec: str, container: str, private_options: Iterable[str], *, frames: bool, turned: bool
) -> Kept:
    """How an encoder is told to keep what the first frame and those after it have.

    private_options: names of the encoder's own. frames: whether each frame of the result is one of the source, at its
    time. turned: whether the picture is.
    """
    found = seen.data
    names = set(private_options)
    kinds = {kind for kind, option in _FRAME_OPTIONS.items() if frames and option in names}
    options = {_FRAME_OPTIONS[kind]: "1" for kind in kinds}
    parameters, metadata = [], dict[str, str]()
    if Type.STEREO3D in found and not turned:
        kind, flags = struct.unpack_from("=ii", found[Type.STEREO3D])
        if codec == "libx264" and not flags and kind in _PACKINGS:
            parameters.append(f"frame-packing={_PACKINGS[kind]}")
            kinds.add(Type.STEREO3D)
        if container in ("matroska", "webm") and kind in _STEREO_MODES:
            metadata["stereo_mode"] = _STEREO_MODES[kind][flags & 1]
            kinds.add(Type.STEREO3D)
    timecode = _timecode(found)
    if timecode == _FROM_ZERO:  # every MPEG-2 encoder writes it, and it says nothing
        kinds |= _TIMECODES
    elif timecode is not None and container in _HOLD_TIMECODE:
        metadata["timecode"] = timecode
        kinds |= _TIMECODES
    if codec in _PARAMETERS:
        if Type.CONTENT_LIGHT_LEVEL in found:
            most, average = struct.unpack_from("=II", found[Type.CONTENT_LIGHT_LEVEL])
            parameters.append(f"{_LIGHT[codec]}={most},{average}")
            kinds.add(Type.CONTENT_LIGHT_LEVEL)
        display = _display(found.get(Type.MASTERING_DISPLAY_METADATA, b""), whole=codec != "libsvtav1")
        if display is not None:
            parameters.append(f"{_DISPLAY[codec]}={display}")
            kinds.add(Type.MASTERING_DISPLAY_METADATA)
        if parameters:
            options[_PARAMETERS[codec]] = ":".join(parameters)
    return Kept(frozenset(kinds), options, metadata)


def _timecode(found: Mapping[Type, bytes]) -> str | None:
    """HH:MM:SS:FF of the first frame, with ; where frame numbers are dropped; None without one.

    The bits are those of MPEG-2's group of pictures, and of SMPTE ST 12-1 as FFmpeg has them.
    """
    if len(data := found.get(Type.S12M_TIMECODE, b"")) >= 8 and struct.unpack_from("=I", data)[0]:
        (code,) = struct.unpack_from("=I", data, 4)
        drop = code >> 30 & 1
        parts = [code & 0x3F, code >> 8 & 0x7F, code >> 16 & 0x7F, code >> 24 & 0x3F]
        hours, minutes, seconds, frames = ((part >> 4) * 10 + (part & 15) for part in parts)
    elif len(data := found.get(Type.GOP_TIMECODE, b"")) >= 8:
        (code,) = struct.unpack_from("=q", data)
        drop = code >> 24 & 1
        hours, minutes, seconds, frames = code >> 19 & 0x1F, code >> 13 & 0x3F, code >> 6 & 0x3F, code & 0x3F
    else:
        return None
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if drop else ':'}{frames:02}"


def _display(data: bytes, *, whole: bool) -> str | None:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min) of an AVMasteringDisplayMetadata; None where parts of it are not set.

    whole: in units of 1/50000 and 1/10000 cd/m2, as H.265 has them, not as decimal numbers.
    """
    if len(data) < 88:
        return None
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    values = [top / bottom for top, bottom in zip(numbers[0:20:2], numbers[1:20:2], strict=True)]
    scaled = [v * (50000 if i < 8 else 10000) for i, v in enumerate(values)]
    texts = [f"{round(v)}" for v in scaled] if whole else [f"{v:.5f}" for v in values]
    red, green, blue, white = (f"({texts[i]},{texts[i + 1]})" for i in range(0, 8, 2))
    least, most = texts[8:]
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"
