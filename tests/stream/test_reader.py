"""What is read from odd files, and what is said of files that cannot be read."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.stream import reader as reader_module
from dynstream.stream.errors import SourceError
from dynstream.stream.orientation import Orientation
from dynstream.stream.reader import VideoReader

from .media import Clip, make, picture, psnr
from .trouble import BAD


def test_frames_come_in_order_with_their_own_times(tmp_path: Path) -> None:
    pts = [0, 500, 1700, 1800, 4000, 4001, 9000]
    with VideoReader(make(tmp_path / "a.mp4", Clip(pts=pts, options={"crf": "1", "bf": "3"}))) as reader:
        frames = list(reader)
        assert [frame.pts for frame in frames] == pts
        assert {frame.time_base for frame in frames} == {reader.time_base} == {Fraction(1, 12800)}
        assert reader.frame_count_estimate == len(pts)
        assert reader.notes == ()
        for index, frame in enumerate(frames):
            assert psnr(frame.pixels, picture(index)) > 38


def test_a_colon_in_the_name_is_no_protocol(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", Clip(audio=None)).rename(tmp_path / "http:a.mp4")
    with VideoReader(path) as reader:
        assert len(list(reader)) == 25


@pytest.mark.parametrize(
    ("name", "clip", "note"),
    [
        ("a.mp4", Clip(pix_fmt="yuv420p10le"), "10-bit"),
        ("a.mkv", Clip(codec="ffv1", pix_fmt="yuva420p", options={}), "transparency"),
        ("a.mov", Clip(codec="png", pix_fmt="rgba", options={}), "transparency"),
        ("a.mp4", Clip(options={"x264-params": "tff=1"}), "interlaced"),
    ],
)
def test_what_is_lost_is_told(name: str, clip: Clip, note: str, tmp_path: Path) -> None:
    with VideoReader(make(tmp_path / name, clip)) as reader:
        assert len(list(reader)) == 25
        assert any(note in line for line in reader.notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_off_file_gives_what_can_be_decoded(suffix: str, tmp_path: Path) -> None:
    time_base = Fraction(1, 1000) if suffix == ".mkv" else Fraction(1, 12800)
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    clip = Clip(pts=[i * int(1 / 25 / time_base) for i in range(100)], time_base=time_base, container_options=options)
    path = make(tmp_path / f"a{suffix}", clip)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with VideoReader(path) as reader:
        count = len(list(reader))
        assert 20 < count < 100
        assert any("cut off or damaged" in note for note in reader.notes)


def test_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4")
    os.truncate(path, path.stat().st_size * 6 // 10)
    with pytest.raises(SourceError, match=r"a\.mp4 is not a video that FFmpeg can open.*cut off.*copy it again"):
        VideoReader(path)


def test_timestamps_that_do_not_grow_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=16, height=16, time_base=Fraction(1, 25))
        stream.codec_context.pix_fmt = "yuv420p"
        for index in range(4):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture(index, (16, 16)), "rgb24")):
                packet.pts = packet.dts = min(index, 2)
                container.mux(packet)
    with VideoReader(path) as reader:
        times = [frame.pts for frame in reader]
        assert len(times) == 4
        assert times == sorted(set(times))
        assert any("did not grow" in note for note in reader.notes)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_refused(case: str, tmp_path: Path) -> None:
    build, message = BAD[case]
    path = build(tmp_path / "in.mp4")
    with pytest.raises(SourceError, match=message) as caught:
        VideoReader(path)
    assert str(path) in str(caught.value)


def test_8k_is_read(tmp_path: Path) -> None:
    size = (7680, 4320)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, width=size[0], height=size[1])
        stream.codec_context.pix_fmt = "yuvj420p"
        container.mux([*stream.encode(av.VideoFrame(*size, "yuvj420p")), *stream.encode(None)])
    with VideoReader(path) as reader:
        assert [frame.size for frame in reader] == [size]


def test_more_pixels_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_PIXELS", 1000)
    with pytest.raises(SourceError, match=r"is 64x48, expected at most .* scale it down first"):
        VideoReader(make(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    "matrix", [b"", bytes(36), np.array([46341, 46341, 0, -46341, 46341, 0, 0, 0, 1], "i4").tobytes()]
)
def test_other_angles_are_not_guessed(matrix: bytes) -> None:
    assert Orientation.from_display_matrix(matrix) is None
