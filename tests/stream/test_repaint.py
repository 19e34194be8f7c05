"""An edit put into a picture's own samples: exact where it changes something, absent where not."""

from fractions import Fraction

import numpy as np
import pytest

from dynstream.stream.colour import BT601, BT709, FULL, LIMITED, ColourTags, FromRgb
from dynstream.stream.errors import SourceError
from dynstream.stream.frame import Pixels
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import Picture, PictureFormat, PictureToRgb, Siting, packed
from dynstream.stream.repaint import Repainter, changed_window, sample_matrix

from .media import picture, psnr


def format_of(
    pix_fmt: str,
    size: tuple[int, int] = (64, 48),
    matrix: int = BT601,
    signal_range: int = LIMITED,
    siting: Siting = "center",
) -> PictureFormat:
    tags = ColourTags(matrix=matrix, signal_range=signal_range)
    rate = Fraction(25)
    return PictureFormat(
        size=size, layout=find_layout(pix_fmt), time_base=1 / rate, rate=rate, tags=tags, siting=siting
    )


def flat(size: tuple[int, int] = (64, 48), colour: tuple[int, int, int] = (100, 100, 100)) -> Pixels:
    return np.full((size[1], size[0], 3), colour, np.uint8)


def noise(format: PictureFormat) -> Picture:
    """Middling samples, so that nothing is cut off."""
    data = bytearray(format.picture_bytes)
    random = np.random.default_rng(0)
    for samples in format.layout.samples(data, format.size).values():
        samples[...] = random.integers(60 << (format.layout.bits - 8), 180 << (format.layout.bits - 8), samples.shape)
    return Picture(data, 0)


def differences(format: PictureFormat, old: Picture, new: Picture) -> dict[str, np.ndarray]:
    before, after = (format.layout.samples(p.data, format.size) for p in (old, new))
    return {name: after[name].astype(int) - before[name] for name in before}


def test_nothing_changed_is_the_same_picture() -> None:
    format = format_of("yuv420p")
    old = noise(format)
    assert Repainter(format)(old, flat(), flat()) is old
    assert changed_window(flat(), flat()) is None


@pytest.mark.parametrize("signal_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9, 10])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "nv12", "yuyv422", "yuv411p", "gray", "gray16le"])
def test_a_grey_change_moves_luma_alone(pix_fmt: str, matrix: int, signal_range: int) -> None:
    format = format_of(pix_fmt, matrix=matrix, signal_range=signal_range)
    bits = format.layout.bits
    old = noise(format)
    after = flat()
    after[8:20, 16:40] += 60
    moved = differences(format, old, Repainter(format)(old, flat(), after))
    levels = 219 * 2 ** (bits - 8) if signal_range == LIMITED else 2**bits - 1
    assert np.all(moved["y"][8:20, 16:40] == round(60 * levels / 255))
    moved["y"][8:20, 16:40] = 0
    assert not any(change.any() for change in moved.values())


@pytest.mark.parametrize(
    ("matrix", "signal_range", "expected"),
    [
        # Pure red, blue and green at full range: ITU-T H.273, equations 38 to 40.
        (BT601, FULL, {"y": (76.245, 149.685, 29.07), "u": (-43.03, -84.47, 127.5), "v": (127.5, -106.77, -20.73)}),
        (BT709, FULL, {"y": (54.213, 182.376, 18.411), "u": (-29.21, -98.29, 127.5), "v": (127.5, -115.81, -11.69)}),
        (BT709, LIMITED, {"y": (46.559, 156.629, 15.812), "u": (-25.66, -86.34, 112), "v": (112, -101.73, -10.27)}),
    ],
)
def test_the_matrix_is_the_standard_s(
    matrix: int, signal_range: int, expected: dict[str, tuple[float, float, float]]
) -> None:
    found = 255 * sample_matrix(format_of("yuv444p", matrix=matrix, signal_range=signal_range))
    assert found == pytest.approx(np.array([expected[name] for name in "yuv"]), abs=0.01)


@pytest.mark.parametrize("signal_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [BT601, BT709, 9])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le"])
def test_it_agrees_with_converting_the_edited_picture(pix_fmt: str, matrix: int, signal_range: int) -> None:
    format = format_of(pix_fmt, matrix=matrix, signal_range=signal_range)
    convert = FromRgb(pix_fmt, format.tags)
    before, after = picture(0), picture(5)
    old, wanted = (Picture(packed(convert(rgb), format.layout), 0) for rgb in (before, after))
    new = Repainter(format)(old, before, after)
    step = 1 << (format.layout.bits - 8)
    for name, difference in differences(format, wanted, new).items():
        assert np.abs(difference).max() <= (3 if name == "y" else 4) * step, name
        assert np.abs(difference).mean() < step
    assert psnr(PictureToRgb(format)(new).pixels, after) > 42


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr24", "rgba", "0bgr", "gbrp"])
def test_rgb_is_the_edited_picture(pix_fmt: str) -> None:
    format = format_of(pix_fmt, (33, 21))
    before, after = picture(0, (33, 21)), picture(5, (33, 21))
    old = Picture(bytearray(np.random.default_rng(0).bytes(format.picture_bytes)), 0)
    for name, samples in format.layout.samples(old.data, format.size).items():
        samples[...] = before[..., "rgb".index(name)]
    new = Repainter(format)(old, before, after)
    assert np.array_equal(PictureToRgb(format)(new).pixels, after)


def test_ten_bits_stay_ten_bits() -> None:
    """A ramp in quarters of an 8-bit step is the same ramp under an edit."""
    format = format_of("yuv444p10le", (64, 48))
    old = Picture(bytearray(format.picture_bytes), 0)
    samples = format.layout.samples(old.data, format.size)
    samples["y"][...] = 400 + np.arange(64)
    samples["u"][...] = samples["v"][...] = 512
    rgb = PictureToRgb(format)(old).pixels
    new = Repainter(format)(old, rgb, rgb + np.uint8(20))
    assert np.array_equal(format.layout.samples(new.data, format.size)["y"][0], 400 + np.arange(64) + 69)


def test_samples_end_where_the_format_does() -> None:
    format = format_of("yuv420p")
    old = Picture(bytearray(b"\xf0" * format.picture_bytes), 0)
    new = Repainter(format)(old, flat(), flat(colour=(255, 255, 255)))
    assert set(format.layout.samples(new.data, format.size)["y"].ravel()) == {255}


@pytest.mark.parametrize(
    ("siting", "column", "expected"),
    [
        ("center", 6, {3: 1 / 2}), ("center", 7, {3: 1 / 2}),
        ("left", 6, {3: 1 / 2}), ("left", 7, {3: 1 / 4, 4: 1 / 4}),
        ("topleft", 6, {3: 1 / 2}), ("topleft", 7, {3: 1 / 4, 4: 1 / 4}),
    ],
)  # fmt: skip
def test_chroma_is_taken_where_it_lies(siting: Siting, column: int, expected: dict[int, float]) -> None:
    format = format_of("yuv420p", siting=siting, signal_range=FULL)
    old = noise(format)
    after = flat()
    after[:, column, 2] += 80
    change = differences(format, old, Repainter(format)(old, flat(), after))["u"]
    assert {i: round(float(v)) for i, v in enumerate(change.mean(axis=0)) if v} == {
        i: round(share * 40) for i, share in expected.items()
    }
    after = flat()
    after[column, :, 2] += 80
    rows = differences(format, old, Repainter(format)(old, flat(), after))["u"].mean(axis=1)
    sited = expected if siting == "topleft" else {3: 1 / 2}
    assert {i: round(float(v)) for i, v in enumerate(rows) if v} == {i: round(s * 40) for i, s in sited.items()}


def test_interlaced_chroma_belongs_to_its_field() -> None:
    format = format_of("yuv420p")
    old = Picture(noise(format).data, 0, interlaced=True)
    after = flat()
    after[9, :, 2] += 100  # line 4 of the lower field, between chroma lines 2 and 3 of it
    change = differences(format, old, Repainter(format)(old, flat(), after))
    assert [i for i, row in enumerate(change["y"]) if row.any()] == [9]
    assert [i for i, row in enumerate(change["u"]) if row.any()] == [5]


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 21)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv410p", "yuyv422", "gbrp"])
def test_odd_sizes(pix_fmt: str, interlaced: bool, size: tuple[int, int]) -> None:
    format = format_of(pix_fmt, size, siting="left")
    old = Picture(noise(format).data, 0, interlaced=interlaced)
    before, after = flat(size), flat(size)
    after[-1, -1] = (160, 90, 130)
    new = Repainter(format)(old, before, after)
    where = differences(format, old, new)
    # A picture's last chroma row may be of the other field than its last line.
    assert all(change[-1, -1] or (interlaced and change[:, -1].any()) for change in where.values())


def test_an_unknown_matrix() -> None:
    with pytest.raises(SourceError, match=r"matrix with code 8 .*expected one of \[1, 4, 5, 6, 7, 9, 10\].*--matrix"):
        Repainter(format_of("yuv420p", matrix=8))
