"""What an encoder gets: the source's own samples where they are of the wanted kind, else what RGB gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream.colour import FULL, LIMITED, ColourTags, FromRgb
from dynstream.stream.frame import Frame, Original
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import packed
from dynstream.stream.reader import VideoReader
from dynstream.stream.to_samples import ToSamples

from .media import Clip, make, picture

SHORT = range(0, 1536, 512)


def planes(frame: av.VideoFrame) -> bytes:
    return bytes(packed(frame, find_layout(frame.format.name)))


@contextmanager
def opened(path: Path, clip: Clip) -> Iterator[tuple[VideoReader, Frame]]:
    with VideoReader(make(path, clip)) as reader:
        yield reader, next(iter(reader))


def stored(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return planes(next(container.decode(video=0)))


OWN = {
    "420": ("a.mp4", {}, LIMITED),
    "422": ("a.mp4", {"pix_fmt": "yuv422p"}, LIMITED),
    "444 of an odd size": ("a.mp4", {"pix_fmt": "yuv444p", "size": (33, 21)}, LIMITED),
    "grey": ("a.mkv", {"pix_fmt": "gray", "codec": "ffv1", "options": {}}, FULL),
    "tagged": ("a.mp4", {"colour": (9, 16, 9, 1)}, LIMITED),
    "full range": ("a.mp4", {"colour": (1, 1, 1, 2)}, FULL),
    "full range by its name": ("a.mkv", {"pix_fmt": "yuvj420p", "codec": "mjpeg", "options": {}}, FULL),
    "10 bits": ("a.mp4", {"pix_fmt": "yuv420p10le"}, LIMITED),
    "interlaced": ("a.mp4", {"options": {"crf": "1", "preset": "ultrafast", "x264-params": "tff=1"}}, LIMITED),
}


@pytest.mark.parametrize("case", OWN)
def test_own_samples_stay_and_take_the_edit(case: str, tmp_path: Path) -> None:
    name, options, signal_range = OWN[case]
    clip = Clip(audio=None, pts=SHORT, **options)  # type: ignore[arg-type]
    pix_fmt = clip.pix_fmt.replace("yuvj", "yuv")
    with opened(tmp_path / name, clip) as (reader, frame):
        convert = ToSamples(pix_fmt, reader.tags, reader)
        untouched = convert(frame)
        assert untouched.format.name == pix_fmt
        assert planes(untouched) == stored(tmp_path / name)
        pixels = frame.pixels.copy()
        pixels[8:12, 16:24] += np.uint8(40)
        edited = convert(frame.with_pixels(pixels))
    layout = find_layout(pix_fmt)
    before, after = (layout.samples(bytearray(planes(f)), clip.size)["y"].astype(int) for f in (untouched, edited))
    change = (after - before) / 2 ** (layout.bits - 8)
    assert np.all(np.abs(change[8:12, 16:24] - 40 * (219 / 255 if signal_range == LIMITED else 1)) <= 0.5)
    change[8:12, 16:24] = 0
    assert not change.any()


ANEW = {
    "turned": (Clip(rotation=90, audio=None, pts=SHORT), "a.mp4", "yuv420p"),
    "mirrored": (Clip(mirrored=True, audio=None, pts=SHORT), "a.mp4", "yuv420p"),
    "other chroma": (Clip(audio=None, pts=SHORT), "a.mp4", "yuv444p"),
    "fewer bits": (Clip(pix_fmt="yuv420p10le", audio=None, pts=SHORT), "a.mp4", "yuv420p"),
    "rgb": (Clip(pix_fmt="rgb24", codec="png", options={}, audio=None, pts=SHORT), "a.mov", "rgb24"),
    "alpha": (Clip(pix_fmt="yuva444p16le", codec="ffv1", options={}, audio=None, pts=SHORT), "a.mkv", "yuva444p16le"),
    "no layout known": (
        Clip(pix_fmt="yuv444p16be", codec="rawvideo", options={}, audio=None, pts=SHORT),
        "a.nut",
        "yuv444p16be",
    ),
}


@pytest.mark.parametrize("case", ANEW)
def test_all_else_is_made_from_rgb(case: str, tmp_path: Path) -> None:
    clip, name, pix_fmt = ANEW[case]
    with opened(tmp_path / name, clip) as (reader, frame):
        made, expected = ToSamples(pix_fmt, reader.tags, reader)(frame), FromRgb(pix_fmt, reader.tags)(frame.pixels)
    assert np.array_equal(made.to_ndarray(), expected.to_ndarray())


def test_another_range_is_made_from_rgb(tmp_path: Path) -> None:
    tags = ColourTags(1, 1, 1, FULL)
    with opened(tmp_path / "a.mp4", Clip(colour=(1, 1, 1, 1), audio=None, pts=SHORT)) as (reader, frame):
        assert planes(ToSamples("yuv420p", tags, reader)(frame)) == planes(FromRgb("yuv420p", tags)(frame.pixels))


def test_a_frame_of_no_original_is_made_from_rgb(tmp_path: Path) -> None:
    with opened(tmp_path / "a.mp4", Clip(audio=None, pts=SHORT)) as (reader, frame):
        drawn = Frame(picture(7), frame.pts, frame.time_base)
        made = ToSamples("yuv420p", reader.tags, reader)(drawn)
        assert planes(made) == planes(FromRgb("yuv420p", reader.tags)(drawn.pixels))


def test_rows_stored_from_the_last_to_the_first_are_made_from_rgb(tmp_path: Path) -> None:
    graph = av.filter.Graph()
    with opened(tmp_path / "a.mp4", Clip(audio=None, pts=SHORT)) as (reader, frame):
        assert frame.original is not None
        buffer = graph.add_buffer(width=64, height=48, format=frame.original.samples.format, time_base=Fraction(1, 25))
        graph.link_nodes(buffer, graph.add("vflip"), graph.add("buffersink")).configure()
        graph.push(frame.original.samples)
        flipped = graph.pull()
        assert isinstance(flipped, av.VideoFrame)
        assert flipped.planes[0].line_size < 0
        pixels = np.ascontiguousarray(frame.pixels[::-1])
        upside_down = Frame(pixels, frame.pts, frame.time_base, Original(flipped, pixels))
        made = ToSamples("yuv420p", reader.tags, reader)(upside_down)
        assert planes(made) == planes(FromRgb("yuv420p", reader.tags)(pixels))


def test_a_frame_keeps_its_original_with_other_pixels_of_its_size(tmp_path: Path) -> None:
    with opened(tmp_path / "a.mp4", Clip(audio=None, pts=SHORT)) as (_, frame):
        assert frame.original is not None
        assert frame.with_pixels(255 - frame.pixels).original is frame.original
        assert frame.with_pixels(frame.pixels[:10]).original is None
        with pytest.raises(ValueError, match=r"the original's \(48, 64, 3\), got \(10, 64, 3\)"):
            Frame(frame.pixels[:10], 0, frame.time_base, frame.original)
