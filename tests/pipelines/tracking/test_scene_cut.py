import numpy as np
import pytest

from dynstream.pipelines.tracking.scene_cut import changes, is_cut, thumbnail

from ...drawn_face import draw_face


def room(seed: int, base: tuple[int, int, int]) -> np.ndarray:
    """A wall with furniture: random rectangles around one colour."""
    generator = np.random.default_rng(seed)
    pixels = np.full((360, 640, 3), base, np.uint8)
    for _ in range(12):
        x, y = generator.integers(0, 560), generator.integers(0, 300)
        pixels[y : y + generator.integers(20, 160), x : x + generator.integers(20, 240)] = generator.integers(0, 256, 3)
    return pixels


def test_another_room_is_a_cut() -> None:
    assert is_cut(thumbnail(room(1, (120, 90, 70))), thumbnail(room(2, (60, 80, 140))))


def test_the_same_frame_is_none() -> None:
    small = thumbnail(room(1, (120, 90, 70)))
    assert changes(small, small) == (0, 0)
    assert not is_cut(small, small)


def test_a_moving_head_is_none() -> None:
    assert not is_cut(thumbnail(draw_face(x=250, width=180)), thumbnail(draw_face(x=330, width=180)))


def test_a_change_of_light_is_none() -> None:
    pixels = room(3, (120, 90, 70))
    brighter = np.clip(pixels * 1.08 + 4, 0, 255).astype(np.uint8)
    assert not is_cut(thumbnail(pixels), thumbnail(brighter))


def test_noise_is_none() -> None:
    pixels = room(4, (120, 90, 70)).astype(int)
    noisy = np.clip(pixels + np.random.default_rng(0).normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    assert not is_cut(thumbnail(pixels.astype(np.uint8)), thumbnail(noisy))


@pytest.mark.parametrize("size", [(1, 1), (36, 64), (35, 3000), (4320, 7680)])
def test_any_size_makes_a_thumbnail(size: tuple[int, int]) -> None:
    assert thumbnail(np.zeros((*size, 3), np.uint8)).shape == (36, 64, 3)
