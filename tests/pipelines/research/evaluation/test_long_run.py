"""A long run: the way of a clip there and back, its flow in both directions, drift where there is drift."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from torch import Tensor

from dynstream.models.arrays import Float32Array
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.renderer import FaceJob, Rendered
from dynstream.pipelines.inversion.latent_memory import LatentState
from dynstream.pipelines.research.evaluation.long_run import run_long, there_and_back
from dynstream.stream.frame import Pixels

from ..training.moving import clip


class Copying:
    """A renderer that draws the face itself, darker by `drift` levels with each frame."""

    def __init__(self, drift: float = 0.0) -> None:
        self.drift = drift

    def render(self, jobs: list[FaceJob], memories: list[LatentState | None], _stages: Stages) -> list[Rendered]:
        (job,), (memory,) = jobs, memories
        count = 0.0 if memory is None else memory.seconds + 1
        drawn = np.clip(job.face.astype(np.float32) - self.drift * count, 0, 255)
        state = LatentState(Tensor(), count) if memory is None else replace(memory, seconds=count)
        return [Rendered(drawn, drawn, state)]


class Levels:
    name = "levels"

    def embed(self, crops: list[Pixels]) -> Float32Array:
        return np.stack([[float(crop.mean()), 100.0] for crop in crops]).astype(np.float32)


def run(drift: float, frames: int = 60):
    pattern = clip(frames=12, step=2)
    return run_long(Copying(drift), pattern.faces, pattern.flows, None, Levels(), frames)  # type: ignore[arg-type]


def test_there_and_back() -> None:
    walk = list(islice(there_and_back(4), 10))
    assert [place for place, _ in walk] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert [step for _, step in walk] == [0, 1, 1, 1, -1, -1, -1, 1, 1, 1]


def test_what_stays_the_same_does_not_drift() -> None:
    found = run(0.0)
    assert found.frames == 60
    for window in (found.first, found.last):
        assert window.mse == 0
        assert window.warp < 1e-3
        assert window.identity == pytest.approx(1)
    assert found.last.memory >= found.first.memory > 0


def test_drift_is_seen() -> None:
    found = run(0.5)
    assert found.last.mse > 5 * found.first.mse
    assert found.last.identity < found.first.identity


@pytest.mark.parametrize(("faces", "frames"), [(2, 60), (12, 2)])
def test_too_little_to_run(faces: int, frames: int) -> None:
    pattern = clip(frames=12)
    with pytest.raises(PipelineError, match="a long run needs three faces and three frames"):
        run_long(Copying(), pattern.faces[:faces], pattern.flows, None, Levels(), frames)  # type: ignore[arg-type]
