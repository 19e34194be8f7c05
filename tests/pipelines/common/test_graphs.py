"""Recorded functions: one recording for each set of shapes, results of their own, and eager where recording fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common import graphs as graphs_module
from dynstream.pipelines.common.graphs import Graphs, Results, graphs_of


class Recorder:
    """Records as CUDA does: results are always the same buffers, which a replay overwrites."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, function: Callable[[], Results]) -> tuple[Callable[[], object], Results]:
        self.count += 1
        results = function()

        def replay() -> None:
            for kept, new in zip(results, function(), strict=True):
                kept.copy_(new)

        return replay, results


def both(x: Tensor, y: Tensor) -> Results:
    return x + y, x * y


def test_shapes_are_recorded_once_and_results_stay() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder)
    first = graphs.run(both, torch.full((3,), 2.0), torch.full((3,), 5.0))
    second = graphs.run(both, torch.full((3,), 1.0), torch.full((3,), 4.0))
    assert [float(part[0]) for part in (*first, *second)] == [7.0, 10.0, 5.0, 4.0]
    graphs.run(both, torch.ones(4), torch.ones(4))
    graphs.run(both, torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    assert recorder.count == 3


def test_what_cannot_be_recorded_runs_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    def refuses(function: Callable[[], Results]) -> tuple[Callable[[], object], Results]:
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = Graphs(refuses)
    for _run in range(2):
        assert float(graphs.run(both, torch.ones(2), torch.ones(2))[0][0]) == 2.0
    assert len(caplog.records) == 1
    assert "both is not recorded as a CUDA graph (operation not permitted" in caplog.text


def test_the_number_of_recordings_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs_module, "MOST", 2)
    recorder = Recorder()
    graphs = Graphs(recorder)
    for size in (1, 2, 3, 4):
        assert graphs.run(both, torch.ones(size), torch.ones(size))[0].shape == (size,)
    assert recorder.count == 2


def test_only_cuda_records() -> None:
    assert graphs_of(torch.device("cpu"))._capture is None
    assert graphs_of(torch.device("cuda"))._capture is graphs_module.capture_on_cuda
