"""Colours: a known change of light is found again, grey stays grey, limits hold, changes come slowly."""

import numpy as np
import numpy.typing as npt
import pytest

from dynstream.pipelines.compositing.colour_match import (
    LARGEST_GAIN,
    LARGEST_SATURATION,
    LARGEST_TURN,
    TO_LUMA,
    ColourMatch,
    follow,
    measure,
)

Floats = npt.NDArray[np.float32]
SKIN = np.array([190.0, 140.0, 115.0])


def picture(seed: int = 0) -> Floats:
    """Skin with a texture."""
    noise = np.random.default_rng(seed).uniform(-20, 20, (64, 64, 3))
    return (SKIN + noise).astype(np.float32)


def mask() -> Floats:
    out = np.zeros((64, 64), np.float32)
    out[16:48, 16:48] = 1
    out[16:48, 10:16] = 0.5
    return out


def light(gain: float, saturation: float, turn: float) -> Floats:
    """(3, 3): the change of colours that a match can describe."""
    cos, sin = saturation * np.cos(turn), saturation * np.sin(turn)
    scaled = np.array([[gain, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.asarray(np.linalg.inv(TO_LUMA) @ scaled @ TO_LUMA, dtype=np.float32)


def parts(match: ColourMatch) -> tuple[float, float, float]:
    """(gain of luma, saturation, turn of hue in radians)."""
    inner = TO_LUMA @ match.matrix @ np.linalg.inv(TO_LUMA)
    np.testing.assert_allclose(inner[[0, 0, 1, 2], [1, 2, 0, 0]], 0, atol=1e-4)
    np.testing.assert_allclose([inner[1, 1], inner[1, 2]], [inner[2, 2], -inner[2, 1]], atol=1e-4)
    turn = complex(inner[1, 1], inner[2, 1])
    return float(inner[0, 0]), abs(turn), float(np.angle(turn))


@pytest.mark.parametrize(
    ("gain", "saturation", "turn"),
    [(1.0, 1.0, 0.0), (1.3, 1.0, 0.0), (0.7, 1.2, 0.1), (1.1, 0.7, -0.3), (0.9, 1.4, 0.4)],
)
def test_a_known_light_is_found_again(gain: float, saturation: float, turn: float) -> None:
    drawn = picture()
    face = drawn @ light(gain, saturation, turn).T
    expected = face.copy()
    face[mask() == 0] = 255  # what is outside the mask says nothing
    found = measure(face, drawn, mask())
    assert parts(found) == pytest.approx((gain, saturation, turn), abs=0.01)
    np.testing.assert_allclose(found.apply(drawn)[20:44, 20:44], expected[20:44, 20:44], atol=1.0)
    assert found.apply(drawn).dtype == np.float32


def test_only_the_mean_counts() -> None:
    """Another pattern in the same colours is no reason to change them."""
    assert parts(measure(picture(1), picture(2), np.ones((64, 64), np.float32))) == pytest.approx((1, 1, 0), abs=0.02)


def test_equal_pictures_are_left_alone() -> None:
    found = measure(picture(), picture(), mask())
    np.testing.assert_allclose(found.matrix, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found.apply(picture()), picture(), atol=1e-3)


def test_grey_stays_grey() -> None:
    """Teeth and eyes keep their colour whatever the skin needs."""
    face = picture() * np.float32([1.3, 0.8, 0.6])
    grey = np.repeat(np.linspace(0, 255, 16, dtype=np.float32)[:, None, None], 3, axis=2)
    matched = measure(face, picture(), mask()).apply(grey)
    np.testing.assert_allclose(matched, matched[..., :1].repeat(3, axis=2), atol=0.01)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 20, 250)])
def test_limits_hold(colour: tuple[int, int, int]) -> None:
    face = np.full((64, 64, 3), colour, np.float32)
    for one, other in ((face, picture()), (picture(), face)):
        gain, saturation, turn = parts(measure(one, other, mask()))
        assert 1 / LARGEST_GAIN - 1e-4 <= gain <= LARGEST_GAIN + 1e-4
        assert 0.2 - 1e-4 <= saturation <= LARGEST_SATURATION + 1e-4
        assert abs(turn) <= LARGEST_TURN + 1e-3


@pytest.mark.parametrize("level", [0.0, 128.0, 255.0])
def test_flat_grey_and_empty_masks_change_nothing(level: float) -> None:
    flat = np.full((64, 64, 3), level, np.float32)
    for where in (mask(), np.zeros((64, 64), np.float32)):
        np.testing.assert_allclose(measure(flat, flat, where).matrix, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(measure(picture(), flat, np.zeros((64, 64), np.float32)).matrix, np.eye(3), atol=1e-5)


def test_following_is_an_average_over_time() -> None:
    one, other = ColourMatch(light(1, 1, 0)), ColourMatch(light(1.5, 0.8, 0.3))
    assert follow(None, other, 0.0) is other
    assert np.array_equal(follow(one, other, 0.0).matrix, one.matrix)
    assert np.array_equal(follow(one, other, -1.0).matrix, one.matrix)
    after = follow(one, other, 0.5)
    np.testing.assert_allclose(after.matrix, one.matrix + (other.matrix - one.matrix) * (1 - np.exp(-1)), atol=1e-5)
    assert after.matrix.dtype == np.float32
    stepped = one
    for _ in range(10):
        stepped = follow(stepped, other, 0.05)
    np.testing.assert_allclose(stepped.matrix, after.matrix, atol=1e-5)
