"""A clip and what comes after it."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dynstream.models.errors import WeightsError
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.run import extrapolate as module
from dynstream.pipelines.run.extrapolate import (
    check_method,
    check_seconds,
    codes_by,
    extrapolate,
    latent_motion,
    write_strip,
)
from dynstream.pipelines.tracking.tracker import Tracker
from dynstream.pipelines.trajectory.encode_clip import encode_clip
from dynstream.stream.reader import VideoReader

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, scene, write_clip


def encoded(path: Path) -> CodeSeries:
    return encode_clip(path, Tracker(OvalBackend()), LevelEncoder())  # type: ignore[arg-type]


def brighter(seconds: np.ndarray) -> torch.Tensor:
    """Codes whose drawing becomes brighter by 0.5 in a second."""
    return torch.from_numpy(0.5 * (seconds - seconds[0])).float()[:, None, None].expand(-1, 18, 512)


def test_the_clip_stays_and_its_last_face_moves_on(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [scene((90 + i, 60)) for i in range(4)], [512 * i for i in range(4)])
    target, told = tmp_path / "o.mp4", []
    written = extrapolate(
        clip, target, 0.4, encoded(clip), brighter, LevelGenerator(), rate=Fraction(25), progress=told.append
    )
    assert (written.frames, written.made) == (14, 10)
    assert told[-1] == 14
    with VideoReader(target) as reader, VideoReader(clip) as source:
        made, own = list(reader), list(source)
    assert [one.seconds for one in made] == pytest.approx([i / 25 for i in range(14)])
    for one, other in zip(made, own, strict=False):
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2
    face = (slice(60, 85), slice(85, 102))
    levels = [one.pixels[face].astype(float).mean() for one in made[3:]]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 8
    assert np.abs(made[-1].pixels[:20, :40].astype(int) - own[-1].pixels[:20, :40]).mean() < 3
    write_strip(target, tmp_path / "s.png", written.made)
    assert cv2.imread(str(tmp_path / "s.png")).shape == (160, 8 * 200, 3)


def test_a_picture_alone_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    cv2.imwrite(str(picture), scene((100, 60))[..., ::-1])
    series = encoded(picture)
    written = extrapolate(
        picture, tmp_path / "o.mp4", 0.2, series, codes_by("ode", series, None), LevelGenerator(), rate=Fraction(25)
    )
    assert (written.frames, written.made) == (6, 5)
    with VideoReader(tmp_path / "o.mp4") as reader:
        pictures = [one.pixels.astype(int) for one in reader]
    assert np.abs(pictures[-1] - pictures[0]).mean() < 1


def test_a_clip_whose_last_frame_shows_no_face_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [scene((90, 60))] * 2 + [scene(None)] * 14)
    with pytest.raises(DynamicsError, match="shows no face to move on"):
        extrapolate(clip, tmp_path / "o.mp4", 0.2, encoded(clip), brighter, LevelGenerator(), rate=Fraction(25))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_method("line", None) == "line"
    monkeypatch.setattr(module, "WEIGHTS", tmp_path / "none")
    assert check_method("auto", None) == "ode"
    assert check_method("auto", tmp_path / "model") == "vidstyleode"
    with pytest.raises(DynamicsError, match="hold, line, ode"):
        check_method("magic", None)
    with pytest.raises(DynamicsError, match="--dynamics FILE"):
        check_method("hold", tmp_path / "model")
    with pytest.raises(WeightsError, match="dynstream train vidstyleode"):
        latent_motion(tmp_path / "a.mp4", None, None, None, None)  # type: ignore[arg-type]
    for seconds in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(DynamicsError, match="60 at most"):
            check_seconds(seconds)
