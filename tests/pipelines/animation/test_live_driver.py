"""A live driver: when it is at rest, what it does, and what is shown while it is away."""

from collections.abc import Iterator

import numpy as np
import pytest

from dynstream.pipelines.animation.driver import DriverFrame
from dynstream.pipelines.animation.live_driver import (
    CALIBRATION_SECONDS,
    FORGET_SECONDS,
    HOLD_SECONDS,
    PATIENCE,
    LiveDriver,
    follow,
)
from dynstream.pipelines.tracking.head_pose import HeadPose

from .faces import measured

QUAD = np.array([[0.0, 0], [0, 100], [100, 100], [100, 0]])
STEP = 0.04


class Live:
    """A driver whose frames the test gives one by one."""

    def __init__(self) -> None:
        self.state, self.now = LiveDriver(), 0.0

    def sees(self, seconds: float = STEP, request: int = 0, *, away: bool = False, **options: object) -> LiveDriver:
        """The same face in every frame of so many seconds."""
        face = None if away else measured(**options)  # type: ignore[arg-type]
        for _ in range(max(1, round(seconds / STEP))):
            self.state = follow(self.state, DriverFrame(self.now, face, None if away else QUAD, None, 0), request)
            self.now += STEP
        return self.state

    @property
    def mouth(self) -> float:
        """How far the face that the portrait follows opens its lips."""
        assert self.state.shown is not None
        assert self.state.shown.face is not None
        return float(self.state.shown.face.openings[2])


@pytest.fixture
def live() -> Iterator[Live]:
    """Calibrated at rest, and a second later."""
    one = Live()
    one.sees(CALIBRATION_SECONDS + 1)
    return one


def test_the_first_half_second_of_a_still_face_is_at_rest() -> None:
    live = Live()
    assert live.sees(CALIBRATION_SECONDS / 2).calibrating
    assert live.state.shown is None
    assert not live.sees(CALIBRATION_SECONDS).calibrating
    assert live.state.window == ()
    assert live.mouth == pytest.approx(measured().openings[2], abs=1e-6)


def test_a_face_that_looks_away_is_no_calibration_and_a_talker_is_taken_where_it_rests_most() -> None:
    live = Live()
    assert live.sees(PATIENCE - 0.2, pose=HeadPose(35, 0, 0)).calibrating
    live = Live()
    for number in range(round(PATIENCE / STEP) + 2):
        live.sees(open_mouth=0.3 * (number % 2) + (0.1 if number != 20 else 0.0))
    assert not live.state.calibrating
    assert live.state.reference is not None
    assert live.state.reference.face is not None
    assert live.state.reference.face.openings[2] == pytest.approx(measured().openings[2], abs=1e-6)


def test_a_face_is_followed_at_once(live: Live) -> None:
    rest = live.mouth
    live.sees(open_mouth=0.3)
    goal = float(measured(open_mouth=0.3).openings[2])
    assert live.mouth > rest + 0.6 * (goal - rest)
    live.sees(0.2, open_mouth=0.3)
    assert live.mouth == pytest.approx(goal, rel=0.02)


def test_a_lost_face_is_held_then_goes_to_rest_and_comes_back_smoothly(live: Live) -> None:
    rest = live.mouth
    live.sees(0.4, open_mouth=0.3)
    held = live.mouth
    assert live.sees(HOLD_SECONDS - 0.1, away=True).is_away
    assert live.mouth == held
    live.sees(2.5, away=True)
    assert live.mouth == pytest.approx(rest, abs=0.01)
    still = live.state.shown
    live.sees(1.0, away=True)
    assert live.state.shown is still  # nothing is drawn for it any more
    path = []
    for _ in range(30):
        live.sees(open_mouth=0.3)
        path.append(live.mouth)
    assert not live.state.is_away
    assert path == sorted(path)
    assert max(np.diff([rest, *path])) < 0.35 * (held - rest)
    assert path[-1] == pytest.approx(held, rel=0.02)


def test_another_calibration_goes_through_rest(live: Live) -> None:
    live.sees(0.4, open_mouth=0.3)
    before = live.mouth
    assert live.sees(request=1, open_mouth=0.3).calibrating
    assert live.mouth < before
    live.sees(CALIBRATION_SECONDS + STEP, request=1, open_mouth=0.3)
    assert not live.state.calibrating
    assert live.state.reference is not None
    assert live.state.reference.face is not None
    assert live.state.reference.face.openings[2] == pytest.approx(before, rel=0.02)


def test_who_comes_back_late_is_calibrated_again(live: Live) -> None:
    live.sees(FORGET_SECONDS - 1, away=True)
    assert not live.sees(open_mouth=0.3).calibrating
    live.sees(FORGET_SECONDS + 1, away=True)
    assert live.sees(open_mouth=0.3).calibrating


def test_times_that_go_back_do_no_harm(live: Live) -> None:
    live.now = 0.2
    live.sees(0.4, open_mouth=0.3)
    assert np.isfinite(live.mouth)
