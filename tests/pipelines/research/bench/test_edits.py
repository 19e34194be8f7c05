"""What arrives of an edit, on faces whose drawing is known; what is measured once is read again."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.flow import DisFlow
from dynstream.pipelines.research.bench.edits import (
    EditRow,
    EditScorers,
    bench_edits,
    contact_sheets,
    edits_document,
    own_score,
    reach,
    seam,
)
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.stream.frame import Pixels

from ...fakes import DIRECTIONS, editor, scene, write_clip
from .test_compositing import Levels


class Brightness:
    """In a scorer's place: the mean level, for every score."""

    calls = 0

    def __call__(self, face: Pixels) -> npt.NDArray[np.float64] | None:
        Brightness.calls += 1
        return np.full(len(NAMES), face[96:160, 96:160].mean() / 255)


def scorers() -> EditScorers:
    return EditScorers(Brightness(), {"arcface": Levels(), "dlib": Levels()}, DisFlow())  # type: ignore[dict-item]


def row(strength: float, drawn: float, final: float) -> EditRow:
    return EditRow("a", "smile", strength, 3, drawn, final, 0.1, 0.9, 0.3, 1.1, 0.5, 100.0)


def test_reach_is_the_share_of_the_drawn_change_that_arrives() -> None:
    assert reach([row(1, 0.4, 0.2)]) == pytest.approx(0.5)
    assert reach([row(1, 0.4, 0.3), row(-1, -0.4, -0.1)]) == pytest.approx(0.5)
    assert reach([row(1, 0.2, -0.1)]) == pytest.approx(-0.5)
    assert np.isnan(reach([row(1, 0.0, 0.0)]))


def test_a_hard_edge_makes_a_seam_and_a_soft_one_hardly_any() -> None:
    source = np.full((128, 128, 3), 90, np.uint8)
    hard, mask = source.copy(), np.zeros((128, 128), np.float32)
    hard[40:90, 40:90] = 150
    mask[40:90, 40:90] = 60
    soft = (source + cv2.GaussianBlur(mask, (0, 0), 8)[..., None]).astype(np.uint8)
    assert seam(source, source) == 0
    assert seam(source, hard) > 3 * seam(source, soft)


def test_each_edit_is_measured_at_both_ends_and_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(4)])
    run = tmp_path / "run"
    run.mkdir()
    directions, told = [DIRECTIONS["smile"]], []
    rows = bench_edits([clip], editor("smile=1"), scorers(), directions, run, frames=3, scored=2, progress=told.append)
    assert [found.strength for found in rows] == [directions[0].low, directions[0].high]
    assert [found.frames for found in rows] == [2, 2]
    assert rows[1].final > 0.05
    assert rows[1].warp > 0
    calls = Brightness.calls
    again = bench_edits([clip], editor("smile=1"), scorers(), directions, run, frames=3, scored=2)
    assert again == rows
    assert Brightness.calls == calls
    (sheet,) = contact_sheets(rows, run)
    assert cv2.imread(str(sheet)).shape == (512, 1024, 3)
    (table,) = edits_document(rows).tables
    assert table.rows[0].name == "smile"
    assert table.rows[0].values["reach"] == pytest.approx(reach(rows))


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    empty = write_clip(tmp_path / "empty.mp4", [scene(None)] * 2)
    with pytest.raises(PipelineError, match="no frame of empty has a face"):
        bench_edits([empty], editor("smile=1"), scorers(), [DIRECTIONS["smile"]], tmp_path, frames=2)
    with pytest.raises(PipelineError, match="no frame number 5"):
        bench_edits([empty], editor("smile=1"), scorers(), [DIRECTIONS["smile"]], tmp_path, start=5)
    assert own_score("chubby") == "width"
    with pytest.raises(PipelineError, match="nothing scores the edit 'taller'"):
        own_score("taller")
