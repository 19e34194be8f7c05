"""Every kind of stream through the same contract: told by its beginning, passed on whole, at once, and ended well."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream.colour import FULL, ColourTags
from dynstream.stream.errors import SourceError
from dynstream.stream.open_pipe import PipeOptions, open_pipe
from dynstream.stream.picture import Aside, ColourChoice, Picture, PictureSink, PictureSource
from dynstream.stream.pipe import ReaderGone

from .media import Clip, make, probe
from .piping import Trickle, closed_pipe, reading, writing, y4m

SIZE = (64, 48)
RAW = PipeOptions(size=SIZE, pix_fmt="yuv420p", rate=Fraction(25))
SAID = PipeOptions()
UNEVEN = (40, 80, 87, 200, 1000, 1001)


def container(path: Path, kind: str, *, pix_fmt: str = "yuv420p", codec: str = "rawvideo", sound: bool = True) -> bytes:
    """Pictures at uneven times, with a tone."""
    clip = Clip(
        SIZE, UNEVEN, Fraction(1, 1000), codec=codec, pix_fmt=pix_fmt, options={}, audio="flac" if sound else None,
        colour=(2, 2, 2, 1),
    )  # fmt: skip
    return make(path.with_suffix({"nut": ".nut", "matroska": ".mkv"}[kind]), clip).read_bytes()


KINDS: dict[str, tuple[Callable[[Path], bytes], PipeOptions]] = {
    "y4m": (lambda _: y4m("W64 H48 F25:1 Ip C420jpeg", 4608), SAID),
    "y4m mono 10": (lambda _: y4m("W64 H48 F25:1 Cmono10", 6144), SAID),
    "raw": (lambda _: np.random.default_rng(0).bytes(3 * 4608), RAW),
    "nut": (lambda path: container(path, "nut"), SAID),
    "nut 10 bits": (lambda path: container(path, "nut", pix_fmt="yuv422p10le"), SAID),
    "nut rgb": (lambda path: container(path, "nut", pix_fmt="rgb24"), SAID),
    "matroska": (lambda path: container(path, "matroska"), SAID),
    "matroska 10 bits": (lambda path: container(path, "matroska", pix_fmt="yuv420p10le", codec="ffv1"), SAID),
    "matroska h264": (lambda path: container(path, "matroska", codec="libx264"), SAID),
}


def through(data: bytes, options: PipeOptions, target: Path) -> bytes:
    with writing(target) as written:
        copy(*open_pipe(reading(data), written.output, options))
    return written.data


def copy(source: PictureSource, sink: PictureSink) -> None:
    for item in source:
        sink.write(item)
    sink.close()


def count(source: PictureSource, into: list[Picture]) -> None:
    into += (item for item in source if isinstance(item, Picture))


def pictures(path: Path) -> list[tuple[Fraction, str, bytes]]:
    with av.open(str(path)) as opened:
        return [(f.pts * f.time_base, f.format.name, f.to_ndarray().tobytes()) for f in opened.decode(video=0)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(kind: str, tmp_path: Path) -> None:
    build, options = KINDS[kind]
    data = build(tmp_path / "in")
    target = tmp_path / "out"
    written = through(data, options, target)
    if kind.startswith(("y4m", "raw")):
        assert written == data
        return
    source = next(path for path in tmp_path.iterdir() if path.stem == "in")
    assert [float(time) for time, _, _ in pictures(target)] == [pts / 1000 for pts in UNEVEN]
    assert pictures(target) == pictures(source)
    (before,), (after,) = (probe(path).packets.values() for path in (source, target))
    # A packet's duration has no place in NUT.
    assert [(pts, dts, digest) for pts, dts, _, digest in after] == [(p, d, digest) for p, d, _, digest in before]


@pytest.mark.parametrize("kind", ["nut", "matroska", "nut 10 bits", "matroska 10 bits"])
def test_again_is_the_same(kind: str, tmp_path: Path) -> None:
    """What this wrote can be read again: two of them in one chain."""
    once = through(KINDS[kind][0](tmp_path / "in"), SAID, tmp_path / "once")
    through(once, SAID, tmp_path / "twice")
    assert pictures(tmp_path / "twice") == pictures(tmp_path / "once")


@pytest.mark.parametrize("kind", ["y4m", "raw", "nut"])
def test_a_picture_is_passed_on_before_the_next_arrives(kind: str, tmp_path: Path) -> None:
    build, options = KINDS[kind]
    data = container(tmp_path / "in", kind, sound=False) if kind == "nut" else build(tmp_path / "in")
    ends = []
    with writing(tmp_path / "first") as written:
        source, sink = open_pipe(reading(data), written.output, options)
        for item in source:
            sink.write(item)
            ends.append(len(written.data))
        sink.close()
    trickle = Trickle(written.data)
    trickle.there = ends[0]
    with writing(tmp_path / "second") as again:
        source, sink = open_pipe(io.BufferedReader(trickle, 4096), again.output, options)
        arriving = iter(source)
        for number, end in enumerate(ends):
            trickle.there = end
            item = next(arriving)
            assert isinstance(item, Picture), number
            sink.write(item)
            assert len(again.data) == end
        trickle.there = len(trickle.data)
        assert next(arriving, None) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_has_gone(kind: str, tmp_path: Path) -> None:
    build, options = KINDS[kind]
    data = build(tmp_path / "in")
    with closed_pipe() as output:
        assert output.reader_gone()
        source, sink = open_pipe(reading(data), output, options)
        with pytest.raises(ReaderGone):
            copy(source, sink)


@pytest.mark.parametrize("kind", ["y4m", "y4m mono 10", "raw", "nut", "nut 10 bits"])
def test_a_stream_that_is_cut_off(kind: str, tmp_path: Path) -> None:
    build, options = KINDS[kind]
    data = container(tmp_path / "in", "nut", sound=False) if kind.startswith("nut") else build(tmp_path / "in")
    got: list[Picture] = []
    with writing(tmp_path / "out") as written:
        source, _ = open_pipe(reading(data[: len(data) * 55 // 100]), written.output, options)
        with pytest.raises(SourceError, match="cut off"):
            count(source, got)
    assert len(got) == (3 if kind.startswith("nut") else 1)


def test_matroska_that_is_cut_off_ends_there(tmp_path: Path) -> None:
    """Nothing in Matroska tells an end from a cut; the pictures that are whole come out."""
    data = container(tmp_path / "in", "matroska", sound=False)
    got: list[Picture] = []
    with writing(tmp_path / "out") as written:
        count(open_pipe(reading(data[: len(data) * 55 // 100]), written.output, SAID)[0], got)
    assert [picture.pts for picture in got] == [40, 80, 87]


def test_a_size_that_changes_midway(tmp_path: Path) -> None:
    first, second = (make(tmp_path / f"{w}.ts", Clip((w, 48), range(0, 9000, 3600), Fraction(1, 90000), audio=None))
                     for w in (64, 96))  # fmt: skip
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(_elementary(path) for path in (first, second)))
    changing = tmp_path / "changing.mkv"
    with av.open(str(joined), format="h264") as source, av.open(str(changing), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.time_base = Fraction(1, 1000)
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = 40 * number
            target.mux(packet)
    with writing(tmp_path / "out") as written:
        opened, _ = open_pipe(reading(changing.read_bytes()), written.output, SAID)
        got: list[Picture] = []
        message = "frame 4 is 96x48 yuv420p, .* are 64x48 yuv420p: .*scale=64:48,format=yuv420p -f matroska"
        with pytest.raises(SourceError, match=message):
            count(opened, got)
    assert len(got) == 3


def _elementary(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(video=0) if packet.size)


def test_times_that_do_not_grow_are_told(tmp_path: Path) -> None:
    data = container(tmp_path / "in", "nut", sound=False)
    with writing(tmp_path / "out") as written:
        source, _ = open_pipe(reading(data), written.output, SAID)
        first, *_ = [item for item in source if isinstance(item, Picture)]
        assert source.notes == ()
        assert first.decoded is not None
        repeated = source._decoder._growing(first.decoded, first.pts)  # type: ignore[attr-defined]
    assert repeated > 1001
    assert source.notes == ("timestamps that did not grow were moved to the next possible one",)


def test_sound_lies_between_the_pictures(tmp_path: Path) -> None:
    with writing(tmp_path / "out") as written:
        source, _ = open_pipe(reading(container(tmp_path / "in", "nut")), written.output, SAID)
        kinds = "".join("s" if isinstance(item, Aside) else "p" for item in source)
    assert kinds.count("p") == len(UNEVEN)
    assert "sp" in kinds
    assert "ps" in kinds


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    clip = Clip(
        SIZE, UNEVEN, Fraction(1, 1000), audio=None, subtitles="subrip", aspect=Fraction(4, 3), colour=(1, 1, 1, 2)
    )
    data = make(tmp_path / "in.mkv", clip).read_bytes()
    with writing(tmp_path / "out") as written:
        source, _ = open_pipe(reading(data), written.output, SAID)
        left, colours, aspect = source.notes
    assert left == "1 streams that are neither this video nor sound are left out"
    assert "ffmpeg -colorspace bt709 -color_range pc -i -" in colours
    assert "pixels are not square (4/3)" in aspect
    assert source.format.tags == ColourTags(1, 1, 1, FULL)


BAD = {
    "empty": (b"", SAID, r"standard input is empty \(0 bytes\)"),
    "text": (b"hello\n" * 100, SAID, r"begins with b'hello\\nhello.*expected y4m, NUT or Matroska"),
    "mp4": (b"\0\0\0 ftypisom", SAID, "expected y4m, NUT or Matroska .*--size, --pix-fmt and --rate"),
    "nut alone": (b"nut/multimedia container\0", SAID, "the nut stream"),
    "matroska alone": (b"\x1a\x45\xdf\xa3" + bytes(100), SAID, "the matroska stream"),
    "raw and short": (bytes(100), RAW, r"raw frame 1 is cut off: 100 of 4608 bytes; .* 64x48 yuv420p"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_video(case: str, tmp_path: Path) -> None:
    data, options, message = BAD[case]
    with writing(tmp_path / "out") as written, pytest.raises(SourceError, match=message):
        list(open_pipe(reading(data), written.output, options)[0])
    assert written.data == b""


def test_no_picture_and_only_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as target:
        stream = target.add_stream("flac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        target.mux([*stream.encode(frame), *stream.encode(None)])
    with writing(tmp_path / "out") as written, pytest.raises(SourceError, match="has no video; leave out -vn"):
        open_pipe(reading((tmp_path / "sound.mkv").read_bytes()), written.output, SAID)


@pytest.mark.parametrize(
    "options",
    [{"size": SIZE}, {"pix_fmt": "gray"}, {"size": SIZE, "pix_fmt": "gray"}],
)
def test_raw_video_needs_everything(options: dict[str, object]) -> None:
    with pytest.raises(SourceError, match="needs all three of --size, --pix-fmt and --rate"):
        PipeOptions(**options)  # type: ignore[arg-type]


def test_colours_have_names() -> None:
    with pytest.raises(SourceError, match=r"unknown colour matrix 'rec709'; expected one of bt601, bt709"):
        ColourChoice(matrix="rec709")
    with pytest.raises(SourceError, match=r"unknown colour range 'tv'; expected one of limited, full"):
        ColourChoice(signal_range="tv")
