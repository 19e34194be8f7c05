"""Editing and another frame rate in one pass: edited frames as they were, new ones between them, sound and length."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.credentials.read import Verdict, read_credentials
from dynstream.pipelines.editor.face_editor import AnalysisState, FaceEditor, FrameAnalysis
from dynstream.pipelines.run.interpolate import codes_by, interpolate
from dynstream.pipelines.run.sealing import sealing
from dynstream.pipelines.run.transcode import VideoOptions, transcode
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.pipelines.trajectory.encode_clip import encode_clip
from dynstream.stream.frame import Frame
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import packed
from dynstream.stream.reader import VideoReader

from ...stream.media import Clip, make, probe
from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, editor, scene, write_clip

LOSSLESS = VideoOptions(codec="ffv1")
COUNT = 6


def samples(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packed(frame, find_layout("yuv444p"))) for frame in container.decode(video=0)]


def read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


def walk(path: Path, pts: Sequence[int] | None = None, rate: int = 15) -> Path:
    return write_clip(path, [scene((80 + 3 * i, 60)) for i in range(COUNT)], pts, rate)


def test_twice_the_rate(tmp_path: Path) -> None:
    source = walk(tmp_path / "in.mp4")
    once, twice = tmp_path / "once.mkv", tmp_path / "twice.mkv"
    alone = transcode(source, once, editor("smile=1"), video=LOSSLESS)
    done: list[int] = []
    report = transcode(source, twice, editor("smile=1"), rate=Fraction(30), video=LOSSLESS, progress=done.append)
    assert (report.frames, report.made, report.held) == (2 * COUNT, COUNT - 1, 1)
    assert done == list(range(1, 2 * COUNT + 1))
    # The networks see the source's frames alone.
    assert report.calls == alone.calls == {"encoded": COUNT, "drawn": COUNT}
    assert report.outcomes == {"edited": COUNT}
    assert report.stages["between"]["count"] == COUNT
    assert (alone.made, alone.held) == (0, 0)
    out = read(twice)
    assert [frame.seconds for frame in out] == pytest.approx(np.arange(2 * COUNT) / 30, abs=1e-3)
    assert samples(twice)[::2] == samples(once)
    face = slice(50, 80)
    for one, made, other, plain in zip(out[:-1:2], out[1:-1:2], out[2::2], read(source), strict=False):
        levels = [frame.pixels[face].astype(float).mean() for frame in (one, made, other)]
        assert min(levels[0], levels[2]) - 1 < levels[1] < max(levels[0], levels[2]) + 1
        assert levels[1] > plain.pixels[face].mean() + 2


@pytest.mark.parametrize(
    ("pts", "rate", "own"),
    [
        (None, 60, {0: 0, 4: 1, 8: 2, 12: 3, 16: 4, 20: 5}),
        (None, 24, {0: 0, 8: 5}),  # of 15: every 5th frame of the one is every 8th of the other
        ([0, 1280, 2000, 3840, 5120, 6400], 10, {0: 0, 1: 1, 3: 3, 4: 4, 5: 5}),
        ([2560, 3840, 4000, 6400, 7680, 8960], 20, {0: 0, 2: 1, 6: 3, 8: 4, 10: 5}),
    ],
    ids=["four times", "no multiple", "variable", "variable, and not from zero"],
)
def test_frames_at_their_times_whatever_the_rates(
    pts: Sequence[int] | None, rate: int, own: dict[int, int], tmp_path: Path
) -> None:
    source = walk(tmp_path / "in.mp4", pts)
    once, out = tmp_path / "once.mp4", tmp_path / "out.mp4"
    video = VideoOptions(crf=0, pix_fmt="yuv444p", preset="ultrafast")
    transcode(source, once, editor("smile=1"), video=video)
    report = transcode(source, out, editor("smile=1"), rate=Fraction(rate), video=video)
    before, after = read(source), read(out)
    begin, last = before[0].seconds, before[-1].seconds
    assert [frame.seconds for frame in after] == pytest.approx([begin + i / rate for i in range(len(after))], abs=1e-5)
    # To the end of the last frame and no further.
    assert last - 1 / rate < after[-1].seconds
    with VideoReader(source) as a, VideoReader(out) as b:
        assert a.duration is not None
        assert b.duration is not None
        assert abs(a.duration - b.duration) <= Fraction(1, rate)
        assert b.rate == rate
    mine, theirs = samples(out), samples(once)
    for place, number in own.items():
        assert mine[place] == theirs[number]
    assert report.frames == len(after)
    assert report.made + report.held + len(own) >= len(after)


def test_it_is_what_interpolate_makes_of_an_edited_clip_by_straight_lines(tmp_path: Path) -> None:
    source = walk(tmp_path / "in.mp4")
    edited, two, one = tmp_path / "edited.mkv", tmp_path / "two.mp4", tmp_path / "one.mp4"
    fine = VideoOptions(crf=0, pix_fmt="yuv444p", preset="ultrafast")
    transcode(source, edited, editor("smile=1"), video=LOSSLESS)
    transcode(source, one, editor("smile=1"), rate=Fraction(30), video=fine)
    series = encode_clip(edited, Tracker(OvalBackend()), LevelEncoder())
    seconds = np.arange(2 * COUNT - 1) / 30
    straight = codes_by("linear", series, None)
    identity, said = make_identity(tmp_path / "pair"), "frames between made by trained models"
    seal = sealing(edited, two, identity, done=said, settings={"rate": "30"}, models=[])
    interpolate(edited, two, seconds, series, straight, LevelGenerator(), rate=Fraction(30), video=fine, seal=seal)
    shown = read_credentials(two)
    assert shown is not None
    assert (shown.verdict, shown.actions[-1]) == (Verdict.VALID, f"c2pa.edited: {said}")
    for mine, theirs in zip(read(one)[:-1], read(two), strict=True):
        # The file between was written in 8-bit YUV, and its times in milliseconds.
        assert np.abs(mine.pixels.astype(int) - theirs.pixels).mean() < 1


def test_sound_and_all_else_is_copied(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", Clip(size=(128, 96), subtitles="mov_text", chapters=2))
    report = transcode(source, tmp_path / "out.mp4", editor("smile=2"), rate=Fraction(50))
    before, after = probe(source), probe(tmp_path / "out.mp4")
    assert after.packets == before.packets
    assert after.chapters == before.chapters
    assert len(after.frame_times) == report.frames == 2 * len(before.frame_times)


class Failing(FaceEditor):
    """Breaks at its third frame."""

    def __init__(self) -> None:
        of = editor("smile=1")
        super().__init__(of.tracker, of.renderer, of.edits, matte=None)
        self.count = 0

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        self.count += 1
        if self.count == 3:
            raise KeyboardInterrupt
        return super().analyse(state, frame, stages)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    source = walk(tmp_path / "in.mp4")
    with pytest.raises(KeyboardInterrupt):
        transcode(source, tmp_path / "out.mp4", Failing(), rate=Fraction(30))
    assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".ts"])
def test_containers_that_count_time_their_own_way(suffix: str, tmp_path: Path) -> None:
    source = walk(tmp_path / "in.mp4")
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    out = tmp_path / f"out{suffix}"
    report = transcode(source, out, editor("smile=1"), rate=Fraction(30), video=VideoOptions(codec=codec))
    assert report.frames == 2 * COUNT
    steps = np.diff([frame.seconds for frame in read(out)])
    assert len(steps) == 2 * COUNT - 1
    assert steps == pytest.approx(1 / 30, abs=1.1e-3)
