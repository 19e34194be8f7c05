"""Pipes through the editor, with fakes for every network: what is edited, what is left, and how a run ends."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dynstream.pipelines.common.outcome import EDITED
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.composite_state import CompositeState
from dynstream.pipelines.editor.face_editor import AnalysisState, Edited, FaceEditor, FrameAnalysis
from dynstream.pipelines.editor.frame_stream import edit_frames
from dynstream.pipelines.run.filter import WAITING, Edit, FilterReport, filter_pictures
from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.frame import Frame, Pixels
from dynstream.stream.layout import find_layout
from dynstream.stream.open_pipe import PipeOptions, open_pipe
from dynstream.stream.picture import Aside, Picture, PictureFormat, packed
from dynstream.stream.pipe import PipeWriter, ReaderGone
from dynstream.stream.y4m import Y4mReader

from ...stream.media import psnr
from ...stream.piping import closed_pipe, reading, writing
from ..fakes import SIZE, editor, scene, write_clip

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="the ffmpeg program is not installed")
FACE = (slice(50, 80), slice(85, 116))
AS_SAID = PipeOptions()
MOVING = [scene((96 + i, 60)) for i in range(5)]


def run(
    data: bytes, edit: Edit | None, target: Path, options: PipeOptions = AS_SAID, stages: Stages | None = None
) -> FilterReport:
    with writing(target) as written:
        source, sink = open_pipe(reading(data), written.output, options)
        return filter_pictures(source, sink, edit, stages=stages or Stages())


def ffmpeg(*arguments: object, data: bytes | None = None) -> bytes:
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def edited_by(editor: Any, stages: Stages | None = None) -> Edit:
    return lambda frames: edit_frames(frames, editor, stages or Stages())


class Recorder:
    """An editor that keeps what it was given and what it made of it."""

    def __init__(self, of: FaceEditor) -> None:
        self.of = of
        self.given: list[Frame] = []
        self.made: list[Frame] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        self.given.append(frame)
        return self.of.analyse(state, frame, stages)

    def composite(self, *arguments: Any) -> tuple[dict[int, CompositeState], Edited]:
        state, edited = self.of.composite(*arguments)
        self.made.append(edited.frame)
        return state, edited


def y4m_of(pictures: Sequence[Pixels], pix_fmt: str = "yuv420p", header: str = "C420jpeg") -> bytes:
    """A y4m stream of RGB pictures."""
    height, width = pictures[0].shape[:2]
    out = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 {header}\n".encode()
    for pixels in pictures:
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt, dst_colorspace=5)
        out += b"FRAME\n" + packed(frame, find_layout(pix_fmt))
    return out


def decoded(data: bytes) -> list[Picture]:
    return [item for item in Y4mReader(reading(data)) if isinstance(item, Picture)]


def samples_of(path: Path) -> list[bytearray]:
    with av.open(str(path)) as container:
        return [packed(frame, find_layout(frame.format.name)) for frame in container.decode(video=0)]


CLIPS: dict[str, dict[str, Any]] = {
    "h264": {"pix_fmt": "yuv420p"},
    "ffv1": {"pix_fmt": "yuv420p", "codec": "ffv1", "options": {}},
    "422": {"pix_fmt": "yuv422p"},
    "444": {"pix_fmt": "yuv444p"},
    "grey": {"pix_fmt": "gray", "codec": "ffv1", "options": {}},
    "full range": {"pix_fmt": "yuvj420p", "codec": "mjpeg", "options": {}},
    "10 bits": {"pix_fmt": "yuv420p10le"},
    "10 bits 444": {"pix_fmt": "yuv444p10le"},
    "interlaced": {"pix_fmt": "yuv420p", "options": {"crf": "1", "preset": "ultrafast", "x264-params": "tff=1"}},
}


@needs_ffmpeg
@pytest.mark.parametrize("case", CLIPS)
def test_a_file_and_a_pipe_are_edited_the_same(case: str, tmp_path: Path) -> None:
    """The editor sees the same pixels, and the same samples come out."""
    clip = write_clip(tmp_path / "in.mkv", MOVING, **CLIPS[case])
    by_file, by_pipe = Recorder(editor("smile=1")), Recorder(editor("smile=1"))
    video = VideoOptions(codec="ffv1", pix_fmt="source")
    transcode(clip, tmp_path / "out.mkv", by_file, video=video)  # type: ignore[arg-type]
    data = ffmpeg("-i", clip, "-strict", "-1", "-f", "yuv4mpegpipe", "-")
    report = run(data, edited_by(by_pipe), tmp_path / "out.y4m")  # type: ignore[arg-type]
    assert report.frames == len(MOVING)
    assert len(by_file.given) == len(by_pipe.given) == len(MOVING)
    for mine, theirs in zip(by_pipe.given, by_file.given, strict=True):
        assert np.array_equal(mine.pixels, theirs.pixels)
        assert mine.seconds == pytest.approx(theirs.seconds)
    for mine, theirs in zip(by_pipe.made, by_file.made, strict=True):
        assert np.array_equal(mine.pixels, theirs.pixels)
    edited = [picture.data for picture in decoded((tmp_path / "out.y4m").read_bytes())]
    assert samples_of(tmp_path / "out.mkv") == edited
    assert (samples_of(clip) == edited) == (case == "grey")  # without yellow there is no face


@needs_ffmpeg
def test_a_container_shows_the_editor_the_same_pixels(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", MOVING, [0, 500, 1100, 5000, 5512], pix_fmt="yuv420p")
    by_file, by_pipe = Recorder(editor("smile=1")), Recorder(editor("smile=1"))
    transcode(clip, tmp_path / "out.mkv", by_file, video=VideoOptions(codec="ffv1"))  # type: ignore[arg-type]
    run(clip.read_bytes(), edited_by(by_pipe), tmp_path / "out.nut")  # type: ignore[arg-type]
    assert [frame.seconds for frame in by_pipe.made] == [frame.seconds for frame in by_file.made]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(by_pipe.made, by_file.made, strict=True))
    with av.open(str(tmp_path / "out.nut")) as container:
        assert [float(f.pts * f.time_base) for f in container.decode(video=0)] == [f.seconds for f in by_pipe.made]


@needs_ffmpeg
@pytest.mark.parametrize("case", ["h264", "422", "444", "full range", "10 bits", "interlaced"])
def test_only_what_was_edited_changes_and_looks_like_it(case: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", MOVING, **CLIPS[case])
    data = ffmpeg("-i", clip, "-strict", "-1", "-f", "yuv4mpegpipe", "-")
    watched = Recorder(editor("smile=1"))
    report = run(data, edited_by(watched), tmp_path / "out.y4m")  # type: ignore[arg-type]
    assert report.frames == len(MOVING)
    after = (tmp_path / "out.y4m").read_bytes()
    assert after.split(b"\n")[0] == data.split(b"\n")[0]
    format = Y4mReader(reading(data)).format
    again = Recorder(editor("smile=0"))
    run(after, edited_by(again), tmp_path / "again.y4m")  # type: ignore[arg-type]
    for old, new, given, made, shown in zip(
        decoded(data), decoded(after), watched.given, watched.made, again.given, strict=True
    ):
        changed = (given.pixels != made.pixels).any(axis=2)
        assert changed[FACE].mean() > 0.9
        luma_before, luma_after = (format.layout.samples(p.data, SIZE)["y"] for p in (old, new))
        assert np.array_equal(luma_before[~changed], luma_after[~changed])
        assert (luma_before != luma_after)[FACE].mean() > 0.8
        assert psnr(shown.pixels[FACE], made.pixels[FACE]) > 40


@pytest.mark.parametrize(
    ("pix_fmt", "header"),
    [("yuv420p", "C420jpeg"), ("yuv420p", "C420mpeg2"), ("yuv420p", "C420paldv"), ("yuv420p", "C420"),
     ("yuv422p", "C422"), ("yuv444p", "C444"), ("gray", "Cmono"), ("yuv420p10le", "C420p10"),
     ("yuv422p10le", "C422p10"), ("yuv444p10le", "C444p10"), ("gray10le", "Cmono10"),
     ("yuv444p", "C444 XCOLORRANGE=FULL XMORE=1")],
)  # fmt: skip
def test_an_edit_that_is_off_changes_no_byte(pix_fmt: str, header: str, tmp_path: Path) -> None:
    data = y4m_of([*MOVING, scene(None)], pix_fmt, header)
    report = run(data, edited_by(editor("smile=0")), tmp_path / "off.y4m")
    assert (tmp_path / "off.y4m").read_bytes() == data
    assert report.frames == 6
    run(data, None, tmp_path / "passed.y4m")
    assert (tmp_path / "passed.y4m").read_bytes() == data


def test_frames_without_a_face_change_no_byte(tmp_path: Path) -> None:
    data = y4m_of([scene()] * 6 + [scene(None)] * 20 + [scene()] * 3)
    stages = Stages()
    report = run(data, edited_by(editor("smile=1"), stages), tmp_path / "out.y4m", stages=stages)
    before, after = decoded(data), decoded((tmp_path / "out.y4m").read_bytes())
    same = [old.data == new.data for old, new in zip(before, after, strict=True)]
    assert not any(same[:6])
    assert all(same[16:26])
    assert report.outcomes["edited"] == 6
    assert sum(report.outcomes.values()) == report.frames == 29
    assert {"read", "to rgb", "track", "synthesize", "composite", "repaint", "write"} <= set(report.stages)
    assert report.as_dict()["reader_gone"] is False


def test_raw_video_needs_only_to_be_said(tmp_path: Path) -> None:
    options = PipeOptions(size=SIZE, pix_fmt="rgb24", rate=Fraction(25))
    data = b"".join(picture.tobytes() for picture in MOVING)
    watched = Recorder(editor("smile=1"))
    run(data, edited_by(watched), tmp_path / "out", options)  # type: ignore[arg-type]
    assert (tmp_path / "out").read_bytes() == b"".join(frame.pixels.tobytes() for frame in watched.made)
    assert [frame.seconds for frame in watched.given] == [0, 0.04, 0.08, 0.12, 0.16]


@needs_ffmpeg
def test_between_two_ffmpegs(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", [scene((96 + i % 8, 60)) for i in range(15)], pix_fmt="yuv420p")
    first = ["ffmpeg", "-v", "error", "-i", str(clip), "-f", "yuv4mpegpipe", "-"]
    last = ["ffmpeg", "-v", "error", "-i", "-", "-c:v", "ffv1", str(tmp_path / "out.mkv")]
    with (
        subprocess.Popen(first, stdout=subprocess.PIPE) as decode,
        subprocess.Popen(last, stdin=subprocess.PIPE) as encode,
    ):
        assert decode.stdout is not None
        assert encode.stdin is not None
        source, sink = open_pipe(decode.stdout, PipeWriter(encode.stdin.fileno()), PipeOptions())  # type: ignore[arg-type]
        report = filter_pictures(source, sink, edited_by(editor("smile=1")), stages=Stages())
    assert (decode.returncode, encode.returncode, report.frames) == (0, 0, 15)
    with av.open(str(tmp_path / "out.mkv")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 15
    assert all(picture[FACE].mean() > scene()[FACE].mean() + 5 for picture in shown)


def one_by_one(step: Callable[[Frame], Edited]) -> Edit:
    def edit(frames: Iterable[Frame]) -> Generator[Edited, None, None]:
        for frame in frames:
            yield step(frame)

    return edit


def failing_at(number: int, error: BaseException) -> Edit:
    def step(frame: Frame) -> Edited:
        if frame.pts == number:
            raise error
        return Edited(frame, EDITED)

    return one_by_one(step)


@pytest.mark.parametrize("error", [RuntimeError("bug"), MemoryError()])
def test_a_failure_in_the_editor_comes_after_the_frames_before_it(error: Exception, tmp_path: Path) -> None:
    data = y4m_of(MOVING)
    with pytest.raises(type(error)):
        run(data, failing_at(3, error), tmp_path / "out.y4m")
    assert decoded((tmp_path / "out.y4m").read_bytes())[-1].pts == 2


def test_an_interruption_ends_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(y4m_of(MOVING), failing_at(2, KeyboardInterrupt()), tmp_path / "out.y4m")
    assert threading.active_count() == 1 or not [t for t in threading.enumerate() if t.name == "filter-write"]


@pytest.mark.parametrize("edited", [False, True])
def test_a_frame_that_is_cut_off_comes_after_the_whole_ones(edited: bool, tmp_path: Path) -> None:
    data = y4m_of(MOVING)
    edit = failing_at(99, RuntimeError()) if edited else None
    with pytest.raises(SourceError, match="y4m frame 5 is cut off: 47990 of 48000 bytes; the 4 frames before"):
        run(data[:-10], edit, tmp_path / "out.y4m")
    assert (tmp_path / "out.y4m").read_bytes() == data[: -48000 - len(b"FRAME\n")]


def test_a_reader_that_has_gone_ends_it_well() -> None:
    stages = Stages()
    with closed_pipe() as output:
        source, sink = open_pipe(reading(y4m_of(MOVING * 10)), output, PipeOptions())
        report = filter_pictures(source, sink, None, stages=stages, reader_gone=output.reader_gone)
    assert report.reader_gone
    assert report.frames == 0
    assert stages.summary()["read"]["count"] <= 2 * WAITING + 4


class Source:
    """Grey pictures, as many as are asked for; `before` is called with the number of each."""

    notes: tuple[str, ...] = ()

    def __init__(self, count: int, before: Callable[[int], None] = lambda _number: None) -> None:
        self.count, self.before = count, before
        self.format: PictureFormat = Y4mReader(reading(b"YUV4MPEG2 W8 H8 F25:1 Cmono\n")).format

    def __iter__(self) -> Iterator[Picture | Aside]:
        for number in range(self.count):
            self.before(number)
            yield Picture(bytearray(64), number)


class Sink:
    """Keeps the numbers of its pictures; `before` is called with each of them."""

    def __init__(self, before: Callable[[int], None] = lambda _number: None) -> None:
        self.before = before
        self.numbers: list[int] = []
        self.closed = False

    def write(self, item: Picture | Aside) -> None:
        assert isinstance(item, Picture)
        self.before(item.pts)
        self.numbers.append(item.pts)

    def close(self) -> None:
        self.closed = True


def test_a_slow_reader_holds_everything_up() -> None:
    """However long: no more pictures are in memory than fit, none is lost, and their order stays."""
    ahead, most = threading.Semaphore(0), 0
    sink = Sink()

    def read(number: int) -> None:
        nonlocal most
        most = max(most, number + 1 - len(sink.numbers))
        ahead.release()

    def write(number: int) -> None:
        if number < 190:  # not before the others are as far ahead as they get
            ahead.acquire()
        if number == 0:
            for _ in range(2 * WAITING):
                ahead.acquire()

    sink.before = write
    report = filter_pictures(Source(200, read), sink, failing_at(999, RuntimeError()), stages=Stages())
    assert sink.numbers == list(range(200))
    assert report.frames == 200
    assert sink.closed
    assert 2 * WAITING + 1 <= most <= 2 * WAITING + 4


def test_reading_and_writing_go_on_while_a_frame_is_edited() -> None:
    read, written = threading.Event(), threading.Event()

    def step(frame: Frame) -> Edited:
        if frame.pts == 1:  # ends only if the next is read and the last is written meanwhile
            assert read.wait(60)
            assert written.wait(60)
        return Edited(frame, EDITED)

    source = Source(4, lambda number: read.set() if number == 2 else None)
    filter_pictures(
        source, Sink(lambda number: written.set() if number == 0 else None), one_by_one(step), stages=Stages()
    )


def test_a_reader_that_goes_while_no_frame_comes() -> None:
    """Nothing is written that would tell; it is looked for."""
    never = threading.Event()
    report = filter_pictures(
        Source(3, lambda number: never.wait(60) and None if number == 1 else None), Sink(), None,
        stages=Stages(), reader_gone=lambda: True,
    )  # fmt: skip
    assert report.reader_gone
    assert report.frames == 1
    never.set()


def test_a_disk_that_is_full_ends_it() -> None:
    def write(number: int) -> None:
        if number == 2:
            raise SinkError("standard output cannot be written: no space left")

    sink = Sink(write)
    with pytest.raises(SinkError, match="no space left"):
        filter_pictures(Source(100), sink, None, stages=Stages())
    assert sink.numbers == [0, 1]
    assert not sink.closed


def test_progress_counts_what_is_written() -> None:
    done: list[int] = []
    filter_pictures(Source(5), Sink(), None, stages=Stages(), progress=done.append)
    assert done == [1, 2, 3, 4, 5]


def test_gone_while_writing() -> None:
    def write(number: int) -> None:
        if number == 2:
            raise ReaderGone

    report = filter_pictures(Source(10_000), Sink(write), None, stages=Stages())
    assert (report.reader_gone, report.frames) == (True, 2)
