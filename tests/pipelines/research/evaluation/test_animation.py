"""Scores of portraits that follow drivers: closed forms, one whole row with fakes, the document."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.pipelines.animation.driver import read_driver
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.evaluation.animation import (
    STATIC,
    Still,
    follow_scores,
    judge_driver,
    mean_rows,
    relative_akd,
    score_animation,
)
from dynstream.pipelines.research.evaluation.documents import animation_document
from dynstream.pipelines.tracking.tracker import Tracker

from ...animation.faces import measured
from ...fakes import LevelGenerator, OvalBackend, scene, write_clip


def test_akd_forgets_where_faces_are_and_counts_how_they_move() -> None:
    random = np.random.default_rng(0)
    video = random.normal(size=(6, 106, 2))
    assert relative_akd(video, video + random.normal(size=(1, 106, 2))) == pytest.approx(0)
    still = video[:1].repeat(6, 0)
    alone = np.linalg.norm(video - video.mean(0), axis=2).mean()
    assert relative_akd(video, still) == pytest.approx(alone)
    assert relative_akd(video, 0.5 * video) == pytest.approx(alone / 2)


def test_scores_are_followed_by_shape_and_by_size() -> None:
    x = np.array([0.0, 0.2, 0.1, 0.5])
    assert follow_scores(x, 0.3 * x + 1) == (pytest.approx(1), pytest.approx(0.3))
    assert follow_scores(x, -x) == (pytest.approx(-1), pytest.approx(-1))
    assert follow_scores(x, np.ones(4)) == (0.0, 0.0)


class Points(nn.Module):
    """106 landmarks at the brightest column."""

    def forward(self, faces: Tensor) -> Tensor:
        place = faces.mean((1, 2)).argmax(1).float()
        return place[:, None, None].expand(-1, 106, 2)


class Who(nn.Module):
    def embed_ffhq(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 4) / 2


def test_a_row_of_a_picture_that_stays_still(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [scene((80 + 2 * i, 60)) for i in range(12)])
    frames = read_driver(clip, Tracker(OvalBackend()))
    driver = judge_driver(clip, frames, Points(), every=2, limit=20)  # type: ignore[arg-type]
    assert driver.points.shape == (6, 106, 2)
    portrait = SimpleNamespace(code=torch.zeros(18, 512), generator=LevelGenerator(), key="x", portrait=None)

    class Seen(OvalBackend):
        def locate(self, pixels, region):  # type: ignore[no-untyped-def]
            from ...animation.faces import face

            return face()

    row = score_animation(portrait, Still(measured()), driver, Seen(), Points(), Who())  # type: ignore[arg-type]
    assert row["lost"] == 0
    assert row["akd106"] == pytest.approx(row["static106"])
    assert row["correlation-smile"] == 0
    assert row["drawn-arcface"] == pytest.approx(1)
    assert "arcface" not in row
    with pytest.raises(PipelineError, match="five are needed"):
        judge_driver(clip, frames, Points(), every=6, limit=20)  # type: ignore[arg-type]


def test_rows_become_tables() -> None:
    names = ("smile", "mouth-open", "eyes-closed", "brow", "gaze", "pitch", "yaw")
    values = {"akd106": 2.0, "akd": 1.0, "lost": 0.0, "drawn-arcface": 0.5} | {
        f"{kind}-{name}": 0.5 for kind in ("correlation", "slope") for name in names
    }
    rows = [
        {"method": STATIC, "values": values}, {"method": "landmarks", "values": values | {"akd": 3.0, "arcface": 0.8}},
        {"method": STATIC, "values": values | {"akd": 2.0}},
    ]  # fmt: skip
    mean = mean_rows(rows)
    assert [row["name"] for row in mean] == [STATIC, "landmarks"]
    assert mean[0]["akd"] == pytest.approx(1.5)
    made = animation_document({"mean": mean, "portraits": ["p"], "drivers": ["d"], "frames": 6})
    assert len(made.tables) == 3
    assert made.tables[0].rows[1].values["ArcFace to the portrait"] == 0.8
    assert made.tables[0].rows[0].values["ArcFace to the portrait"] is None
