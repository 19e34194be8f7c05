"""Frames whose decoded samples were changed elsewhere, such as on a GPU: their planes, and the frame of new ones."""

import av

from .colour import ColourTags, ToRgb
from .frame import Frame, Original
from .layout import layout_of
from .picture import AS_SAID, PictureFormat, decoded_siting, fill
from .repaint import LUMA_WEIGHTS
from .to_samples import CopyWithSideData


def sample_format(frame: Frame) -> PictureFormat | None:
    """The format of a file's frame as it was decoded; None where its samples cannot be changed in their planes.

    These are frames without an original, interlaced ones, and formats or colours that are not known.
    """
    if frame.original is None or frame.original.samples.interlaced_frame:
        return None
    samples = frame.original.samples
    layout = layout_of(samples.format.name)
    if layout is None or any(plane.line_size <= 0 for plane in samples.planes):
        return None
    tags = AS_SAID.tags(ColourTags.of(samples), layout, frame.size)
    if layout.family != "yuv" or tags.matrix not in LUMA_WEIGHTS:
        return None
    return PictureFormat(
        size=frame.size,
        layout=layout,
        time_base=frame.time_base,
        rate=1 / frame.time_base,
        tags=tags,
        siting=decoded_siting(frame.original.codec),
    )


class NewSamples:
    """Frames of one stream with other samples, which are then their original: a writer takes them as they are."""

    def __init__(self, format: PictureFormat) -> None:
        self.format = format
        self._to_rgb = ToRgb()
        self._copy: CopyWithSideData | None = None

    def __call__(self, frame: Frame, data: bytearray) -> Frame:
        """The frame with the samples in `data`, which are laid out as its own; `frame.original` is there."""
        assert frame.original is not None
        samples, pix_fmt = frame.original.samples, self.format.layout.pix_fmt
        made = av.VideoFrame(samples.width, samples.height, pix_fmt)
        fill(made, data, self.format)
        made.colorspace, made.color_range = samples.colorspace, samples.color_range
        made.color_primaries, made.color_trc = samples.color_primaries, samples.color_trc
        self._copy = self._copy or CopyWithSideData(samples, pix_fmt)
        changed = self._copy(samples, made)
        pixels = self._to_rgb(changed, frame.size)
        return Frame(pixels, frame.pts, frame.time_base, Original(changed, pixels, frame.original.codec))
