import pytest

from dynstream.stream.webrtc.frame_rate import HOLD_SECONDS, FrameRateHold
from dynstream.stream.webrtc.rate_hold import RateHold


def test_small_wishes_change_nothing() -> None:
    hold = RateHold(1_000_000, 200_000, 3_000_000)
    for wish in (900_000, 1_200_000, 870_000):
        hold.want(wish)
        assert not hold.step(100.0)
    assert hold.held == 1_000_000


def test_it_falls_quickly_and_rises_slowly() -> None:
    hold = RateHold(1_000_000, 200_000, 3_000_000)
    hold.want(500_000)
    assert hold.step(100.0)
    hold.want(300_000)
    assert not hold.step(100.5)
    assert hold.step(101.0)
    hold.want(2_000_000)
    assert not hold.step(105.0)
    assert hold.step(109.0)
    assert hold.held == 2_000_000


def test_a_rate_that_swings_moves_it_seldom() -> None:
    hold = RateHold(1_000_000, 200_000, 3_000_000)
    moves = 0
    for second in range(60):
        hold.want(1_500_000 if second % 2 else 800_000)
        moves += hold.step(100.0 + second)
    assert moves <= 60 / 8 * 2 + 1


def test_the_bounds_hold() -> None:
    hold = RateHold(1_000_000, 200_000, 3_000_000)
    hold.want(1)
    assert hold.wanted == 200_000
    hold.want(10**9)
    assert hold.wanted == 3_000_000
    with pytest.raises(ValueError, match="low <= start"):
        RateHold(1, 2, 3)


def test_the_true_frame_rate_is_found_once() -> None:
    hold = FrameRateHold(30)
    moved = [number for number in range(200) if hold.step(number / 10)]
    assert len(moved) == 1
    assert hold.held == pytest.approx(10)


def test_a_rate_that_is_nearly_right_stays() -> None:
    hold = FrameRateHold(30)
    assert not any(hold.step(number / 25) for number in range(500))


def test_a_rate_that_swings_is_held() -> None:
    hold, seconds, moves = FrameRateHold(30), 0.0, 0
    for number in range(1000):
        seconds += 1 / 30 if number // 60 % 2 else 1 / 10
        moves += hold.step(seconds)
    assert moves <= seconds / HOLD_SECONDS + 1
