"""The installed element with the real networks, and the example; skipped where GStreamer is not installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import dynstream
from dynstream.models.directions.directions import load_directions
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import SessionState
from dynstream.pipelines.editor.load import DEFAULT_WEIGHTS, load_editor
from dynstream.pipelines.edits.parsing import parse_edits
from dynstream.stream.colour import LIMITED, ColourTags
from dynstream.stream.layout import find_layout
from dynstream.stream.picture import Picture, PictureFormat, PictureToRgb, packed
from dynstream.stream.reader import VideoReader
from dynstream.stream.repaint import Repainter

FRAMES = 4
EXAMPLE = Path(dynstream.__file__).parent / "examples" / "gstreamer.sh"


@dataclass(frozen=True)
class Clip:
    """The first frames of the sample clip. samples: of each frame, packed I420."""

    size: tuple[int, int]
    samples: list[bytearray]


@pytest.fixture(scope="module")
def clip(zoo: Zoo) -> Clip:
    with VideoReader(zoo.path("sample-clip")) as reader:
        frames = list(islice(reader, FRAMES))
    originals = [frame.original.samples for frame in frames if frame.original is not None]
    layout = find_layout("yuv420p")
    samples = [packed(original.reformat(format="yuv420p"), layout) for original in originals]
    return Clip(frames[0].size, samples)


def test_it_gives_what_the_editor_gives(drive: Callable[..., Any], clip: Clip, zoo: Zoo, tmp_path: Path) -> None:
    width, height = clip.size
    assert width % 8 == height % 2 == 0  # so that rows have no padding
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate=25/1,colorimetry=bt601,chroma-site=mpeg2"
    job = {"element": "dynstream edits=smile=2 qos=false", "caps": caps, "bytes": len(clip.samples[0])}
    (tmp_path / "clip.json").write_text(json.dumps(job))
    (tmp_path / "clip.in").write_bytes(b"".join(clip.samples))

    format = PictureFormat(
        size=clip.size,
        layout=find_layout("yuv420p"),
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        tags=ColourTags(6, 6, 6, LIMITED),
        siting="left",
    )
    editor = load_editor(zoo, parse_edits(["smile=2"], None, load_directions()))
    to_rgb, repaint, state, expected = PictureToRgb(format), Repainter(format), SessionState(), b""
    for number, samples in enumerate(clip.samples):
        picture = Picture(samples, number)
        frame = to_rgb(picture)
        state, edited = editor.step(state, frame, Stages())
        expected += repaint(picture, frame.pixels, edited.frame.pixels).data

    result = drive(tmp_path)["pictures"]["clip"]
    assert result == {"counts": [FRAMES, FRAMES, 0], "said": [], "qos": 0}
    assert (tmp_path / "clip.out").read_bytes() == expected


def test_the_example_edits_a_file(gstreamer: dict[str, str], zoo: Zoo, tmp_path: Path) -> None:
    zoo.pull(*DEFAULT_WEIGHTS)
    source, target = tmp_path / "in.ogv", tmp_path / "out.ogv"
    made = "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! theoraenc ! oggmux ! filesink location="
    subprocess.run(["gst-launch-1.0", "-q", *f"{made}{source}".split()], env=gstreamer, check=True, timeout=120)
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environ = {**gstreamer, "PATH": commands, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(EXAMPLE), str(source), str(target)], env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "installed " in done.stdout
    with VideoReader(target) as reader:
        assert len(list(reader)) == 2
