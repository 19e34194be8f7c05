"""The flow warp error against cases worked out by hand."""

import numpy as np
import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.flow import FlowPair, load_flow
from dynstream.pipelines.common.image_ops import warp_pixels
from dynstream.pipelines.research.metrics.warp_error import VideoWarpError, pair_error, visible, warp_error

from ...textures import Pixels, moving


def shift(right: float, down: float, size: tuple[int, int] = (40, 50)) -> FlowPair:
    forward = np.empty((*size, 2), np.float32)
    forward[:] = right, down
    return FlowPair(forward, -forward)


def test_hand_computed() -> None:
    """Grey 100 becomes 151: a difference of 0.2 in every channel, squared 0.04."""
    before, after = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8, 3), 151, np.uint8)
    still = np.zeros((8, 8, 2), np.float32)
    assert warp_error(before, after, still, np.ones((8, 8), np.float32)) == pytest.approx(0.04, rel=1e-6)
    after[:4] = 100
    half = np.ones((8, 8), np.float32)
    assert warp_error(before, after, still, half) == pytest.approx(0.02, rel=1e-6)
    half[4:] = 0
    assert warp_error(before, after, still, half) == 0
    assert np.isnan(warp_error(before, after, still, np.zeros((8, 8), np.float32)))


def test_one_channel_counts_a_third() -> None:
    before = np.zeros((8, 8, 3), np.uint8)
    after = before.copy()
    after[..., 1] = 255
    error = warp_error(before, after, np.zeros((8, 8, 2), np.float32), np.ones((8, 8), np.float32))
    assert error == pytest.approx(1 / 3, rel=1e-6)


def test_true_motion_leaves_no_error() -> None:
    before, after = moving(2, (40, 50), (3, -2))
    pair = shift(3, -2)
    np.testing.assert_array_equal(warp_pixels(before, pair.backward)[:-2, 3:], after[:-2, 3:])
    assert warp_error(before, after, pair.backward, visible(pair)) == 0
    assert warp_error(before, after, np.zeros_like(pair.backward), visible(pair)) > 1e-3


def test_what_comes_into_the_frame_is_not_visible() -> None:
    mask = visible(shift(3, -2))
    expected = np.zeros((40, 50), np.float32)
    expected[:-2, 3:] = 1
    np.testing.assert_array_equal(mask, expected)


def test_what_was_covered_is_not_visible() -> None:
    """A square moves over a still background; behind it appears what could not be seen before."""
    pair = shift(0, 0)
    pair.forward[10:20, 10:20] = 8, 0
    pair.backward[10:20, 18:28] = -8, 0
    mask = visible(pair)
    assert mask[11:19, 19:27].all()
    assert not mask[11:19, 11:17].any()
    assert mask[30:, :].all()


def test_invariances() -> None:
    before, after = moving(2, (40, 50))
    pair, ones = shift(0, 0), np.ones((40, 50), np.float32)
    error = warp_error(before, after, pair.backward, ones)
    assert error > 0
    assert warp_error(after, before, pair.backward, ones) == pytest.approx(error, rel=1e-6)
    mirrored = warp_error(
        np.ascontiguousarray(before[:, ::-1]), np.ascontiguousarray(after[:, ::-1]), pair.backward, ones
    )
    assert mirrored == pytest.approx(error, rel=1e-6)
    assert warp_error(before // 2, after // 2, pair.backward, ones) == pytest.approx(error / 4, rel=0.05)


def test_source_against_itself_is_the_floor() -> None:
    before, after = moving(2, (40, 50))
    found = pair_error((before, after), (before, after), shift(2, -1))
    assert found.result == found.source
    assert VideoWarpError(found.result, found.source, 1).ratio == 1 or found.source == 0
    assert np.isnan(VideoWarpError(0.04, 0.0, 1).ratio)


def test_a_region_is_looked_at_alone() -> None:
    before, after = np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50, 3), np.uint8)
    after[:, :25] = 51
    region = np.zeros((40, 50), np.float32)
    region[:, :25] = 1
    whole = pair_error((before, before), (before, after), shift(0, 0))
    part = pair_error((before, before), (before, after), shift(0, 0), region)
    assert (whole.result, part.result) == (pytest.approx(0.02, rel=1e-6), pytest.approx(0.04, rel=1e-6))


def test_flicker_raises_it_and_the_flow_is_the_sources(zoo: Zoo) -> None:
    source = moving(5, (64, 80))
    steady = [frame // 2 for frame in source]
    rng = np.random.default_rng(0)
    flickering: list[Pixels] = [np.clip(f.astype(int) + rng.integers(-20, 21), 0, 255).astype(np.uint8) for f in source]
    flow = load_flow("dis", zoo)
    looks = [flow.prepare(frame) for frame in source]

    def ratio(result: list[Pixels]) -> float:
        pairs = [
            pair_error((source[i], source[i + 1]), (result[i], result[i + 1]), flow.pair(looks[i], looks[i + 1]))
            for i in range(4)
        ]
        return sum(pair.result for pair in pairs) / sum(pair.source for pair in pairs)

    assert ratio(source) == 1
    assert ratio(steady) < 1
    assert ratio(flickering) > 3
