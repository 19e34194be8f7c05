"""Pictures of pipes: all planes in one buffer, with the format that their stream declares."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, Protocol, get_args

import av
import numpy as np
from av.stream import Stream
from av.video.format import VideoFormat

from .colour import FULL, LIMITED, UNTAGGED, ColourTags, ToRgb, usual_matrix
from .errors import SourceError
from .frame import Frame
from .layout import PixelLayout
from .reader import MAX_PIXELS

Siting = Literal["center", "left", "topleft"]
SITINGS: tuple[Siting, ...] = get_args(Siting)
_SITED_LEFT = frozenset({"h264", "hevc", "vvc", "mpeg2video", "mpeg4", "vc1", "wmv3"})
MATRICES = {"bt601": 6, "bt709": 1, "bt2020": 9, "smpte240m": 7, "fcc": 4}
RANGES = {"limited": LIMITED, "full": FULL}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """The common format of a stream's pictures.

    Attributes:
        size: (width, height).
        layout: of the pixel format.
        time_base: seconds per unit of `pts`.
        rate: frames per second, the usual one where it varies.
        tags: with a known matrix and range.
        siting: where chroma samples lie.
    """

    size: tuple[int, int]
    layout: PixelLayout
    time_base: Fraction
    rate: Fraction
    tags: ColourTags
    siting: Siting = "center"

    @property
    def picture_bytes(self) -> int:
        """Bytes of one picture."""
        return self.layout.picture_bytes(self.size)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture.

    Attributes:
        data: its planes (see PixelLayout), read-only by convention.
        pts: in units of the time base.
        duration: in the same unit, 0 where it is not known.
        interlaced: whether its lines are of two moments.
        note: parameters of a y4m frame header, to be written as they came.
        decoded: the same picture, where a decoder gave it.
    """

    data: bytearray
    pts: int
    duration: int = 0
    interlaced: bool = False
    note: bytes = b""
    decoded: av.VideoFrame | None = None

    def with_data(self, data: bytearray) -> "Picture":
        """The same moment with other samples."""
        return replace(self, data=data, decoded=None)


@dataclass(frozen=True, slots=True, eq=False)
class Aside:
    """Data between two pictures of a container, such as a packet of sound."""

    packet: "av.Packet[Stream]"


class PictureSource(Protocol):
    """Pictures of one stream, each once, in order. Iterating raises SourceError after the last one that was whole."""

    format: PictureFormat

    def __iter__(self) -> Iterator[Picture | Aside]: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the stream for the user."""
        ...


class PictureSink(Protocol):
    """Where pictures go, each at once. `write` raises ReaderGone and SinkError, `close` too; nothing follows it."""

    def write(self, item: Picture | Aside) -> None:
        """Write the next picture of the source, with these or other samples, or what lay between."""
        ...

    def close(self) -> None:
        """Write what ends the stream."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourChoice:
    """The user's choice of colour tags.

    Attributes:
        matrix: a key of MATRICES.
        signal_range: of RANGES. None: as in the stream.
    """

    matrix: str | None = None
    signal_range: str | None = None

    def __post_init__(self) -> None:
        if self.matrix is not None and self.matrix not in MATRICES:
            raise SourceError(f"unknown colour matrix {self.matrix!r}; expected one of {', '.join(MATRICES)}")
        if self.signal_range is not None and self.signal_range not in RANGES:
            raise SourceError(f"unknown colour range {self.signal_range!r}; expected one of {', '.join(RANGES)}")

    def over(self, said: ColourTags) -> ColourTags:
        """The stream's tags with the user's choice over them."""
        matrix = said.matrix if self.matrix is None else MATRICES[self.matrix]
        signal_range = said.signal_range if self.signal_range is None else RANGES[self.signal_range]
        return replace(said, matrix=matrix, signal_range=signal_range)

    def tags(self, said: ColourTags, layout: PixelLayout, size: tuple[int, int]) -> ColourTags:
        """The same, with default values for what is not given.

        The defaults are BT.709 from 720 lines on and BT.601 below, full range for grey and limited range for the rest.
        """
        tags = self.over(said)
        matrix = usual_matrix(size) if tags.matrix in UNTAGGED else tags.matrix
        usual_range = FULL if layout.family in ("gray", "rgb") or layout.pix_fmt.startswith("yuvj") else LIMITED
        return replace(tags, matrix=matrix, signal_range=tags.signal_range or usual_range)


AS_SAID = ColourChoice()


def decoded_siting(codec: str) -> Siting:
    """The chroma siting of a codec's pictures, as FFmpeg's decoder sets it and libswscale then uses it.

    Without a value from the decoder, libswscale and ffmpeg's y4m writer use the center. PyAV does not give the siting
    of a picture, so an H.264 or HEVC file with another siting than its codec's usual one is not detected.
    """
    return "left" if codec in _SITED_LEFT else "center"


def check_size(width: int, height: int, named: str) -> tuple[int, int]:
    """(width, height) where a picture can be that large. Raises SourceError that begins with `named`."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise SourceError(f"{named} of {width}x{height}, expected 1x1 to 16384x16384 pixels; scale the video first")
    return width, height


class PictureToRgb:
    """Pictures of one stream to RGB frames: the same pixels as `VideoReader` gives for the same samples."""

    def __init__(self, format: PictureFormat) -> None:
        self.format = format
        self._to_rgb = ToRgb()
        self._video_format = VideoFormat(format.layout.pix_fmt, *format.size)
        self._marks: dict[bool, _Marker | None] = {}

    def __call__(self, picture: Picture) -> Frame:
        """A new frame with the picture's time."""
        frame = picture.decoded or self._marked(picture)
        if self.format.layout.family != "rgb":
            tags = self.format.tags
            frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
            frame.colorspace, frame.color_range = tags.matrix, tags.signal_range
        return Frame(self._to_rgb(frame, self.format.size), picture.pts, self.format.time_base)

    def _marked(self, picture: Picture) -> av.VideoFrame:
        frame = av.VideoFrame(*self.format.size, self.format.layout.pix_fmt)
        fill(frame, picture.data, self.format)
        interlaced = picture.interlaced
        if interlaced not in self._marks:
            sited = self.format.siting != "center" and any(self.format.layout.chroma_shift)
            needed = sited or interlaced
            self._marks[interlaced] = _Marker(self._video_format, self.format, interlaced) if needed else None
        marker = self._marks[interlaced]
        return frame if marker is None else marker(frame)


class _Marker:
    """Marks frames with their chroma siting and interlacing, which libswscale uses and PyAV cannot set."""

    def __init__(self, video_format: VideoFormat, format: PictureFormat, interlaced: bool) -> None:
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=format.size[0], height=format.size[1], format=video_format, time_base=Fraction(1, 1000)
        )
        mode = "tff" if interlaced else "prog"
        marks = self._graph.add("setparams", f"chroma_location={format.siting}:field_mode={mode}")
        sink = self._graph.add("buffersink")
        source.link_to(marks)
        marks.link_to(sink)
        self._graph.configure()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(frame)
        marked = self._graph.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked


def fill(frame: av.VideoFrame, data: bytearray, format: PictureFormat) -> None:
    """Copy a picture's planes into a frame, whose rows are padded."""
    offset = 0
    for plane, (rows, row) in zip(frame.planes, format.layout.plane_shapes(format.size), strict=True):
        source = np.frombuffer(data, np.uint8, rows * row, offset).reshape(rows, row)
        np.frombuffer(plane, np.uint8).reshape(rows, -1)[:, :row] = source  # type: ignore[call-overload]
        offset += rows * row


def packed(frame: av.VideoFrame, layout: PixelLayout) -> bytearray:
    """A frame's planes in one buffer, without the padding of its rows."""
    size = (frame.width, frame.height)
    data, offset = bytearray(layout.picture_bytes(size)), 0
    for plane, (rows, row) in zip(frame.planes, layout.plane_shapes(size), strict=True):
        target = np.frombuffer(data, np.uint8, rows * row, offset).reshape(rows, row)
        target[...] = np.frombuffer(plane, np.uint8).reshape(rows, -1)[:, :row]  # type: ignore[call-overload]
        offset += rows * row
    return data
