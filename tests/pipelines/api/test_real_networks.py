"""The public API with the shipped weights: the pixels of the editor itself, and of the command line."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import dynstream
from dynstream.cli.main import main
from dynstream.models.directions.directions import load_directions
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import SessionState
from dynstream.pipelines.editor.load import load_editor
from dynstream.pipelines.edits.parsing import parse_edits
from dynstream.stream.frame import Frame, Pixels

from ..fakes import write_clip


@pytest.fixture(scope="module")
def source(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of the sample clip, without loss and in RGB, which nothing has to convert."""
    pictures = [frame.pixels for frame in islice(dynstream.read(zoo.path("sample-clip")), 3)]
    path = tmp_path_factory.mktemp("source") / "in.mkv"
    return write_clip(path, pictures, codec="ffv1", pix_fmt="bgr0", options={})


@pytest.fixture(scope="module")
def frames(source: Path) -> list[Frame]:
    return list(dynstream.read(source))


@pytest.fixture(scope="module")
def streamed(zoo: Zoo, frames: list[Frame]) -> list[Pixels]:
    stream = dynstream.load_editor({"smile": 2}, zoo=zoo).stream()
    results = [stream(frame).pixels for frame in frames]
    assert stream.outcomes == {"edited": 3}
    return results


def same(results: Sequence[Pixels], expected: Sequence[Pixels]) -> None:
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_a_stream_has_the_pixels_of_the_editor_itself(zoo: Zoo, frames: list[Frame], streamed: list[Pixels]) -> None:
    editor = load_editor(zoo, parse_edits(["smile=2"], None, load_directions()))
    state, expected = SessionState(), []
    for frame in frames:
        state, edited = editor.step(state, frame, Stages())
        expected.append(edited.frame.pixels)
    same(streamed, expected)


def test_a_file_has_the_pixels_of_the_stream(source: Path, streamed: list[Pixels], tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "transcode",
                str(source),
                str(target),
                "--edit",
                "smile=2",
                "--draw-every",
                "1",
                "--codec",
                "ffv1",
                "--pix-fmt",
                "source",
            ]
        )
    same([frame.pixels for frame in dynstream.read(target)], streamed)


def test_a_picture_that_cannot_be_written_to(zoo: Zoo, frames: list[Frame], streamed: list[Pixels]) -> None:
    picture = frames[0].pixels.copy()
    picture.flags.writeable = False
    same([dynstream.load_editor({"smile": 2}, zoo=zoo)(picture)], streamed[:1])
