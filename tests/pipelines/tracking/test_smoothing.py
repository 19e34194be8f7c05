import numpy as np
import pytest

from dynstream.pipelines.tracking.align import ffhq_quad, side
from dynstream.pipelines.tracking.smoothing import begin, follow

POINTS = np.array([[100.0, 104.0], [160.0, 97.0], [133.0, 166.0]])


def run(frames: list[np.ndarray], rate: float = 25.0) -> np.ndarray:
    """(n, 4, 2) quads of the smoothed points."""
    state, quads = begin(frames[0], 0.0), [ffhq_quad(frames[0])]
    for index, points in enumerate(frames[1:], 1):
        state, smoothed = follow(state, points, index / rate)
        quads.append(ffhq_quad(smoothed))
    return np.array(quads)


def trembling(quads: np.ndarray) -> float:
    """Root mean square of the corners' second differences, in pixels."""
    return float(np.sqrt((np.diff(quads, 2, axis=0) ** 2).sum(axis=-1).mean()))


def test_points_at_rest_stay() -> None:
    quads = run([POINTS] * 20)
    np.testing.assert_allclose(quads, np.repeat(ffhq_quad(POINTS)[None], 20, axis=0), atol=1e-9)


def test_trembling_is_reduced_to_a_third() -> None:
    noise = np.random.default_rng(0).normal(0, 0.6, (200, 3, 2))
    noisy = [POINTS + one for one in noise]
    raw = np.array([ffhq_quad(one) for one in noisy])
    assert trembling(run(noisy)) < trembling(raw) / 3


def test_motion_is_followed_closely() -> None:
    path = [POINTS + np.array([100 * (1 - np.cos(index / 25 * np.pi)) / 2, 0]) for index in range(26)]
    lag = ffhq_quad(path[13])[0] - run(path)[13][0]
    assert 0 < lag[0] < 0.04 * side(ffhq_quad(POINTS))
    assert abs(lag[1]) < 1e-6


def test_faces_near_and_far_are_treated_alike() -> None:
    noise = np.random.default_rng(1).normal(0, 2, (50, 3, 2)) + np.linspace(0, 60, 50)[:, None, None]
    small = run([POINTS + one for one in noise])
    large = run([4 * (POINTS + one) + 30 for one in noise])
    np.testing.assert_allclose(large, 4 * small + 30, atol=1e-6)


def test_a_turn_through_half_a_circle_does_not_wind_back() -> None:
    def turned(degrees: float) -> np.ndarray:
        turn = np.radians(degrees)
        return (POINTS - 120) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + 120

    quads = run([turned(degrees) for degrees in np.arange(150, 215, 2.5)])
    across = quads[:, 3] - quads[:, 0]
    angles = np.degrees(np.unwrap(np.arctan2(across[:, 1], across[:, 0])))
    assert (np.diff(angles) > 0).all()
    assert np.diff(angles).max() < 5


def test_a_repeated_stamp_keeps_the_last_answer() -> None:
    state = begin(POINTS, 1.0)
    state, smoothed = follow(state, POINTS + 20, 1.0)
    np.testing.assert_allclose(ffhq_quad(smoothed), ffhq_quad(POINTS), atol=1e-9)
    _, later = follow(state, POINTS + 20, 1.04)
    assert np.abs(later - POINTS).mean() == pytest.approx(10, abs=10)
