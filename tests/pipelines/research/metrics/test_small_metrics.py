"""Flicker, AKD, AED, shifts, accuracy, leakage and the clips of FVD, each by hand."""

import numpy as np
import pytest

from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.directions.attributes import NAMES
from dynstream.pipelines.research.metrics.editing import SPREADS, leakage, manipulation_accuracy, shifts
from dynstream.pipelines.research.metrics.motion import aed, akd, landmarks
from dynstream.pipelines.research.metrics.temporal import flicker
from dynstream.pipelines.research.metrics.video_clips import RATE, ClipBuffer, Ticks

from ...textures import Pixels, moving


def grey(level: int) -> Pixels:
    return np.full((12, 16, 3), level, np.uint8)


def test_flicker_by_hand() -> None:
    assert flicker(grey(100), grey(110), grey(100)) == 10
    assert flicker(grey(100), grey(110), grey(120)) == 0
    assert flicker(grey(100), grey(103), grey(101)) == 2.5


def test_flicker_does_not_see_the_direction_of_time() -> None:
    a, b, c = moving(3)
    assert flicker(a, b, c) == flicker(c, b, a) > 0


def test_akd_by_hand() -> None:
    a = np.array([[0, 0], [10, 10]], np.float32)
    b = np.array([[3, 4], [10, 10]], np.float32)
    assert akd(a, b) == pytest.approx(2.5)
    assert akd(a, a) == 0
    assert akd(a + 7, b + 7) == pytest.approx(akd(a, b))


def test_aed_by_hand() -> None:
    a, b = np.array([[0, 0], [1, 1]], np.float32), np.array([[3, 4], [1, 1]], np.float32)
    assert aed(a, b).tolist() == [5, 0]


def test_no_landmarks_without_a_face(zoo: Zoo) -> None:
    assert landmarks(load_mesh_backend(zoo), np.full((128, 128, 3), 90, np.uint8)) is None


def scores(**values: float) -> np.ndarray:
    return np.array([values.get(name.replace("-", "_"), 0.0) for name in NAMES])


def test_shifts_are_told_in_spreads() -> None:
    moved = shifts(scores(), scores(age=2 * SPREADS["age"], smile=-SPREADS["smile"]))
    assert moved[NAMES.index("age")] == pytest.approx(2)
    assert moved[NAMES.index("smile")] == pytest.approx(-1)
    assert set(SPREADS) == set(NAMES)


def test_manipulation_accuracy_by_hand() -> None:
    """Of four frames the smile rose enough in three; asked the other way, it fell in none."""
    before = np.stack([scores()] * 4)
    after = np.stack([scores(smile=SPREADS["smile"] * by) for by in (0.5, 1.0, 3.0, 0.4)])
    assert manipulation_accuracy(before, after, {"smile": 2}) == 0.75
    assert manipulation_accuracy(before, after, {"smile": -2}) == 0
    assert manipulation_accuracy(before, after, {"smile": 2, "age": 1}) == 0.375
    assert manipulation_accuracy(before, before, {"smile": 2}) == 0


def test_leakage_by_hand() -> None:
    """Age moved by 3 spreads up in one frame and 1 in the other: a mean of 2, over six attributes not asked for."""
    before = np.stack([scores()] * 2)
    after = np.stack([scores(smile=9, age=SPREADS["age"] * by) for by in (3, 1)])
    assert leakage(before, after, ["smile"]) == pytest.approx(2 / 6)
    assert leakage(before, before, ["smile"]) == 0


def test_unknown_attributes_are_refused() -> None:
    one = scores()[None]
    with pytest.raises(PipelineError, match="unknown attribute 'beard'"):
        manipulation_accuracy(one, one, {"beard": 1})
    with pytest.raises(PipelineError, match="unknown attribute 'beard'"):
        leakage(one, one, ["beard"])
    with pytest.raises(PipelineError, match="needs an edit"):
        manipulation_accuracy(one, one, {"smile": 0})


@pytest.mark.parametrize("rate", [10, 23.976, 25, 30, 60])
def test_ten_frames_a_second_are_kept(rate: float) -> None:
    state, kept = Ticks(), 0
    for index in range(round(10 * rate)):
        state, keep = state.step(index / rate)
        kept += keep
    assert kept == 10 * RATE


def test_slow_videos_keep_every_frame() -> None:
    state = Ticks()
    for index in range(20):
        state, keep = state.step(index / 5)
        assert keep


def test_clips_do_not_overlap() -> None:
    buffer = ClipBuffer(4)
    clips = [clip for level in range(10) for clip in buffer.add(grey(level))]
    assert [[int(frame[0, 0, 0]) for frame in clip] for clip in clips] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert clips[0][0].shape == (224, 224, 3)
