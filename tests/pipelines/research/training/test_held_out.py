"""Scores on held-out people: which files, slopes of what moves, and the picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.mesh_graph import MeshFaces
from dynstream.pipelines.research.training import held_out
from dynstream.pipelines.research.training.held_out import (
    HeldOut,
    Judge,
    read_held_out,
    score_held_out,
    slope_and_correlation,
)

from ...fakes import LevelEncoder, LevelGenerator, OvalBackend, scene, write_clip
from .test_encoder import MeanDistance, MeanIdentity


class LevelMesh:
    """A mesh that takes the level of a picture for how far the jaw is open."""

    def __call__(self, faces: Tensor) -> MeshFaces:
        shapes = torch.zeros(len(faces), 52)
        shapes[:, INDEX["jawOpen"]] = faces.mean((1, 2, 3))
        return MeshFaces(torch.zeros(len(faces), 478, 2), torch.ones(len(faces)), shapes)


class Half(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        codes: Tensor = 0.5 * LevelEncoder()(faces)
        return codes


def levels(*values: float) -> Tensor:
    faces = [torch.full((3, 256, 256), round(127.5 * (1 + value)), dtype=torch.uint8) for value in values]
    return torch.stack(faces)


def scores(encoder: nn.Module, sets: list[HeldOut]) -> dict[str, float]:
    return score_held_out(
        encoder, LevelGenerator(), MeanDistance(), MeanIdentity(), LevelMesh(), sets  # type: ignore[arg-type]
    )  # fmt: skip


def test_slopes() -> None:
    x = np.linspace(-1, 1, 9)
    assert slope_and_correlation(x, 0.4 * x + 3) == pytest.approx((0.4, 1.0))
    assert slope_and_correlation(x, -2 * x) == pytest.approx((-2.0, -1.0))
    assert slope_and_correlation(x, np.zeros(9)) == pytest.approx((0.0, 0.0))
    assert slope_and_correlation(0.01 * x, x) == (0.0, 0.0)


def test_half_of_the_motion_is_a_slope_of_a_half() -> None:
    found = scores(Half(), [HeldOut("clip", levels(-0.4, 0.0, 0.5, 0.7), True)])
    assert found["clip/jaw_slope"] == pytest.approx(0.5, abs=0.02)
    assert found["clip/jaw_corr"] == pytest.approx(1, abs=1e-3)
    assert found["clip/blink_slope"] == 0
    assert {"clip/mse", "clip/lpips", "clip/cosine"} < found.keys()


def test_pictures_have_no_slopes() -> None:
    assert scores(Half(), [HeldOut("pictures", levels(0.1, 0.2), False)]).keys() == {
        "pictures/mse",
        "pictures/lpips",
        "pictures/cosine",
    }


def test_held_out_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a0.png", "b1.png", "c0.png", "d0.png"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(scene((100, 60)), cv2.COLOR_RGB2BGR))
    write_clip(tmp_path / "lp.mp4", [scene((100, 60))] * 10)
    write_clip(tmp_path / "other.mp4", [scene((100, 60))] * 4)
    run = tmp_path / "run"
    patterns = ["*0.png", "lp*"]
    sets = read_held_out([tmp_path], patterns, OvalBackend(), run, frames=3, pictures=2)
    assert [(one.name, tuple(one.faces.shape), one.moving) for one in sets] == [
        ("lp", (3, 3, 256, 256), True),
        ("pictures", (2, 3, 256, 256), False),
    ]
    monkeypatch.setattr(held_out, "faces_and_shapes", None)
    again = read_held_out([tmp_path], patterns, OvalBackend(), run, frames=3, pictures=2)
    assert all(torch.equal(a.faces, b.faces) for a, b in zip(sets, again, strict=True))
    assert read_held_out([tmp_path], [], OvalBackend(), tmp_path / "none") == []


def test_an_evaluation_leaves_a_picture(tmp_path: Path) -> None:
    sets = [HeldOut("clip", levels(-0.4, 0.0, 0.5), True), HeldOut("pictures", levels(0.1), False)]
    judge = Judge(LevelGenerator(), MeanDistance(), MeanIdentity(), LevelMesh(), sets, tmp_path, 2)  # type: ignore[arg-type]
    assert {"clip/jaw_slope", "pictures/mse"} < judge(Half(), 7).keys()
    picture = cv2.imread(str(tmp_path / "faces-000007.png"))
    assert picture is not None
    assert picture.shape == (2 * 512, 2 * 256, 3)
    assert Judge(LevelGenerator(), MeanDistance(), MeanIdentity(), LevelMesh(), [], tmp_path)(Half(), 8) == {}  # type: ignore[arg-type]
