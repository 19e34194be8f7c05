"""Every example runs, with the shipped weights, on a few frames of the sample clip."""

import runpy
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dynstream
from dynstream.models.zoo.zoo import Zoo

from ..pipelines.fakes import write_clip

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FRAMES = 2


def example(name: str) -> Callable[[list[str]], None]:
    main: Any = runpy.run_path(str(EXAMPLES / name))["main"]
    return lambda arguments: main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def source(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [frame.pixels for frame in islice(dynstream.read(zoo.path("sample-clip")), FRAMES)]
    return write_clip(tmp_path_factory.mktemp("source") / "in.mp4", pictures, pix_fmt="yuv420p")


def test_every_example_has_a_test() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {"edit_picture.py", "edit_video.py", "webrtc_track.py"}


def test_a_picture(source: Path, tmp_path: Path) -> None:
    before = next(dynstream.read(source)).pixels
    Image.fromarray(before).save(tmp_path / "in.png")
    example("edit_picture.py")([str(tmp_path / "in.png"), str(tmp_path / "out.png"), "smile=2"])
    after = np.asarray(Image.open(tmp_path / "out.png"))
    assert after.shape == before.shape
    assert 0.1 < np.abs(after.astype(int) - before).mean() < 10


def test_a_video(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, folder = tmp_path / "out.mp4", tmp_path / "frames"
    example("edit_video.py")([str(source), str(target), "smile=0:2@1s", "--frames", str(folder)])
    assert len(list(dynstream.read(target))) == FRAMES
    assert sorted(path.name for path in folder.iterdir()) == ["00000000.png", "00000040.png"]
    out = capsys.readouterr().out
    assert f"{FRAMES}/{FRAMES} frames, " in out


def test_a_webrtc_track(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [frame.pixels[::2, ::2] for frame in islice(dynstream.read(zoo.path("sample-clip")), 25)]
    source = write_clip(tmp_path / "in.mp4", [np.ascontiguousarray(one) for one in pictures], pix_fmt="yuv420p")
    example("webrtc_track.py")([str(source), str(tmp_path / "out.mp4"), "smile=2"])
    assert "{" in capsys.readouterr().out
    assert next(dynstream.read(tmp_path / "out.mp4")).size == (320, 180)


@pytest.mark.parametrize("name", ["edit_picture.py", "edit_video.py", "webrtc_track.py"])
def test_a_wrong_edit_is_told_in_a_line(
    name: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        example(name)([str(source), str(tmp_path / "out.mp4"), "smlie=2"])
    assert "did you mean 'smile'?" in capsys.readouterr().err
