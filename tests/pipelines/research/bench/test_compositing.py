"""Ways of putting a face back, on faces whose drawing is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from dynstream.models.arrays import Float32Array
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.compositing import SHIPS, WAYS, CompositingScorers, bench_compositing
from dynstream.stream.frame import Pixels

from ...fakes import editor, scene, write_clip


class Levels:
    """In an embedder's place: the mean colours of the middle of the face."""

    name = "levels"

    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        return np.stack([crop[96:160, 96:160].mean((0, 1)) for crop in crops]).astype(np.float32)


class Brightness:
    """In a scorer's place: seven times the mean level, as the edits of the fakes move it."""

    def __call__(self, face: Pixels) -> npt.NDArray[np.float64] | None:
        return np.full(7, face[96:160, 96:160].mean() / 255)


def scorers(own: str = "smile") -> CompositingScorers:
    return CompositingScorers({"arcface": Levels(), "dlib": Levels()}, Brightness(), own)  # type: ignore[arg-type, dict-item]


def test_every_way_is_scored_on_the_same_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(5)])
    read: list[int] = []
    document = bench_compositing([clip], editor("smile=2"), scorers(), every=2, progress=read.append)
    rows = {row.name: row.values for row in document.tables[0].rows}
    assert list(rows) == [*WAYS, SHIPS]
    assert read == [1, 2, 3, 4, 5]
    assert document.note.startswith("3 frames (every 2nd")
    moved = {name: float(values["smile, own score"] or 0) for name, values in rows.items()}
    drawn = moved.pop("the inversion O alone")
    assert all(edited > drawn + 0.1 for edited in moved.values())
    plain, gated = moved["plain difference, I + E - O"], moved["gated detail, E + m W(I - O)"]
    assert gated > plain  # so large a change closes the gate, and the drawing shows


def test_a_clip_without_a_face(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "none.mp4", [scene(None)] * 3)
    with pytest.raises(PipelineError, match=r"no frame of none.mp4 has a face"):
        bench_compositing([clip], editor("smile=2"), scorers(), every=1)


def test_an_edit_that_nothing_scores() -> None:
    with pytest.raises(PipelineError, match="--edit beard: nothing scores it"):
        scorers("beard")
