"""Things in front of faces: each kind covers something, stays in its range, and is the same for the same seed."""

import numpy as np
import pytest

from dynstream.pipelines.research.synth.overlays import KINDS, paste


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_covers_a_part_of_the_square(kind: str) -> None:
    shares = []
    for seed in range(6):
        colours, opacity = KINDS[kind](np.random.default_rng(seed), 128)
        again = KINDS[kind](np.random.default_rng(seed), 128)
        assert colours.shape == (128, 128, 3)
        assert colours.dtype == np.uint8
        assert opacity.dtype == np.float32
        assert opacity.min() >= 0
        assert opacity.max() <= 1
        np.testing.assert_array_equal(colours, again[0])
        np.testing.assert_array_equal(opacity, again[1])
        shares.append(opacity.mean())
    assert 0 < np.mean(shares) < 0.8


def test_pasting_changes_nothing_where_it_is_clear_and_all_where_it_is_opaque() -> None:
    picture = np.full((8, 8, 3), 50, np.uint8)
    opacity = np.zeros((8, 8), np.float32)
    opacity[:4] = 1
    result = paste(picture, (np.full((8, 8, 3), 200, np.uint8), opacity))
    assert (result[:4] == 200).all()
    assert (result[4:] == 50).all()
