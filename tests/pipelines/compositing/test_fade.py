"""When an edit gives way, why, and how fast."""

from dataclasses import replace

import numpy as np
import pytest

from dynstream.pipelines.compositing.fade import FADE_SECONDS, approach, wish
from dynstream.pipelines.tracking.face_track import FaceTrack
from dynstream.pipelines.tracking.head_pose import HeadPose
from dynstream.pipelines.tracking.tracker import TrackerSettings

GOOD = FaceTrack(
    id=1,
    landmarks=np.zeros((478, 3), np.float32),
    layout="mesh-478",
    blendshapes=None,
    points=np.array([[40.0, 50.0], [60.0, 50.0], [50.0, 70.0]]),
    confidence=0.95,
    presence=0.95,
    covered=0.05,
    hidden=np.zeros(478, np.bool_),
    pose=HeadPose(10.0, -10.0, 30.0),
    seconds_held=1.0,
    seen=True,
)


def turned(yaw: float = 0.0, pitch: float = 0.0) -> FaceTrack:
    return replace(GOOD, pose=HeadPose(yaw, pitch, 0.0))


def test_a_good_face_is_edited_fully() -> None:
    assert wish(GOOD).weight == 1
    assert wish(GOOD).reason == ""


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (replace(GOOD, seen=False), "lost"),
        (replace(GOOD, confidence=0.2), "uncertain"),
        (turned(yaw=80), "profile"),
        (turned(yaw=-80), "profile"),
        (turned(pitch=70), "tilted"),
        (turned(pitch=-70), "tilted"),
        (replace(GOOD, covered=0.6), "covered"),
    ],
)
def test_every_reason(track: FaceTrack, reason: str) -> None:
    assert wish(track).weight == 0
    assert wish(track).reason == reason


@pytest.mark.parametrize(
    ("make", "start", "end"),
    [
        (lambda value: replace(GOOD, confidence=value), 0.65, 0.35),
        (lambda value: turned(yaw=value), 45, 65),
        (lambda value: turned(yaw=-value), 45, 65),
        (lambda value: turned(pitch=value), 40, 60),
        (lambda value: replace(GOOD, covered=value), 0.22, 0.34),
    ],
)
def test_slopes_are_even(make: object, start: float, end: float) -> None:
    values = np.linspace(start, end, 11)
    weights = [wish(make(value)).weight for value in values]  # type: ignore[operator]
    assert weights == pytest.approx(np.linspace(1, 0, 11), abs=1e-9)
    assert all(wish(make(value)).reason for value in values[1:])  # type: ignore[operator]


def test_the_strongest_reason_is_named() -> None:
    track = replace(turned(yaw=50), covered=0.31)
    assert wish(track).reason == "covered"
    assert wish(track).weight == pytest.approx(0.25)
    assert wish(replace(track, seen=False)).reason == "lost"


def test_the_way_takes_its_time_whatever_the_frame_rate() -> None:
    for rate in (5, 24, 60, 240):
        weight, frames = 1.0, 0
        while weight > 0:
            weight = approach(weight, 0.0, 1 / rate)
            frames += 1
        assert frames == pytest.approx(FADE_SECONDS * rate, abs=1.01)


def test_it_stops_where_it_wants_to_be() -> None:
    assert approach(0.2, 0.5, 10) == 0.5
    assert approach(0.9, 0.5, 10) == 0.5
    assert approach(0.5, 0.5, 0.01) == 0.5
    assert approach(0.0, 1.0, FADE_SECONDS / 2) == pytest.approx(0.5)
    assert approach(1.0, 0.0, FADE_SECONDS / 4) == pytest.approx(0.75)


def test_no_time_no_step() -> None:
    assert approach(0.3, 1.0, 0.0) == 0.3
    assert approach(0.3, 1.0, -1.0) == 0.3


def test_a_lost_face_has_faded_before_the_tracker_forgets_it() -> None:
    assert TrackerSettings().fade_seconds >= FADE_SECONDS
