"""Cached flow: what comes back is what would be computed, in half the size; wrong files are named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.flow import DisFlow, FlowPair
from dynstream.pipelines.research.common.flow_cache import ClipFlows, FlowCache, enlarge, shrink
from dynstream.stream.frame import Pixels


class Counting(DisFlow):
    def __init__(self) -> None:
        self.pairs = 0

    def pair(self, first: Pixels, second: Pixels) -> FlowPair:
        self.pairs += 1
        return super().pair(first, second)


def moving(count: int = 4, step: int = 2) -> Pixels:
    """A soft texture that goes `step` pixels to the right in each picture."""
    noise = np.random.default_rng(1).uniform(0, 255, (24, 40, 3)).astype(np.float32)
    big = cv2.resize(noise, (160, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    return np.stack([big[:, 40 - step * i : 136 - step * i] for i in range(count)])


def test_motion_is_found_once_and_cached(tmp_path: Path) -> None:
    flow, told = Counting(), []
    first = FlowCache(tmp_path / "kept").get(moving(), flow, told.append)
    assert flow.pairs == 3
    assert told == [1, 2, 3]
    again = FlowCache(tmp_path / "kept").get(moving(), flow)
    assert flow.pairs == 3
    assert np.array_equal(first.ahead, again.ahead)
    assert first.ahead.shape == (3, 48, 48, 2)
    assert first.ahead.dtype == np.float16
    inner = enlarge(first.ahead[1])[16:-16, 16:-16]
    assert inner.shape == (64, 64, 2)
    np.testing.assert_allclose(inner.mean((0, 1)), [2, 0], atol=0.1)
    np.testing.assert_allclose(enlarge(first.back[1])[16:-16, 16:-16].mean((0, 1)), [-2, 0], atol=0.1)


def test_other_pictures_and_other_methods_have_files_of_their_own(tmp_path: Path) -> None:
    cache, flow = FlowCache(tmp_path), Counting()
    other = Counting()
    other.name = "other"  # type: ignore[misc]
    paths = {cache.path(moving(), flow), cache.path(moving(step=1), flow), cache.path(moving(), other)}
    assert len(paths) == 3
    assert all("dis-medium" in path.name or "other" in path.name for path in paths)


def test_halving_keeps_a_smooth_field() -> None:
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    field = np.stack([3 * np.sin(x / 20), y / 16], -1).astype(np.float32)
    np.testing.assert_allclose(enlarge(shrink(field))[2:-2, 2:-2], field[2:-2, 2:-2], atol=0.05)


@pytest.mark.parametrize("count", [0, 1])
def test_no_pair_no_flow(count: int, tmp_path: Path) -> None:
    flows = FlowCache(tmp_path).get(moving(4)[:count], Counting())
    assert flows.ahead.shape == (0, 48, 48, 2)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    cache, flow = FlowCache(tmp_path), Counting()
    cache.path(moving(), flow).write_bytes(b"nothing")
    with pytest.raises(PipelineError, match=r"flow-dis-medium.*cannot be read .*remove it"):
        cache.get(moving(), flow)


def test_a_folder_that_cannot_be_is_named_and_nothing_half_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="cannot write"):
        FlowCache(tmp_path / "file").get(moving(), Counting())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_fields_must_fit() -> None:
    with pytest.raises(ValueError, match="expected two sets of"):
        ClipFlows(np.zeros((2, 4, 4, 2), np.float16), np.zeros((2, 4, 4), np.float16))
