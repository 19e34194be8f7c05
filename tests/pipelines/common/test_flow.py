"""What every flow promises, over both implementations."""

import numpy as np
import pytest

from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.flow import Flow, FlowPair, RaftFlow, load_flow

from ..textures import moving


@pytest.fixture(scope="module", params=["dis", "raft"])
def flow(request: pytest.FixtureRequest, zoo: Zoo) -> Flow:
    return load_flow(request.param, zoo)


def test_reads_motion_both_ways(flow: Flow) -> None:
    first, second = moving(2, (96, 128), (3, -2))
    pair = flow.pair(flow.prepare(first), flow.prepare(second))
    for field, expected in ((pair.forward, [3, -2]), (pair.backward, [-3, 2])):
        assert field.shape == (96, 128, 2)
        assert field.dtype == np.float32
        np.testing.assert_allclose(field[20:-20, 20:-20].mean((0, 1)), expected, atol=0.1)


def test_has_no_memory(flow: Flow) -> None:
    frames = moving(3, (64, 80))
    looks = [flow.prepare(frame) for frame in frames]
    first = flow.pair(looks[0], looks[1])
    flow.pair(looks[1], looks[2])
    again = flow.pair(flow.prepare(frames[0]), flow.prepare(frames[1]))
    assert np.array_equal(first.forward, again.forward)
    assert np.array_equal(first.backward, again.backward)


def test_small_frames_work(flow: Flow) -> None:
    first, second = moving(2, (16, 20), (0, 0))
    assert flow.pair(flow.prepare(first), flow.prepare(second)).forward.shape == (16, 20, 2)


def test_a_shrunk_frame_gives_flow_in_its_own_pixels(zoo: Zoo) -> None:
    raft = load_flow("raft", zoo)
    assert isinstance(raft, RaftFlow)
    small = RaftFlow(raft._network, side=128, iterations=6)
    first, second = moving(2, (192, 256), (8, -4))
    field = small.pair(small.prepare(first), small.prepare(second)).forward
    assert field.shape == (192, 256, 2)
    np.testing.assert_allclose(field[40:-40, 40:-40].mean((0, 1)), [8, -4], atol=0.4)
    assert small.name == "raft-128-6"


def test_bad_settings_are_refused(zoo: Zoo) -> None:
    with pytest.raises(PipelineError, match="expected one of raft, dis"):
        load_flow("farneback", zoo)
    with pytest.raises(ValueError, match=r"two .* fields"):
        FlowPair(np.zeros((4, 4, 2), np.float32), np.zeros((4, 5, 2), np.float32))
