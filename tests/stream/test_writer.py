"""Nothing half-written under the asked name, whatever goes wrong, and a message that helps."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dynstream.stream import writer as writer_module
from dynstream.stream.atomic import AtomicFile
from dynstream.stream.errors import SinkError
from dynstream.stream.reader import VideoReader
from dynstream.stream.writer import VideoWriter

from .media import Clip, make
from .trouble import file_size_limit

BIG = Clip(size=(320, 240), options={"preset": "ultrafast"})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("in") / "a.mp4", BIG)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path


def transcode(source: Path, target: Path, **options: object) -> None:
    with VideoReader(source) as reader, VideoWriter(target, reader, **options) as writer:  # type: ignore[arg-type]
        for frame in reader:
            writer.write(frame)


def test_the_result_appears_only_at_the_end(source: Path, folder: Path) -> None:
    target = folder / "a.mp4"
    with VideoReader(source) as reader, VideoWriter(target, reader) as writer:
        for frame in reader:
            writer.write(frame)
        assert not target.exists()
    assert os.listdir(folder) == ["a.mp4"]
    assert (target.stat().st_mode & 0o777) == (source.stat().st_mode & 0o777)


def stopped(source: Path, target: Path, after: int, stop: Callable[[], object], **options: object) -> None:
    """Transcode, but call `stop` when `after` frames are written."""
    with VideoReader(source) as reader, VideoWriter(target, reader, **options) as writer:  # type: ignore[arg-type]
        for index, frame in enumerate(reader):
            if index == after:
                stop()
            writer.write(frame)
        stop()


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def fail() -> None:
    raise RuntimeError


@pytest.mark.parametrize(("stop", "error"), [(ctrl_c, KeyboardInterrupt), (fail, RuntimeError)])
@pytest.mark.parametrize("after", [0, 3, 25])
def test_ctrl_c_and_errors_leave_nothing(
    stop: Callable[[], None], error: type[BaseException], after: int, source: Path, folder: Path
) -> None:
    with pytest.raises(error):
        stopped(source, folder / "a.mp4", after, stop)
    assert os.listdir(folder) == []


def test_a_second_ctrl_c_leaves_nothing_either(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = VideoWriter._release

    def interrupted(writer: VideoWriter) -> None:
        release(writer)
        ctrl_c()

    monkeypatch.setattr(VideoWriter, "_release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped(source, folder / "a.mp4", 3, ctrl_c)
    assert os.listdir(folder) == []


def test_an_interrupted_run_keeps_the_older_result(source: Path, folder: Path) -> None:
    target = folder / "a.mp4"
    target.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        stopped(source, target, 3, ctrl_c, overwrite=True)
    assert target.read_bytes() == b"older"
    assert os.listdir(folder) == ["a.mp4"]


class _OnAFullDisk(AtomicFile):
    """Its temporary file is a link to the device that answers every write with ENOSPC."""

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        super().__init__(target, overwrite=overwrite)
        self.path.unlink()
        self.path.symlink_to("/dev/full")


def test_a_full_disk(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "AtomicFile", _OnAFullDisk)
    with pytest.raises(SinkError, match=r"the disk is full.*nothing of it was left.*free some space"):
        transcode(source, folder / "a.mp4")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("limit", [0, 2000, 40000])
def test_no_room_for_the_whole_file(limit: int, suffix: str, source: Path, folder: Path) -> None:
    with pytest.raises(SinkError, match="the disk is full"), file_size_limit(limit):
        transcode(source, folder / f"a{suffix}", crf=1)
    assert os.listdir(folder) == []


def test_no_frame_leaves_nothing(source: Path, folder: Path) -> None:
    with (
        pytest.raises(SinkError, match="no frame was written"),
        VideoReader(source) as reader,
        VideoWriter(folder / "a.mp4", reader),
    ):
        pass
    assert os.listdir(folder) == []


def test_an_output_that_exists_needs_overwrite(source: Path, folder: Path) -> None:
    target = folder / "a.mp4"
    target.write_bytes(b"older")
    with pytest.raises(SinkError, match=r"a\.mp4 exists; .*--overwrite"):
        transcode(source, target)
    assert target.read_bytes() == b"older"
    transcode(source, target, overwrite=True)
    assert os.listdir(folder) == ["a.mp4"]
    assert target.stat().st_size > 1000


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_never_the_output(overwrite: bool, source: Path, folder: Path) -> None:
    before = source.read_bytes()
    (folder / "link.mp4").symlink_to(source)
    for target in (source, folder / "link.mp4"):
        with pytest.raises(SinkError, match="is the input itself"):
            transcode(source, target, overwrite=overwrite)
    assert source.read_bytes() == before


def test_a_result_that_appeared_meanwhile_is_kept(source: Path, folder: Path) -> None:
    target = folder / "a.mp4"
    with pytest.raises(SinkError, match="exists"):
        stopped(source, target, 25, lambda: target.write_bytes(b"another"))
    assert target.read_bytes() == b"another"
    assert os.listdir(folder) == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no/such/a.mp4", {}, r"does not exist; make it first: mkdir -p"),
        (".", {}, "is a folder, expected a file name"),
        ("a.unknown", {}, r"no container known for the suffix '\.unknown'"),
        ("a", {}, "no container known for the suffix ''"),
        ("a.png", {}, "not a video container"),
        ("a.mp4", {"codec": "libx246"}, r"unknown video encoder 'libx246'.*libx264"),
        ("a.mp4", {"codec": "aac"}, "'aac' encodes audio, expected a video encoder"),
        ("a.webm", {}, "cannot write libx264 video.*webm.*try another"),
        ("a.mp4", {"preset": "warp"}, "cannot write libx264 video.*preset warp"),
        ("a.mp4", {"crf": -1}, "crf of zero or more, got -1"),
        ("a.mkv", {"codec": "ffv1", "crf": 3}, "ffv1 has no quality setting"),
        ("a.mp4", {"codec": "mpeg4", "preset": "fast"}, "mpeg4 has no presets"),
        ("a.mp4", {"pix_fmt": "yuv1234"}, "unknown pixel format 'yuv1234'"),
        ("a.mp4", {"pix_fmt": "rgb24"}, "libx264 does not take pixel format rgb24; it takes: yuv420p"),
    ],
)
def test_bad_targets_and_options(
    name: str, options: dict[str, object], message: str, source: Path, folder: Path
) -> None:
    with pytest.raises(SinkError, match=message):
        transcode(source, folder / name, **options)
    with VideoReader(source) as reader, pytest.raises(SinkError, match=message):
        VideoWriter(folder / name, reader, **options).check()  # type: ignore[arg-type]
    assert os.listdir(folder) == []


def test_a_check_leaves_nothing(source: Path, folder: Path) -> None:
    with VideoReader(source) as reader:
        writer = VideoWriter(folder / "a.mkv", reader)
        writer.check()
        assert os.listdir(folder) == []
        with writer:
            for frame in reader:
                writer.write(frame)
    assert len(writer.notes) == 1
    assert os.listdir(folder) == ["a.mkv"]


def test_an_odd_size_that_cannot_be_had_is_told(tmp_path: Path, folder: Path) -> None:
    source = make(tmp_path / "a.mp4", Clip(size=(65, 49), pix_fmt="yuv444p"))
    with pytest.raises(SinkError, match=r"cannot encode 65x49 as yuv420p.*--pix-fmt yuv444p"):
        transcode(source, folder / "a.mp4", pix_fmt="yuv420p")
    assert os.listdir(folder) == []


def test_frames_that_are_not_the_readers_are_refused(source: Path, folder: Path) -> None:
    with VideoReader(source) as reader, VideoWriter(folder / "a.mp4", reader) as writer:
        frame = next(iter(reader))
        writer.write(frame)
        with pytest.raises(ValueError, match="expected a pts above 0, got 0"):
            writer.write(frame)
        with pytest.raises(ValueError, match=r"expected a frame of \(320, 240\)"):
            writer.write(frame.with_pixels(frame.pixels[:100]))


def test_a_damaged_source_still_gives_a_whole_file(tmp_path: Path, folder: Path) -> None:
    clip = Clip(pts=range(0, 51200, 512), container_options={"movflags": "faststart"})
    source = make(tmp_path / "a.mp4", clip)
    os.truncate(source, source.stat().st_size * 6 // 10)
    transcode(source, folder / "a.mp4")
    with VideoReader(folder / "a.mp4") as reader:
        assert 20 < len(list(reader)) < 100
        assert reader.notes == ()
