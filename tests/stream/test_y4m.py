"""y4m: its header, its frames, and what is said of one that is broken."""

from fractions import Fraction
from pathlib import Path

import pytest

from dynstream.stream.colour import BT601, BT709, FULL, LIMITED, ColourTags
from dynstream.stream.errors import SourceError
from dynstream.stream.picture import ColourChoice, Picture
from dynstream.stream.y4m import Y4mReader, Y4mWriter

from .piping import reading, writing, y4m

CHROMA = {
    "C420jpeg": ("yuv420p", "center", 8 * 6 + 2 * 12),
    "C420mpeg2": ("yuv420p", "left", 8 * 6 + 2 * 12),
    "C420paldv": ("yuv420p", "topleft", 8 * 6 + 2 * 12),
    "C420": ("yuv420p", "center", 8 * 6 + 2 * 12),
    "": ("yuv420p", "center", 8 * 6 + 2 * 12),
    "C422": ("yuv422p", "left", 2 * 8 * 6),
    "C444": ("yuv444p", "left", 3 * 8 * 6),
    "C411": ("yuv411p", "left", 8 * 6 * 3 // 2),
    "C444alpha": ("yuva444p", "left", 4 * 8 * 6),
    "Cmono": ("gray", "left", 8 * 6),
    "C420p10": ("yuv420p10le", "left", 2 * (8 * 6 + 2 * 12)),
    "C422p10": ("yuv422p10le", "left", 2 * 2 * 8 * 6),
    "C444p10": ("yuv444p10le", "left", 2 * 3 * 8 * 6),
    "Cmono10": ("gray10le", "left", 2 * 8 * 6),
    "C420p12": ("yuv420p12le", "left", 2 * (8 * 6 + 2 * 12)),
}


@pytest.mark.parametrize("tag", CHROMA)
def test_every_chroma_tag(tag: str) -> None:
    pix_fmt, siting, picture_bytes = CHROMA[tag]
    reader = Y4mReader(reading(y4m(f"W8 H6 F25:1 Ip A1:1 {tag}".strip(), picture_bytes)))
    assert (reader.format.layout.pix_fmt, reader.format.siting) == (pix_fmt, siting)
    assert reader.format.picture_bytes == picture_bytes
    assert reader.format.size == (8, 6)
    assert len(list(reader)) == 3


@pytest.mark.parametrize(
    "header",
    [
        "W8 H6 F30000:1001 It A10:11 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED",
        "H6 W8 F25:1 Im A0:0 C420jpeg Xsome thing Q9",
        "W8  H6 F25:1 ",
    ],
)
def test_headers_and_frame_headers_come_out_as_they_went_in(header: str, tmp_path: Path) -> None:
    data = y4m(header, 72, 4, ("", " Itip", " Ib1i X=3"))
    reader = Y4mReader(reading(data))
    with writing(tmp_path / "out") as written:
        writer = Y4mWriter(written.output, reader.header.line)
        for picture in reader:
            writer.write(picture)
        writer.close()
    assert written.data == data


def test_times_are_counted_in_frames() -> None:
    reader = Y4mReader(reading(y4m("W8 H6 F30000:1001", 72)))
    assert (reader.format.rate, reader.format.time_base) == (Fraction(30000, 1001), Fraction(1001, 30000))
    assert [picture.pts for picture in reader] == [0, 1, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("header", "choice", "expected"),
    [
        ("W64 H48 F25:1", {}, (BT601, LIMITED)),
        ("W1280 H720 F25:1", {}, (BT709, LIMITED)),
        ("W64 H48 F25:1 XCOLORRANGE=FULL", {}, (BT601, FULL)),
        ("W64 H48 F25:1 XCOLORRANGE=LIMITED", {}, (BT601, LIMITED)),
        ("W64 H48 F25:1 Cmono", {}, (BT601, FULL)),
        ("W64 H48 F25:1 Cmono XCOLORRANGE=LIMITED", {}, (BT601, LIMITED)),
        ("W64 H48 F25:1 XCOLORRANGE=FULL", {"matrix": "bt2020", "signal_range": "limited"}, (9, LIMITED)),
        ("W1280 H720 F25:1", {"matrix": "bt601", "signal_range": "full"}, (BT601, FULL)),
    ],
)
def test_colours_that_are_assumed(header: str, choice: dict[str, str], expected: tuple[int, int]) -> None:
    tags = Y4mReader(reading(y4m(header, 0, 0)), colours=ColourChoice(**choice)).format.tags
    assert tags == ColourTags(matrix=expected[0], signal_range=expected[1])


@pytest.mark.parametrize(
    ("interlacing", "note", "expected"),
    [("Ip", "", False), ("I?", "", False), ("It", "", True), ("Ib", "", True), ("", "", False),
     ("Im", " Itip", False), ("Im", " I1pp", False), ("Im", " Itii", True), ("Im", "", False)],
)  # fmt: skip
def test_interlacing(interlacing: str, note: str, expected: bool) -> None:
    (picture,) = Y4mReader(reading(y4m(f"W8 H6 F25:1 {interlacing}".strip(), 72, 1, (note,))))
    assert isinstance(picture, Picture)
    assert picture.interlaced is expected


BAD_HEADERS = {
    "another format": (b"RIFF1234AVI LIST\n", r"begins with b'RIFF1234AVI LIST', expected y4m"),
    "cut off": (b"YUV4MPEG2 W64 H4", r"the y4m header is cut off after 16 bytes: 'YUV4MPEG2 W64 H4'"),
    "endless": (b"YUV4MPEG2 " + b"X" * 5000, "the y4m header is longer than 4096 bytes"),
    "no width": (b"YUV4MPEG2 H48 F25:1\n", "no usable W"),
    "no height": (b"YUV4MPEG2 W64 F25:1\n", "no usable H"),
    "negative": (b"YUV4MPEG2 W-64 H48 F25:1\n", "no usable W"),
    "huge number": (b"YUV4MPEG2 W" + b"9" * 3000 + b" H48 F25:1\n", "no usable W"),
    "no picture": (b"YUV4MPEG2 W0 H0 F25:1\n", "says a picture of 0x0, expected 1x1 to 16384x16384 pixels"),
    "absurd": (b"YUV4MPEG2 W100000 H100000 F25:1\n", "says a picture of 100000x100000, expected 1x1 to 16384x16384"),
    "no rate": (b"YUV4MPEG2 W64 H48\n", r"no frame rate above zero: .*--rate 25"),
    "rate 0": (b"YUV4MPEG2 W64 H48 F0:1\n", r"no frame rate above zero: .*--rate 25"),
    "rate 25:0": (b"YUV4MPEG2 W64 H48 F25:0\n", r"no frame rate above zero: .*--rate 25"),
    "rate text": (b"YUV4MPEG2 W64 H48 Ffast\n", r"no usable F \(frames per second, as in F25:1\)"),
    "chroma": (b"YUV4MPEG2 W64 H48 F25:1 C421\n", r"unknown chroma tag C421, expected one of 420jpeg, .*mono10"),
    "chroma depth": (b"YUV4MPEG2 W64 H48 F25:1 C420p11\n", "unknown chroma tag C420p11"),
    "empty": (b"", "begins with b'', expected y4m"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_bad_header(case: str) -> None:
    data, message = BAD_HEADERS[case]
    with pytest.raises(SourceError, match=message):
        Y4mReader(reading(data))


def test_a_rate_that_the_header_lacks_can_be_said() -> None:
    reader = Y4mReader(reading(y4m("W8 H6 F0:0", 72)), rate=Fraction(24))
    assert reader.format.time_base == Fraction(1, 24)
    assert reader.header.line == b"YUV4MPEG2 W8 H6 F0:0"


BAD_FRAMES = {
    "half a picture": (lambda data: data[:-20], r"y4m frame 3 is cut off: 52 of 72 bytes; the 2 frames before it"),
    "no picture": (lambda data: data[:-72], r"y4m frame 3 is cut off: 0 of 72 bytes"),
    "half a line": (lambda data: data[:-74], r"y4m header of frame 3 is cut off after 4 bytes: 'FRAM'"),
    "out of step": (lambda data: data[:-78] + b"\n" + data[-78:], r"y4m frame 3 begins with '', expected FRAME"),
    "no frame": (lambda data: data[:-78] + b"FRAMES\n" + data[-72:], r"y4m frame 3 begins with 'FRAMES'"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_bad_frame_after_two_good_ones(case: str) -> None:
    cut, message = BAD_FRAMES[case]
    pictures = iter(Y4mReader(reading(cut(y4m("W8 H6 F25:1", 72)))))
    assert [next(pictures).pts for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    with pytest.raises(SourceError, match=message):
        next(pictures)


def test_a_stream_without_frames_is_still_y4m(tmp_path: Path) -> None:
    reader = Y4mReader(reading(b"YUV4MPEG2 W8 H6 F25:1\n"))
    assert list(reader) == []
    with writing(tmp_path / "out") as written:
        Y4mWriter(written.output, reader.header.line).close()
    assert written.data == b"YUV4MPEG2 W8 H6 F25:1\n"
