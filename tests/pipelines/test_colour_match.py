"""Colours: a known gain and shift are found again, limits hold, changes come slowly."""

import numpy as np
import numpy.typing as npt
import pytest

from dynstream.pipelines.colour_match import LARGEST_GAIN, LARGEST_SHIFT, ColourMatch, follow, measure

Floats = npt.NDArray[np.float32]


def picture(seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(60, 160, (64, 64, 3)).astype(np.float32)


def mask() -> Floats:
    out = np.zeros((64, 64), np.float32)
    out[16:48, 16:48] = 1
    out[16:48, 10:16] = 0.5
    return out


@pytest.mark.parametrize(
    ("gain", "shift"), [((1, 1, 1), (0, 0, 0)), ((1.2, 0.9, 1.0), (10, -5, 20)), ((0.8, 1.3, 1.1), (30, -30, -12))]
)
def test_a_known_map_is_found_again(gain: tuple[float, ...], shift: tuple[float, ...]) -> None:
    drawn = picture()
    face = drawn * np.float32(gain) + np.float32(shift)
    face[mask() == 0] = 255  # what is outside the mask says nothing
    found = measure(face, drawn, mask())
    np.testing.assert_allclose(found.gain, gain, atol=2e-3)
    np.testing.assert_allclose(found.shift, shift, atol=0.3)
    inside = mask() > 0
    np.testing.assert_allclose(found.apply(drawn)[inside], face[inside], atol=0.3)


def test_equal_pictures_are_left_to_the_bit() -> None:
    found = measure(picture(), picture(), mask())
    np.testing.assert_array_equal(found.gain, np.ones(3, np.float32))
    np.testing.assert_allclose(found.shift, 0, atol=1e-4)


def test_limits_hold() -> None:
    drawn = picture()
    for face in (5 * drawn - 300, 0.05 * drawn + 100, drawn + 200, drawn - 200):
        found = measure(face.astype(np.float32), drawn, mask())
        assert (found.gain <= LARGEST_GAIN + 1e-6).all()
        assert (found.gain >= 1 / LARGEST_GAIN - 1e-6).all()
        assert (np.abs(found.shift) <= LARGEST_SHIFT + 128 * np.abs(found.gain - 1) + 1e-3).all()
    shifted = measure((drawn + 200).astype(np.float32), drawn, mask())
    np.testing.assert_allclose(shifted.shift, LARGEST_SHIFT, atol=0.1)


@pytest.mark.parametrize("level", [0.0, 128.0])
def test_flat_pictures_and_empty_masks_give_finite_maps(level: float) -> None:
    flat = np.full((64, 64, 3), level, np.float32)
    for where in (mask(), np.zeros((64, 64), np.float32)):
        found = measure(flat, flat, where)
        np.testing.assert_allclose(found.apply(flat), flat, atol=1e-3)
    assert np.isfinite(measure(flat, picture(), mask()).apply(picture())).all()


def test_following_is_an_average_over_time() -> None:
    one = ColourMatch(np.ones(3, np.float32), np.zeros(3, np.float32))
    other = ColourMatch(np.full(3, 1.5, np.float32), np.full(3, 20, np.float32))
    assert follow(None, other, 0.0) is other
    assert np.array_equal(follow(one, other, 0.0).shift, one.shift)
    assert np.array_equal(follow(one, other, -1.0).shift, one.shift)
    after = follow(one, other, 0.5)
    np.testing.assert_allclose(after.gain, 1 + 0.5 * (1 - np.exp(-1)), rtol=1e-5)
    stepped = one
    for _ in range(10):
        stepped = follow(stepped, other, 0.05)
    np.testing.assert_allclose(stepped.shift, after.shift, rtol=1e-4)
