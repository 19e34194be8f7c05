"""Driving clips: what is followed, references, gaps, cuts, other times."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.animation.driver import DriverFrame, at_times, most_alike, read_driver, steadied
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.tracking.head_pose import HeadPose
from dynstream.pipelines.tracking.tracker import Tracker

from ..fakes import LevelEncoder, OvalBackend, scene, write_clip
from .faces import measured

QUAD = np.array([[0.0, 0], [0, 100], [100, 100], [100, 0]])


def frame(seconds: float, scene: int = 0, **options: float) -> DriverFrame:
    return DriverFrame(seconds, measured(**options), QUAD + 10 * seconds, None, scene)


def test_a_clip_is_measured_frame_by_frame(tmp_path: Path) -> None:
    pictures = [scene((90 + 2 * i, 60)) for i in range(4)] + [scene(None)] * 12 + [scene((100, 60))] * 2
    path, told = write_clip(tmp_path / "a.mp4", pictures), []
    found = read_driver(path, Tracker(OvalBackend()), crops=True, encoder=LevelEncoder(), progress=told.append)  # type: ignore[arg-type]
    assert len(found) == 18
    assert told[-1] == 18
    assert [one.face is None for one in found[:4]] == [False] * 4
    assert found[10].face is None
    assert found[10].frame is None
    first = found[0]
    assert first.frame is not None
    assert first.frame.shape == (128, 128, 3)
    assert first.code is not None
    assert first.code.shape == (18, 512)
    assert found[3].quad is not None
    assert first.quad is not None
    assert found[3].quad.mean(0)[0] > first.quad.mean(0)[0] + 2
    assert len(read_driver(path, Tracker(OvalBackend()), limit=2)) == 2


def test_a_clip_without_a_face_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no face is seen in .*a\.mp4"):
        read_driver(write_clip(tmp_path / "a.mp4", [scene(None)] * 3), Tracker(OvalBackend()))


def test_the_reference_is_the_frame_most_like_the_portrait() -> None:
    driver = [frame(0, open_mouth=0.3), frame(1), frame(2, open_eyes=0.0)]
    assert most_alike(driver, measured()) == 1
    assert most_alike(driver, measured(open_mouth=0.28)) == 0
    assert most_alike([replace(driver[1], face=None), driver[2]], measured()) == 1
    turned = [DriverFrame(0, measured(HeadPose(20, 0, 0)), QUAD, None, 0), frame(1)]
    assert most_alike(turned, measured(HeadPose(18, 0, 0))) == 0


def test_averages_over_time_do_not_cross_cuts_and_gaps() -> None:
    driver = [frame(0.0, open_mouth=0.0), frame(0.01, open_mouth=0.2), frame(0.02, scene=1, open_mouth=0.6)]
    driver.append(replace(frame(0.03, scene=1), face=None))
    found = steadied(driver)
    gaps = [None if one.face is None else one.face.openings[2] for one in found]
    assert gaps[0] is not None
    assert gaps[1] is not None
    assert 0 < gaps[0] < gaps[1] < 0.2
    assert gaps[2] == pytest.approx(driver[2].face.openings[2])  # type: ignore[union-attr]
    assert gaps[3] is None


def test_other_times_are_between_frames() -> None:
    driver = [frame(0.0, open_mouth=0.0), frame(1.0, open_mouth=0.4), frame(2.0, scene=1)]
    found = at_times(driver, [0.0, 0.5, 1.4, 2.0, 3.0])
    assert [one.seconds for one in found] == [0.0, 0.5, 1.4, 2.0, 3.0]
    assert [one.scene for one in found] == [0, 0, 0, 1, 1]
    assert found[1].face is not None
    assert found[1].face.openings[2] == pytest.approx(0.2, abs=0.02)
    assert found[1].quad is not None
    np.testing.assert_allclose(found[1].quad, QUAD + 5)
    assert found[2].face is driver[1].face
