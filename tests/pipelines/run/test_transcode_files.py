"""Whole files through the editor, with fakes for every network: frames and times stay, nothing is left half-written."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dynstream.pipelines.common.errors import OptionError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import AnalysisState, FaceEditor, FrameAnalysis
from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.pipelines.run.transcode_job import TranscodeJob
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.frame import Frame, Pixels
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import packed
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, make, probe, psnr
from ..fakes import editor, edits, scene, ticking, write_clip

FINE = VideoOptions(crf=1, preset="ultrafast", pix_fmt="yuv444p")


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path


def clip(tmp_path: Path, pictures: Sequence[Pixels], pts: Sequence[int] | None = None) -> Path:
    return write_clip(tmp_path / "in.mp4", pictures, pts)


def test_every_frame_at_its_time_with_the_face_edited(tmp_path: Path, folder: Path) -> None:
    pts = [0, 500, 1100, 1101, 3000, 3512, 9000, 9512]
    source = clip(tmp_path, [scene((96 + i, 60)) for i in range(8)], pts)
    done: list[int] = []
    report = transcode(source, folder / "out.mp4", editor("smile=1"), video=FINE, progress=done.append, clock=ticking())
    before, after = read(source), read(folder / "out.mp4")
    assert [(f.pts, f.time_base) for f in after] == [(f.pts, f.time_base) for f in before]
    assert report.frames == len(before) == 8
    assert done == list(range(1, 9))
    assert report.outcomes == {"edited": 8}
    assert (report.source, report.result) == (str(source), str(folder / "out.mp4"))
    face, corner = (slice(50, 80), slice(85, 116)), (slice(0, 40), slice(0, 40))
    for old, new in zip(before, after, strict=True):
        assert new.pixels[face].astype(float).mean() > old.pixels[face].mean() + 5
        assert psnr(new.pixels[corner], old.pixels[corner]) > 42
    assert set(report.stages) == {"decode", "track", "align", "invert", "synthesize", "composite", "encode"}
    assert report.stages["encode"]["count"] == 8
    assert report.seconds > 0


def test_no_face_anywhere_gives_the_same_pictures_and_sound(tmp_path: Path, folder: Path) -> None:
    source = make(tmp_path / "in.mp4", Clip(size=(128, 96), subtitles="mov_text", chapters=2))
    report = transcode(source, folder / "out.mp4", editor("smile=2"), video=FINE)
    assert report.outcomes == {"passed: no face": 25}
    assert report.notes == []
    before, after = probe(source), probe(folder / "out.mp4")
    assert after.frame_times == before.frame_times
    assert after.packets == before.packets
    assert after.chapters == before.chapters
    for old, new in zip(read(source), read(folder / "out.mp4"), strict=True):
        assert psnr(old.pixels, new.pixels) > 40


def test_a_face_that_leaves_and_returns_loses_no_frame(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 6 + [scene(None)] * 12 + [scene()] * 12)
    report = transcode(source, folder / "out.mp4", editor("smile=1"), video=FINE)
    assert report.frames == len(read(folder / "out.mp4")) == 30
    assert sum(report.outcomes.values()) == 30
    assert set(report.outcomes) == {
        "edited", "faded: lost", "passed: no face", "passed: fading in", "faded: fading in",
    }  # fmt: skip
    assert report.outcomes["edited"] >= 6 + 4


def test_an_edit_that_is_off_passes(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 4)
    report = transcode(source, folder / "out.mp4", editor("smile=0"), video=FINE)
    assert report.outcomes == {"unchanged: no edit at this time": 4}
    for old, new in zip(read(source), read(folder / "out.mp4"), strict=True):
        assert psnr(old.pixels, new.pixels) > 40


@pytest.mark.parametrize(
    ("pix_fmt", "video"),
    [("yuv420p", VideoOptions(crf=0)), ("yuv422p", VideoOptions(codec="ffv1")),
     ("yuv420p10le", VideoOptions(codec="ffv1", pix_fmt="source"))],
)  # fmt: skip
def test_without_an_edit_a_lossless_result_has_every_sample(
    pix_fmt: str, video: VideoOptions, tmp_path: Path, folder: Path
) -> None:
    source = write_clip(tmp_path / "in.mkv", [scene((96 + i, 60)) for i in range(4)], pix_fmt=pix_fmt)
    transcode(source, folder / "out.mkv", editor("smile=0"), video=video)
    before, after = ([packed(f, find_layout(pix_fmt)) for f in decoded(p)] for p in (source, folder / "out.mkv"))
    assert after == before


def test_the_same_again_is_the_same(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene((90 + i, 60)) for i in range(6)])
    for name in ("a.mp4", "b.mp4"):
        transcode(source, folder / name, editor("smile=1", "age=0:1@1s"), video=FINE)
    for old, new in zip(read(folder / "a.mp4"), read(folder / "b.mp4"), strict=True):
        assert np.array_equal(old.pixels, new.pixels)


class Failing(FaceEditor):
    """Breaks at its third frame."""

    def __init__(self, error: BaseException) -> None:
        of = editor("smile=1")
        super().__init__(of.tracker, of.renderer, of.edits, matte=None)
        self.error = error
        self.count = 0

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        self.count += 1
        if self.count == 3:
            raise self.error
        return super().analyse(state, frame, stages)


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_in_the_editor_leaves_nothing(error: BaseException, tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 6)
    with pytest.raises(type(error)):
        transcode(source, folder / "out.mp4", Failing(error), video=FINE)
    assert os.listdir(folder) == []


def test_a_failure_keeps_the_older_result(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 6)
    (folder / "out.mp4").write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        transcode(source, folder / "out.mp4", Failing(KeyboardInterrupt()), video=FINE, overwrite=True)
    assert (folder / "out.mp4").read_bytes() == b"older"
    assert os.listdir(folder) == ["out.mp4"]


def test_an_output_that_exists_needs_overwrite(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 2)
    (folder / "out.mp4").write_bytes(b"older")
    of = editor("smile=1")
    with pytest.raises(SinkError, match=r"out\.mp4 exists; .*--overwrite"):
        transcode(source, folder / "out.mp4", of, video=FINE)
    assert of.renderer.generator.asked == []  # type: ignore[attr-defined]
    assert (folder / "out.mp4").read_bytes() == b"older"
    transcode(source, folder / "out.mp4", of, video=FINE, overwrite=True)
    assert len(read(folder / "out.mp4")) == 2


@pytest.mark.parametrize("content", [None, b"", b"not a video at all"])
def test_a_bad_source(content: bytes | None, tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "in.mp4"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(SourceError, match=r"in\.mp4"):
        transcode(source, folder / "out.mp4", editor("smile=1"))
    assert os.listdir(folder) == []


def test_options_reach_the_encoder(tmp_path: Path, folder: Path) -> None:
    source = clip(tmp_path, [scene()] * 3)
    transcode(source, folder / "out.mkv", editor("smile=1"), video=VideoOptions(codec="mpeg4", pix_fmt="yuv420p"))
    with av.open(str(folder / "out.mkv")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("mpeg4", "yuv420p")


def test_odd_sizes_and_tiny_frames(tmp_path: Path, folder: Path) -> None:
    for number, size in enumerate([(33, 21), (2, 2), (201, 161)]):
        source = make(tmp_path / f"{number}.mp4", Clip(size=size, pix_fmt="yuv444p", pts=range(0, 5120, 512)))
        report = transcode(source, folder / f"{number}.mp4", editor("smile=1"), video=FINE)
        assert report.frames == 10
        assert read(folder / f"{number}.mp4")[0].size == size


def test_the_report_is_plain_data(tmp_path: Path, folder: Path) -> None:
    import json

    source = clip(tmp_path, [scene()] * 2)
    report = transcode(source, folder / "out.mp4", editor("smile=1"), video=FINE, clock=ticking())
    read_back = json.loads(json.dumps(report.as_dict()))
    assert read_back["outcomes"] == {"edited": 2}
    assert read_back["stages"]["track"]["count"] == 2
    assert set(read_back["stages"]["track"]) == {"count", "mean_ms", "p50_ms", "p95_ms"}


@pytest.mark.parametrize("options", [{"refine": 1}, {"first_frame_edit": True}, {"encode_every": 2}])
def test_what_does_not_go_with_a_device_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--device cuda draws every face by the networks as they are; leave out"):
        TranscodeJob(
            source=tmp_path / "a.mp4", target=tmp_path / "b.mp4", edits=edits("smile=1"), device="cuda", **options
        )
