"""`dynstream transcode` on bad and odd input, whole: the exit status, what is said, and what lies in the folder after.

What reader, writer and tracker do with each is tested beside them; here the command must pass it on.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor import load as load_module
from dynstream.pipelines.editor.face_editor import AnalysisState, FaceEditor, FrameAnalysis
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.stream.frame import Frame, Pixels
from dynstream.stream.reader import VideoReader

from ..drawn_face import BACKGROUND, draw_face
from ..pipelines import fakes
from ..pipelines.fakes import LOSSLESS, scene, write_clip
from ..stream.media import Clip, make, probe, psnr
from ..stream.trouble import BAD, file_size_limit
from .transcoding import read, run

pytestmark = pytest.mark.usefixtures("asked")

SMILE = ("--edit", "smile=1")
FACE = (slice(50, 80), slice(88, 112))
CORNER = (slice(0, 40), slice(0, 40))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed for a person, in one line; there is nothing for a program, and no traceback."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return " ".join(captured.err.replace("│", " ").split())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def editor_of(monkeypatch: pytest.MonkeyPatch, make_editor: Callable[..., FaceEditor]) -> None:
    monkeypatch.setattr(load_module, "load_editor", lambda *_a, **_k: make_editor())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", [scene((96 + i, 60)) for i in range(6)])


REMEDIES = {
    "missing": "check the name and the folder",
    "empty": "copy or download it again",
    "text": "see what `ffprobe` says about it",
    "noise": "see what `ffprobe` says about it",
    "folder": "name one file in it",
    "pipe": "save the stream to a file first",
    "only sound": "choose a file with pictures",
    "no stream": "choose a file with pictures",
    "no frame": "record it anew",
    "broken frames": "record it anew",
}


@pytest.mark.parametrize("case", BAD)
def test_a_source_without_video_is_refused_before_anything_is_loaded(
    case: str, tmp_path: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    build, message = BAD[case]
    source = build(tmp_path / "in.mp4")
    before = files(tmp_path)
    assert run(source, target, *SMILE) == 2
    text = said(capsys)
    assert text.startswith(f"Error: input {source} ")
    assert re.search(message, text)
    assert REMEDIES[case] in text
    assert asked == []
    assert files(tmp_path) == before


def test_a_file_without_its_index_is_refused(
    tmp_path: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_clip(tmp_path / "in.mp4", [scene()] * 10)
    os.truncate(source, source.stat().st_size * 6 // 10)
    assert run(source, target, *SMILE) == 2
    text = said(capsys)
    assert text.startswith(f"Error: input {source} is not a video that FFmpeg can open (")
    assert "cut off (an MP4 that was not finished has no index); copy it again" in text
    assert asked == []
    assert os.listdir(target.parent) == []


def test_a_cut_off_file_gives_what_there_is(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_clip(tmp_path / "in.mp4", [scene((96 + i % 8, 60)) for i in range(40)], faststart=True)
    os.truncate(source, source.stat().st_size * 6 // 10)
    assert run(source, target, *SMILE) == 0
    frames = len(read(target))
    assert 10 < frames < 40
    text = said(capsys)
    assert f"Note: cut off or damaged: the file promises 40 frames and gave {frames}; the result holds those" in text
    assert f"{target}: {frames} frames, " in text
    assert os.listdir(target.parent) == [target.name]


ODD: dict[str, tuple[str, Mapping[str, Any], str, str]] = {
    "10 bits": ("in.mp4", {"pix_fmt": "yuv420p10le"}, "10-bit pictures (yuv420p10le): frames are rounded", "yuv420p"),
    "alpha": (
        "in.mkv",
        {"codec": "ffv1", "pix_fmt": "yuva444p", "options": {}},
        "transparency (yuva444p) is dropped",
        "yuv444p",
    ),
    "interlaced": (
        "in.mp4",
        {"pix_fmt": "yuv420p", "options": {**LOSSLESS, "x264-params": "tff=1"}},
        "interlaced: frames are taken and written as stored",
        "yuv420p",
    ),
}
"""What a source is -> (its name, how it is written, what is said of it, pixel format of the result)."""


@pytest.mark.parametrize("case", ODD)
def test_what_is_lost_is_told_and_the_face_is_edited(
    case: str, tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, options, note, pix_fmt = ODD[case]
    source = write_clip(tmp_path / name, [scene()] * 5, **options)
    assert run(source, target, *SMILE) == 0
    text = said(capsys)
    assert f"Note: {note}" in text
    assert text.endswith("(5 edited)")
    assert [frame.seconds for frame in read(target)] == [frame.seconds for frame in read(source)]
    with VideoReader(target) as reader:
        assert reader.pix_fmt == pix_fmt
    for old, new in zip(read(source), read(target), strict=True):
        assert new.pixels[FACE].mean() > old.pixels[FACE].mean() + 5
        assert psnr(new.pixels[CORNER], old.pixels[CORNER]) > 40


def test_an_odd_size_is_kept(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [scene(size=(201, 161))] * 3
    source = write_clip(tmp_path / "in.mkv", pictures, codec="ffv1", pix_fmt="yuv420p", options={})
    assert run(source, target, *SMILE) == 0
    assert said(capsys).endswith("(3 edited)")
    assert {frame.size for frame in read(target)} == {(201, 161)}


def test_an_odd_size_that_was_asked_for_in_420_is_refused_before_anything_is_loaded(
    tmp_path: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_clip(tmp_path / "in.mp4", [scene(size=(201, 161))] * 3)
    assert run(source, target, *SMILE, "--pix-fmt", "yuv420p") == 2
    assert "cannot encode 201x161 as yuv420p, which needs even sizes; pass --pix-fmt yuv444p" in said(capsys)
    assert asked == []
    assert os.listdir(target.parent) == []


def test_8k(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = (7680, 4320)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[2000:2800, 3000:4000] = cv2.resize(scene(), (1000, 800), interpolation=cv2.INTER_LINEAR)
    source = write_clip(tmp_path / "in.mkv", [picture], codec="mjpeg", pix_fmt="yuvj420p", options={})
    assert run(source, target, *SMILE, "--encoder-preset", "ultrafast", "--crf", "20") == 0
    assert said(capsys).endswith("(1 edited)")
    (before,), (after,) = read(source), read(target)
    assert after.size == size
    face = (slice(2250, 2400), slice(3440, 3560))
    assert after.pixels[face].mean() > before.pixels[face].mean() + 5


class Watching(FaceEditor):
    """Keeps the pictures that it was given."""

    seen: list[Pixels]

    def analyse(self, state: AnalysisState, frame: Frame, stages: Stages) -> tuple[AnalysisState, FrameAnalysis]:
        self.seen.append(frame.pixels)
        return super().analyse(state, frame, stages)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotated_face_is_edited_upright(
    rotation: int, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = fakes.editor("smile=1")
    watching = Watching(of.tracker, of.renderer, of.edits, matte=None)
    watching.seen = []
    editor_of(monkeypatch, lambda: watching)
    stored = np.ascontiguousarray(np.rot90(scene(), -rotation // 90))
    source = write_clip(tmp_path / "in.mp4", [stored] * 3, rotation=rotation)
    assert run(source, target, *SMILE) == 0
    assert said(capsys).endswith("(3 edited)")
    assert len(watching.seen) == 3
    for given, after in zip(watching.seen, read(target), strict=True):
        assert psnr(given, scene()) > 35
        assert after.pixels[FACE].mean() > given[FACE].mean() + 5
        assert psnr(after.pixels[CORNER], given[CORNER]) > 40


def test_no_face_anywhere(tmp_path: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "in.mp4", Clip(size=(128, 96), subtitles="mov_text", chapters=2))
    assert run(source, target, *SMILE) == 0
    assert said(capsys).endswith("(25 passed: no face)")
    before, after = probe(source), probe(target)
    assert (after.frame_times, after.packets) == (before.frame_times, before.packets)
    for old, new in zip(read(source), read(target), strict=True):
        assert psnr(old.pixels, new.pixels) > 40


def test_a_face_that_leaves_and_returns(
    zoo: Zoo, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = fakes.editor("smile=1")
    tracker = Tracker(load_mesh_backend(zoo))
    editor_of(monkeypatch, lambda: FaceEditor(tracker, of.renderer, of.edits, matte=None))
    shape = (180, 320)
    there = [draw_face(shape, x=155.0 + i, y=90, width=80) for i in range(10)]
    away = [np.full((*shape, 3), BACKGROUND, np.uint8)] * 12
    source = write_clip(tmp_path / "in.mp4", [*there, *away, *there])
    assert run(source, target, *SMILE) == 0
    found = re.search(r": 32 frames, \S+ per second \((.*)\)$", said(capsys))
    assert found is not None
    outcomes = {name: int(count) for count, name in (part.split(" ", 1) for part in found[1].split(", "))}
    assert sum(outcomes.values()) == 32
    assert outcomes["edited"] >= 12
    assert outcomes["passed: no face"] >= 5
    assert {"faded: lost", "faded: fading in"} <= set(outcomes)
    before, after = read(source), read(target)
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    changes = [np.abs(a.pixels.astype(int) - b.pixels).mean() for a, b in zip(before, after, strict=True)]
    assert min(changes[:8]) > 1
    assert changes[31] > 1
    assert max(changes[18:22]) < 0.5  # long gone, and nothing of the edit is left behind


def test_an_unknown_edit_lists_the_known(
    source: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, target, "--edit", "glasses=1") == 2
    assert said(capsys) == "Error: unknown edit 'glasses'; known are age, smile"
    assert asked == []
    assert os.listdir(target.parent) == []


def test_an_output_that_exists_needs_overwrite(
    source: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    target.write_bytes(b"older")
    assert run(source, target, *SMILE) == 2
    assert said(capsys) == f"Error: output {target} exists; choose another name or pass --overwrite to replace it"
    assert asked == []
    assert target.read_bytes() == b"older"
    assert run(source, target, *SMILE, "--overwrite") == 0
    assert len(read(target)) == 6
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_the_output_is_never_the_input(
    overwrite: list[str], source: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    target.symlink_to(source)
    for name in (source, target):
        assert run(source, name, *SMILE, *overwrite) == 2
        assert said(capsys) == f"Error: output {name} is the input itself; choose another name for the result"
    assert asked == []
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.unknown", [], "no container known for the suffix '.unknown'; use one such as .mp4"),
        ("out.webm", [], "cannot write libx264 video (yuv444p) into webm"),
        ("out.mp4", ["--encoder-preset", "warp"], "try another --codec, --encoder-preset or output suffix"),
        ("no/out.mp4", [], "does not exist; make it first: mkdir -p"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_loaded(
    name: str, options: list[str], message: str, source: Path, target: Path, asked: list[object],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(source, target.parent / name, *SMILE, *options) == 2
    assert message in said(capsys)
    assert asked == []
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("which", [0, 1])
def test_the_numbers_never_replace_a_video(
    which: int, source: Path, target: Path, asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    assert run(source, target, *SMILE, "--stats", (source, target)[which]) == 2
    assert "is one of the videos; name another file for the numbers" in said(capsys)
    assert asked == []
    assert source.read_bytes() == before
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("name", ["clip [final].mp4", "clip [/b].mp4"])
def test_brackets_in_a_name(name: str, source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (target.parent / name).parent.mkdir(exist_ok=True)
    assert run(source, target.parent / name, *SMILE) == 0
    assert f"{name}: 6 frames" in said(capsys)


@pytest.mark.parametrize("limit", [0, 3000])
def test_a_full_disk(limit: int, source: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file_size_limit(limit):
        assert run(source, target, *SMILE, "--crf", "1") == 2
    text = said(capsys)
    assert f"Error: the disk is full: {target} could not be finished and nothing of it was left in" in text
    assert "free some space there or choose another folder" in text
    assert os.listdir(target.parent) == []


PROCESS = """
import sys
from dynstream.cli.main import main
from dynstream.models.directions import directions
from dynstream.pipelines.editor import face_editor, load
from fakes import DIRECTIONS, editor

class Waiting(face_editor.FaceEditor):
    count = 0

    def analyse(self, state, frame, stages):
        self.count += 1
        if self.count == 40:
            print("midway", flush=True)
            sys.stdin.read()
        return super().analyse(state, frame, stages)

def load_editor(*_a, **_k):
    of = editor("smile=1")
    return Waiting(of.tracker, of.renderer, of.edits, matte=None)

load.load_editor = load_editor
directions.load_directions = lambda: DIRECTIONS
main(["transcode", *sys.argv[1:], "--edit", "smile=1", "--progress", "ffmpeg", "--encoder-preset", "ultrafast"])
"""


@pytest.mark.parametrize(
    ("number", "older"), [(signal.SIGINT, None), (signal.SIGTERM, b"older"), (signal.SIGHUP, None)]
)
def test_a_stopped_process_leaves_nothing(
    number: signal.Signals, older: bytes | None, tmp_path: Path, target: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", [scene((96 + i % 8, 60)) for i in range(60)])
    if older is not None:
        target.write_bytes(older)
    there = os.listdir(target.parent)
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(source), str(target), "--overwrite"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(fakes.__file__).parent)},
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "midway\n", process.communicate()[1]
            (half,) = set(os.listdir(target.parent)) - set(there)
            assert half.startswith(".dynstream-")
            process.send_signal(number)
            out, err = process.communicate()
        finally:
            process.kill()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "Interrupted"
    assert "Traceback" not in err
    assert "progress=end" not in err
    assert os.listdir(target.parent) == there
    assert older is None or target.read_bytes() == older
