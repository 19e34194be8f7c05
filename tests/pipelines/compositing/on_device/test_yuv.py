"""Samples to RGB, and edits back into samples, on a device: within a level of what the host makes."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from dynstream.pipelines.common.devices import HOST
from dynstream.pipelines.compositing.on_device.yuv import DeviceYuv, takes
from dynstream.stream.colour import FULL, LIMITED, ColourTags, FromRgb
from dynstream.stream.frame import Pixels
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import Picture, PictureFormat, PictureToRgb, Siting, packed
from dynstream.stream.repaint import Repainter

from ....fake_cuda import fake_cuda
from .pictures import soft

SIZE = (64, 48)
BT601, BT709, BT2020 = 6, 1, 9
PIX_FMTS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
CASES = [
    *((name, matrix, LIMITED, "left") for name in PIX_FMTS for matrix in (BT601, BT709, BT2020)),
    *((name, BT709, FULL, "center") for name in PIX_FMTS),
    ("yuv420p", BT601, LIMITED, "center"),
    ("yuv420p", BT601, LIMITED, "topleft"),
    ("yuv420p16le", BT709, FULL, "left"),
]


def format_of(
    pix_fmt: str,
    matrix: int = BT709,
    signal_range: int = LIMITED,
    siting: Siting = "left",
    size: tuple[int, int] = SIZE,
) -> PictureFormat:
    tags = ColourTags(matrix=matrix, signal_range=signal_range)
    rate = Fraction(25)
    return PictureFormat(
        size=size, layout=find_layout(pix_fmt), time_base=1 / rate, rate=rate, tags=tags, siting=siting
    )


def pictures(format: PictureFormat) -> tuple[Picture, Pixels]:
    """A picture, and an edit of a part of it."""
    width, height = format.size
    pixels = soft((height, width), 3, seed=3).astype(np.uint8)
    picture = Picture(packed(FromRgb(format.layout.pix_fmt, format.tags)(pixels), format.layout), 0)
    after = PictureToRgb(format)(picture).pixels.copy()
    after[11:32, 21:42] = np.clip(after[11:32, 21:42].astype(int) + np.array([60, -30, 20]), 0, 255)
    return picture, after


def tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize(("pix_fmt", "matrix", "signal_range", "siting"), CASES)
def test_the_same_as_on_the_host(pix_fmt: str, matrix: int, signal_range: int, siting: Siting) -> None:
    format = format_of(pix_fmt, matrix, signal_range, siting)
    picture, after = pictures(format)
    before = PictureToRgb(format)(picture).pixels
    there, up = DeviceYuv(format, HOST), torch.frombuffer(picture.data, dtype=torch.uint8)
    rgb = there.to_rgb(up)
    assert np.abs(rgb.permute(1, 2, 0).numpy().astype(int) - before).max() <= 1
    wanted = Repainter(format)(picture, before, after)
    data = bytearray(there.repaint(up, tensor(before), tensor(after)).numpy().tobytes())
    layout = format.layout
    one, other, source = (layout.samples(each, SIZE) for each in (wanted.data, data, picture.data))
    for name, samples in one.items():
        assert np.abs(samples.astype(int) - other[name]).max() <= 1
        np.testing.assert_array_equal(other[name] == source[name], samples == source[name])


def test_nothing_changed_gives_the_same_bytes() -> None:
    format = format_of("yuv420p10le")
    data = bytearray(np.random.default_rng(0).integers(0, 1024, format.picture_bytes // 2, np.uint16).tobytes())
    there, up = DeviceYuv(format, HOST), torch.frombuffer(data, dtype=torch.uint8)
    rgb = there.to_rgb(up)
    assert bytes(there.repaint(up, rgb, rgb).numpy()) == bytes(data)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_no_value_is_asked_for_and_nothing_is_copied_in_between(pix_fmt: str) -> None:
    format = format_of(pix_fmt)
    with fake_cuda() as device:
        there = DeviceYuv(format, device)
        up = device.upload(np.zeros(format.picture_bytes, np.uint8))
        rgb = there.to_rgb(up)
        down = device.download(there.repaint(up, rgb, rgb + 1))
        assert (rgb.shape, down.shape) == ((3, 48, 64), (format.picture_bytes,))
        assert (len(device.uploads), len(device.downloads)) == (1, 1)


def test_which_pictures_it_takes() -> None:
    assert all(takes(format_of(name)) for name in (*PIX_FMTS, "yuv440p", "yuvj420p"))
    others = ("nv12", "yuyv422", "gray", "rgb24", "yuv410p", "yuv411p", "gbrp", "yuva420p")
    assert not any(takes(format_of(name)) for name in others)
    odd = [takes(format_of(name, size=(63, 47))) for name in ("yuv420p", "yuv422p", "yuv444p")]
    assert odd == [False, False, True]
