"""Where samples lie: the same picture in two pixel formats shows the same samples."""

from fractions import Fraction

import av
import numpy as np
import pytest

from dynstream.stream.colour import ColourTags
from dynstream.stream.errors import SourceError
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import PictureFormat, fill, packed

from .media import picture

SAME = {
    "nv12": "yuv420p", "nv21": "yuv420p", "yuyv422": "yuv422p",
    "uyvy422": "yuv422p", "yvyu422": "yuv422p", "yuva420p": "yuv420p", "yuvj420p": "yuv420p", "bgr24": "rgb24",
    "rgba": "rgb24", "bgra": "rgb24", "argb": "rgb24", "abgr": "rgb24", "rgb0": "rgb24", "0rgb": "rgb24",
    "bgr0": "rgb24", "0bgr": "rgb24", "gbrp": "rgb24", "gbrap": "rgb24",
}  # fmt: skip
"""A pixel format -> another one that holds the same samples in other places."""
OTHERS = ("yuv411p", "yuv440p", "yuv410p", "gray", "yuv420p10le", "yuv422p12le", "yuv444p16le", "gray10le", "gbrp10le")


def in_format(pix_fmt: str, size: tuple[int, int], base: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture(3, size), "rgb24").reformat(format=base).reformat(format=pix_fmt)


@pytest.mark.parametrize("size", [(64, 48), (33, 21)])
@pytest.mark.parametrize("pix_fmt", SAME)
def test_samples_are_found(pix_fmt: str, size: tuple[int, int]) -> None:
    base = SAME[pix_fmt]
    if pix_fmt in ("yuyv422", "uyvy422", "yvyu422"):
        size = (size[0] // 2 * 2, size[1])  # libswscale leaves the last of an odd number of columns out
    if pix_fmt == "yuvj420p":  # as a frame is decoded: only the name differs
        frame = in_format(base, size, base)
        other, pix_fmt = frame, base
    else:
        other = in_format(pix_fmt, size, base)
        frame = in_format(base, size, base)
    expected = find_layout(base).samples(packed(frame, find_layout(base)), size)
    found = find_layout(pix_fmt).samples(packed(other, find_layout(pix_fmt)), size)
    assert set(found) == set(expected)
    for name, samples in expected.items():
        assert samples.std() > 1
        assert np.array_equal(found[name], samples), name


@pytest.mark.parametrize("size", [(64, 48), (33, 21), (1, 1)])
@pytest.mark.parametrize("pix_fmt", [*SAME, *OTHERS])
def test_into_a_frame_and_out_again(pix_fmt: str, size: tuple[int, int]) -> None:
    layout = find_layout(pix_fmt)
    rate = Fraction(25)
    format = PictureFormat(size=size, layout=layout, time_base=1 / rate, rate=rate, tags=ColourTags())
    data = bytearray(np.random.default_rng(1).bytes(format.picture_bytes))
    frame = av.VideoFrame(*size, pix_fmt)
    fill(frame, data, format)
    assert packed(frame, layout) == data


def test_writing_to_samples_writes_to_the_picture() -> None:
    layout = find_layout("yuv420p10le")
    data = bytearray(layout.picture_bytes((4, 2)))
    layout.samples(data, (4, 2))["u"][0, 1] = 0x0123
    assert data == bytes(18) + b"\x23\x01" + bytes(4)


@pytest.mark.parametrize("pix_fmt", ["nonsense", "pal8", "yuv420p10be", "p010le", "yuv999p", "cuda", ""])
def test_an_unknown_format(pix_fmt: str) -> None:
    with pytest.raises(SourceError, match=r"is not read from a pipe, expected one such as yuv420p.*-pix_fmt yuv420p"):
        find_layout(pix_fmt)
