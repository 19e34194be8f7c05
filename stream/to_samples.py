"""Conversion of edited frames for an encoder: the source's own samples with the edit in them, or samples from RGB."""

from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.format import VideoFormat
from av.video.frame import PictureType

from .colour import ColourTags, FromRgb, has_alpha, is_rgb
from .frame import Frame, Original
from .layout import PixelLayout, layout_of
from .picture import AS_SAID, Picture, PictureFormat, decoded_siting, fill, packed
from .reader import VideoReader
from .repaint import Repainter
from .side_data import brought


class ToSamples:
    """Frames of one reader to video frames of one pixel format with the given tags.

    Set `kept` to the kinds of side data that frames bring from their originals.

    If a frame's original has the same pixel format and colour tags, its own samples are used and the edit is added to
    them (see `Repainter`), as in a pipe: unedited samples stay bit-exact. Other frames are converted from RGB: other
    formats and ranges, RGB itself, alpha, and frames that were turned, scaled, or have no original.
    """

    def __init__(self, pix_fmt: str, tags: ColourTags, reader: VideoReader) -> None:
        self.pix_fmt = pix_fmt
        self.tags = tags
        self._reader = reader
        self._from_rgb = FromRgb(pix_fmt, tags)
        self._layout = _yuv_layout(pix_fmt)
        self._repaint: Repainter | None = None
        self._copy: CopyWithSideData | None = None
        self.kept: frozenset[Type] = frozenset()

    def __call__(self, frame: Frame) -> av.VideoFrame:
        """A new video frame without a timestamp."""
        original = frame.original
        if original is None:
            return self._from_rgb(frame.pixels)
        if self._layout is None or not self._is_as_wanted(original.samples):
            made = self._from_rgb(frame.pixels)
        else:
            made = self._repainted(frame, original, self._layout)
        if self.kept.isdisjoint(brought(original.samples)):
            return made
        self._copy = self._copy or CopyWithSideData(original.samples, self.pix_fmt)
        return self._copy(original.samples, made)

    def _is_as_wanted(self, samples: av.VideoFrame) -> bool:
        # Equal tags on equal formats mean equal colours, whatever a reader takes for those that say nothing.
        same = _base(samples.format.name) == _base(self.pix_fmt) and ColourTags.of(samples) == self.tags
        # Rows may be stored from the last to the first.
        return same and all(plane.line_size > 0 for plane in samples.planes)

    def _repainted(self, frame: Frame, original: Original, layout: PixelLayout) -> av.VideoFrame:
        samples = original.samples
        if self._repaint is None:
            self._repaint = Repainter(self._format(samples, layout))
        picture = Picture(packed(samples, layout), frame.pts, interlaced=bool(samples.interlaced_frame))
        picture = self._repaint(picture, original.pixels, frame.pixels)
        made = av.VideoFrame(samples.width, samples.height, self.pix_fmt)
        fill(made, picture.data, self._repaint.format)
        made.colorspace, made.color_range = self.tags.matrix, self.tags.signal_range
        return made

    def _format(self, samples: av.VideoFrame, layout: PixelLayout) -> PictureFormat:
        size = (samples.width, samples.height)
        return PictureFormat(
            size=size,
            layout=layout,
            time_base=self._reader.time_base,
            rate=self._reader.rate,
            tags=AS_SAID.tags(self.tags, layout, size),
            siting=decoded_siting(self._reader.codec),
        )


class CopyWithSideData:
    """Pictures with the side data of other frames, which PyAV cannot set: copies of those get the pictures' samples."""

    def __init__(self, like: av.VideoFrame, pix_fmt: str) -> None:
        self._graph = av.filter.Graph()
        unit = like.time_base or Fraction(1, 1000)
        source = self._graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=unit)
        copy, convert = self._graph.add("copy"), self._graph.add("format", f"pix_fmts={pix_fmt}")
        sink = self._graph.add("buffersink")
        source.link_to(copy)
        copy.link_to(convert)
        convert.link_to(sink)
        self._graph.configure()

    def __call__(self, samples: av.VideoFrame, made: av.VideoFrame) -> av.VideoFrame:
        self._graph.push(samples)
        frame = self._graph.pull()
        assert isinstance(frame, av.VideoFrame)
        for target, source in zip(frame.planes, made.planes, strict=True):
            rows = np.frombuffer(source, np.uint8).reshape(source.height, -1)  # type: ignore[call-overload]
            to = np.frombuffer(target, np.uint8).reshape(target.height, -1)  # type: ignore[call-overload]
            columns = min(rows.shape[1], to.shape[1])
            to[:, :columns] = rows[:, :columns]
        frame.pict_type = PictureType.NONE  # else the encoder would repeat the source's key frames
        frame.colorspace, frame.color_range = made.colorspace, made.color_range
        frame.color_primaries, frame.color_trc = made.color_primaries, made.color_trc
        return frame


def _base(pix_fmt: str) -> str:
    """The name without its range, which is also in the tags."""
    return pix_fmt.replace("yuvj", "yuv")


def _yuv_layout(pix_fmt: str) -> PixelLayout | None:
    described = VideoFormat(pix_fmt)
    return None if is_rgb(described) or has_alpha(described) else layout_of(pix_fmt)
