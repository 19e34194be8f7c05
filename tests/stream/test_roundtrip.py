"""What goes through reader and writer unchanged comes out unchanged: times, sound, subtitles, tags, picture."""

from collections.abc import Callable
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream.reader import VideoReader
from dynstream.stream.writer import VideoWriter

from .media import Clip, make, picture, probe, psnr

MS = Fraction(1, 1000)


def through(source: Path, target: Path, **options: object) -> VideoWriter:
    with VideoReader(source) as reader, VideoWriter(target, reader, **options) as writer:  # type: ignore[arg-type]
        for frame in reader:
            writer.write(frame)
    return writer


CLIPS: dict[str, tuple[str, Clip]] = {
    "plain": ("a.mp4", Clip()),
    "uneven times": ("a.mp4", Clip(pts=[0, 500, 1700, 1800, 4000, 4001, 9000, 9700])),
    "starts late": ("a.mp4", Clip(pts=[3003 + 512 * i for i in range(20)], audio_delay=777)),
    "odd time base": ("a.mp4", Clip(time_base=Fraction(1001, 30000), pts=range(20), rate=30)),
    "mp4 with subtitles and chapters": ("a.mp4", Clip(subtitles="mov_text", chapters=3)),
    "mov": ("a.mov", Clip(chapters=2)),
    "mkv with everything": (
        "a.mkv",
        Clip(time_base=MS, pts=range(0, 2000, 40), subtitles="subrip", chapters=3, attachment=b"note"),
    ),
    "opus": ("a.mkv", Clip(time_base=MS, pts=[0, 40, 90, 120, 300], audio="libopus")),
    "transport stream": (
        "a.ts",
        Clip(time_base=Fraction(1, 90000), pts=[126000 + 3600 * i for i in range(20)], audio_delay=67200),
    ),
    "one frame": ("a.mp4", Clip(pts=[0])),
    "no sound": ("a.mp4", Clip(audio=None)),
    "interlaced": ("a.mp4", Clip(options={"x264-params": "tff=1"})),
}


@pytest.mark.parametrize("case", CLIPS)
def test_times_and_other_streams_are_equal(case: str, tmp_path: Path) -> None:
    name, clip = CLIPS[case]
    source, target = make(tmp_path / name, clip), tmp_path / f"out{Path(name).suffix}"
    writer = through(source, target)
    before, after = probe(source), probe(target)
    assert after.frame_times == before.frame_times
    assert len(after.frame_times) == len(clip.pts)
    assert after.packets == before.packets
    assert after.chapters == before.chapters
    assert after.attachments == before.attachments
    assert writer.left_out == ()
    assert writer.notes == ()


def test_time_base_is_kept(tmp_path: Path) -> None:
    options = {"video_track_timescale": "600"}
    clip = Clip(time_base=Fraction(1, 600), pts=[0, 20, 41, 77], container_options=options)
    target = tmp_path / "out.mp4"
    through(make(tmp_path / "a.mp4", clip), target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].time_base == Fraction(1, 600)
        assert [frame.pts for frame in container.decode(video=0)] == [0, 20, 41, 77]


@pytest.mark.parametrize(
    ("colour", "pix_fmt", "size"),
    [
        ((1, 1, 1, 1), "yuv420p", (64, 48)),
        ((1, 1, 1, 2), "yuv420p", (64, 48)),
        ((6, 6, 6, 1), "yuv420p", (64, 48)),
        ((5, 6, 5, 2), "yuv422p", (64, 48)),
        ((9, 16, 9, 1), "yuv444p", (64, 48)),
        ((2, 2, 2, 0), "yuv420p", (64, 48)),
        ((2, 2, 2, 0), "yuv444p", (65, 49)),
    ],
)
def test_colours_and_their_tags_survive(
    colour: tuple[int, int, int, int], pix_fmt: str, size: tuple[int, int], tmp_path: Path
) -> None:
    source = make(tmp_path / "a.mp4", Clip(colour=colour, pix_fmt=pix_fmt, size=size, pts=range(0, 5120, 512)))
    target = tmp_path / "out.mp4"
    # The preset matters: with its macroblock tree x264 encodes pictures as small as these differently each time.
    through(source, target, crf=1, preset="ultrafast")
    with VideoReader(source) as before, VideoReader(target) as after:
        assert after.tags == before.tags
        assert after.pix_fmt == before.pix_fmt
        assert after.size == size
        for index, (a, b) in enumerate(zip(before, after, strict=True)):
            # The frame is what was drawn, so the matrix and the range were understood; chroma is all that blurs.
            assert psnr(a.pixels, picture(index, size)) > 40
            assert psnr(a.pixels, b.pixels) > 45


def test_default_quality_looks_untouched(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(size=(320, 240), pts=range(0, 5120, 512)))
    target = tmp_path / "out.mp4"
    through(source, target)
    with VideoReader(source) as before, VideoReader(target) as after:
        assert min(psnr(a.pixels, b.pixels) for a, b in zip(before, after, strict=True)) > 42


TURNS: dict[tuple[int, bool], Callable[[np.ndarray], np.ndarray]] = {
    (90, False): lambda p: np.rot90(p, 1),
    (180, False): lambda p: np.rot90(p, 2),
    (-90, False): lambda p: np.rot90(p, -1),
    (0, True): lambda p: p[:, ::-1],
}


@pytest.mark.parametrize(("rotation", "mirrored"), TURNS)
def test_rotated_video_stays_upright(rotation: int, mirrored: bool, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(rotation=rotation, mirrored=mirrored, aspect=Fraction(4, 3)))
    target = tmp_path / "out.mp4"
    through(source, target)
    upright = TURNS[rotation, mirrored](picture(0))
    across = abs(rotation) == 90
    for path in (source, target):
        with VideoReader(path) as reader:
            assert reader.size == ((48, 64) if across else (64, 48))
            assert reader.sample_aspect_ratio == (Fraction(3, 4) if across else Fraction(4, 3))
            assert psnr(next(iter(reader)).pixels, upright) > 38


def test_metadata_is_carried_over(tmp_path: Path) -> None:
    clip = Clip(metadata={"title": "Föhn", "comment": "windy"}, stream_metadata={"language": "deu"})
    target = tmp_path / "out.mp4"
    through(make(tmp_path / "a.mp4", clip), target)
    metadata = probe(target).metadata
    assert (metadata["title"], metadata["comment"]) == ("Föhn", "windy")
    with VideoReader(target) as reader:
        assert reader.stream_metadata["language"] == "deu"


def test_unusual_metadata_is_carried_over(tmp_path: Path) -> None:
    clip = Clip(metadata={"com.example.device": "lens 3"}, container_options={"movflags": "use_metadata_tags"})
    target = tmp_path / "out.mp4"
    through(make(tmp_path / "a.mp4", clip), target)
    assert probe(target).metadata["com.example.device"] == "lens 3"


def test_what_the_container_cannot_hold_is_listed(tmp_path: Path) -> None:
    clip = Clip(time_base=MS, pts=range(0, 2000, 40), subtitles="subrip", attachment=b"note")
    source, target = make(tmp_path / "a.mkv", clip), tmp_path / "out.mp4"
    writer = through(source, target)
    assert [entry.what for entry in writer.left_out] == ["stream 2 (subtitle, srt)", "stream 3 (attachment, note.txt)"]
    assert all("mp4 container cannot hold it" in entry.why for entry in writer.left_out)
    assert probe(target).frame_times == probe(source).frame_times


def test_a_timecode_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mov", tmp_path / "out.mov"
    make(source, Clip(stream_metadata={"timecode": "01:00:00:00"}))
    assert through(source, target).left_out == ()
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "data"]
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"


def test_a_second_picture_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "out.mkv"
    plain = make(tmp_path / "plain.mkv", Clip(time_base=MS, pts=range(0, 400, 40), audio=None))
    with av.open(str(plain)) as opened, av.open(str(source), "w") as container:
        copies = [container.add_stream_from_template(opened.streams.video[0], opaque=True) for _ in range(2)]
        for packet in opened.demux():
            for copy in copies if packet.dts is not None else []:
                packet.stream = copy
                container.mux_one(packet)
    with VideoReader(source) as reader:
        assert any("2 video streams" in note for note in reader.notes)
    assert through(source, target).left_out == ()
    with av.open(str(source)) as before, av.open(str(target)) as after:
        seconds = [[bytes(p) for p in c.demux(c.streams.video[1])] for c in (before, after)]
    assert seconds[0] == seconds[1]


def test_chapters_that_cannot_be_held_are_listed(tmp_path: Path) -> None:
    writer = through(make(tmp_path / "a.mp4", Clip(chapters=2)), tmp_path / "out.ts")
    assert [str(entry) for entry in writer.left_out] == ["2 chapters: the mpegts container cannot hold them"]


def test_rounded_times_are_told(tmp_path: Path) -> None:
    writer = through(make(tmp_path / "a.mp4", Clip(audio=None)), tmp_path / "out.mkv")
    assert len(writer.notes) == 1
    assert "1/1000" in writer.notes[0]


def longest_run(path: Path) -> int:
    """How many packets of one stream lie one after the other in a file, at most."""
    with av.open(str(path)) as container:
        stored = sorted((packet.pos, packet.stream.type) for packet in container.demux() if packet.dts is not None)
    return max(len(list(group)) for _, group in groupby(kind for _, kind in stored))


def test_sound_that_lies_far_from_its_pictures_is_put_among_them(tmp_path: Path) -> None:
    plain, source, target = make(tmp_path / "plain.mp4"), tmp_path / "a.mp4", tmp_path / "out.mp4"
    with (
        av.open(str(plain)) as first,
        av.open(str(plain)) as second,
        av.open(str(source), "w", container_options={"max_interleave_delta": "1"}) as container,
    ):
        copies = [container.add_stream_from_template(s, opaque=True) for s in first.streams]
        for packet in [*first.demux(first.streams.video), *second.demux(second.streams.audio)]:
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                container.mux_one(packet)
    through(source, target)
    assert longest_run(source) > 40
    assert longest_run(target) < 10
    assert probe(target).packets == probe(source).packets


@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt"),
    [("libx265", ".mp4", "yuv420p"), ("libvpx-vp9", ".webm", "yuv420p"), ("ffv1", ".mkv", "yuv420p"),
     ("mpeg4", ".avi", "yuv420p"), ("mjpeg", ".mov", "yuvj420p")],
)  # fmt: skip
def test_other_codecs(codec: str, suffix: str, pix_fmt: str, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(pts=range(0, 5120, 512), audio=None))
    target = tmp_path / f"out{suffix}"
    through(source, target, codec=codec)
    with VideoReader(source) as before, VideoReader(target) as after:
        assert after.pix_fmt == pix_fmt
        assert min(psnr(a.pixels, b.pixels) for a, b in zip(before, after, strict=True)) > 38


def test_full_range_is_not_squashed_where_the_codec_cannot_say_it(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(colour=(1, 1, 1, 2), pts=range(0, 5120, 512), audio=None))
    target = tmp_path / "out.mkv"
    through(source, target, codec="mpeg4")
    with VideoReader(source) as before, VideoReader(target) as after:
        assert psnr(next(iter(before)).pixels, next(iter(after)).pixels) > 35


def test_ten_bits_stay_where_asked_for(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(pix_fmt="yuv420p10le", audio=None))
    through(source, tmp_path / "eight.mp4")
    through(source, tmp_path / "ten.mp4", pix_fmt="source")
    for name, pix_fmt in (("eight.mp4", "yuv420p"), ("ten.mp4", "yuv420p10le")):
        with VideoReader(tmp_path / name) as reader:
            assert reader.pix_fmt == pix_fmt
            assert psnr(next(iter(reader)).pixels, picture(0)) > 38


def test_sample_clips_pass_with_all_times_and_sound(shared_data: Path, tmp_path: Path) -> None:
    source, target = shared_data / "clips" / "lp_d18.mp4", tmp_path / "out.mp4"
    through(source, target, preset="ultrafast")
    before, after = probe(source), probe(target)
    assert after.frame_times == before.frame_times
    assert after.packets == before.packets
