"""CUDA graphs: a function of tensors is recorded once for each set of shapes, and then replayed as one launch.

A frame's compositing is some two thousand small operations, and launching them takes longer than running them.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

Results = tuple[Tensor, ...]
Function = Callable[..., Results]
Capture = Callable[[Callable[[], Results]], tuple[Callable[[], object], Results]]
"""Runs a function and gives (what repeats it into the same results, these results)."""

MOST: Final = 48
"""Graphs that are kept: each holds the memory of its intermediate results. Further shapes run one by one."""
WARM_UP: Final = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    """A recorded function; None in `replay` where it could not be recorded."""

    inputs: tuple[Tensor, ...]
    replay: Callable[[], object] | None
    results: Results


class Graphs:
    """Runs functions, recorded where `capture` is given. Results are the caller's own."""

    def __init__(self, capture: Capture | None = None) -> None:
        self._capture = capture
        self._recorded: dict[object, _Recorded] = {}
        self._lock = threading.Lock()

    def run(self, function: Function, *inputs: Tensor) -> Results:
        """`function(*inputs)`. It must do the same for the same shapes: no branch on values, no random numbers."""
        if self._capture is None:
            return function(*inputs)
        key = function, tuple((each.shape, each.dtype) for each in inputs)
        with self._lock:  # the buffers of a graph hold one frame at a time
            found = self._recorded.get(key)
            if found is None and len(self._recorded) < MOST:
                found = self._recorded[key] = self._record(self._capture, function, inputs)
            if found is None or found.replay is None:
                return function(*inputs)
            for kept, new in zip(found.inputs, inputs, strict=True):
                kept.copy_(new)
            found.replay()
            return tuple(result.clone() for result in found.results)

    def _record(self, capture: Capture, function: Function, inputs: tuple[Tensor, ...]) -> _Recorded:
        kept = tuple(each.clone() for each in inputs)
        try:
            replay, results = capture(lambda: function(*kept))
        except RuntimeError as error:
            name = getattr(function, "__qualname__", repr(function))
            log.warning("%s is not recorded as a CUDA graph (%s); it runs one by one", name, str(error).split("\n")[0])
            return _Recorded(kept, None, ())
        return _Recorded(kept, replay, results)


def graphs_of(device: torch.device) -> Graphs:
    """Recording on CUDA; elsewhere functions run as they are."""
    return Graphs(capture_on_cuda if device.type == "cuda" else None)


def capture_on_cuda(function: Callable[[], Results]) -> tuple[Callable[[], object], Results]:
    """Record a function, after a few runs on a side stream, as cuDNN and cuBLAS choose and allocate in the first."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _run in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = function()
    return graph.replay, results
