"""Scores of inversions on faces whose inversions are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.arrays import Float32Array
from dynstream.pipelines.common.cache import Cache
from dynstream.pipelines.common.tensors import to_pixels
from dynstream.pipelines.research.evaluation import inversion
from dynstream.pipelines.research.evaluation.face_sets import FaceSet
from dynstream.pipelines.research.evaluation.face_sheet import CELL, GAP, HEADING, sheet
from dynstream.pipelines.research.evaluation.inversion import MEASURES, Inversions, InversionScorers, InversionSettings
from dynstream.stream.frame import Pixels

from ...fakes import LevelEncoder, LevelGenerator


class Squares:
    """In LPIPS's place: the mean square difference."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean((1, 2, 3))

    def features(self, x: Tensor) -> list[Tensor]:
        return [x]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return self(a[0], b[0])


class Levels:
    """In an embedder's place: the mean level of the colours."""

    name = "levels"

    def embed(self, crops: Sequence[Pixels]) -> Float32Array:
        return np.stack([crop.mean((0, 1)) for crop in crops]).astype(np.float32)


def faces(*levels: float) -> FaceSet:
    """Faces that the generator draws of codes of these levels."""
    pictures = [to_pixels(LevelGenerator().pattern + level) for level in levels]
    return FaceSet("drawn", np.stack(pictures), tuple(f"{i // 2}.png" for i in range(len(pictures))))


def inversions(settings: InversionSettings, **options: object) -> Inversions:
    scorers = InversionScorers(Squares(), {"arcface": Levels(), "dlib": Levels()})  # type: ignore[arg-type, dict-item]
    return Inversions(LevelEncoder(), LevelGenerator(), Squares(), scorers, settings, **options)  # type: ignore[arg-type]


def test_rows_of_faces_that_are_inverted_exactly() -> None:
    result = inversions(InversionSettings(optimize=0)).score(faces(0.0, 0.1, 0.2))
    rows = {row.name: row for row in result.rows}
    assert list(rows) == ["E0", "mean code"]
    assert rows["E0"].faces == 3
    assert rows["E0"].scores["mse"].mean == pytest.approx(0, abs=1e-4)
    assert rows["E0"].scores["arcface"].mean == pytest.approx(1, abs=1e-4)
    mean = rows["mean code"].scores
    assert mean["mse"].mean == pytest.approx((0 + 0.01 + 0.04) / 3, rel=0.02)
    # The worst tenth of (0, 0.01, 0.04) lies a fifth of the way below the greatest.
    assert mean["mse"].worst_tenth == pytest.approx(0.034, rel=0.02)
    assert mean["dlib"].worst_tenth > mean["dlib"].mean
    assert mean["arcface"].worst_tenth < mean["arcface"].mean


def test_optimization_beside_its_own_faces() -> None:
    result = inversions(InversionSettings(optimize=40, optimize_faces=2)).score(faces(0.1, 0.3, 0.2))
    names = [(row.name, row.faces) for row in result.rows]
    assert names == [("E0", 3), ("mean code", 3), ("E0, the 2 of the next row", 2), ("W+, 40 steps", 2)]
    optimized, mean = result.rows[-1].scores, result.rows[1].scores
    assert optimized["mse"].mean < 0.1 * mean["mse"].mean
    assert result.labels == ("source", "E0", "mean code", "W+, 40 steps")
    assert len(result.shown) == 2


def test_an_optimization_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = InversionSettings(optimize=3, optimize_faces=2)
    one, both = faces(0.1), faces(0.1, 0.3)
    with Cache(tmp_path / "kept.sqlite") as cache:
        inversions(settings, cache=cache).score(one)
    asked = []
    real = inversion.optimize_codes

    def optimize(*arguments: object, **options: object) -> Tensor:
        asked.append(arguments)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(inversion, "optimize_codes", optimize)
    with Cache(tmp_path / "kept.sqlite") as cache:
        found = inversions(settings, cache=cache).score(both)
    assert len(asked) == 1
    assert found.rows[-1].faces == 2


def test_refinement_is_fitted_to_each_file() -> None:
    fitted: list[int] = []

    def refine(of: Pixels) -> tuple[Tensor, LevelGenerator]:
        fitted.append(len(of))
        return torch.full((18, 512), 0.5), LevelGenerator()

    result = inversions(InversionSettings(optimize=0), refine=refine).score(faces(0.0, 0.1, 0.2))
    assert fitted == [2, 1]
    row = result.rows[1]
    assert row.name == "E0, refined"
    assert row.scores["mse"].mean == pytest.approx(0.25, rel=0.02)


def test_pictures_of_one_face_each_have_no_clip_to_fit() -> None:
    def refine(_faces: Pixels) -> tuple[Tensor, LevelGenerator]:
        raise AssertionError("nothing to fit")

    portraits = replace(faces(0.0, 0.1), files=("a.png", "b.png"))
    result = inversions(InversionSettings(optimize=0), refine=refine).score(portraits)
    assert [row.name for row in result.rows] == ["E0", "mean code"]


def test_a_measure_that_is_not_installed_is_left_out() -> None:
    scorers = InversionScorers(Squares(), {})  # type: ignore[arg-type]
    scored = scorers.score(faces(0.1).faces, faces(0.1).faces)
    assert set(scored) == {"mse", "lpips"}
    assert {measure.name for measure in MEASURES} == {"mse", "lpips", "arcface", "dlib"}


def test_encoder_time_and_json() -> None:
    found = inversions(InversionSettings(optimize=0))
    assert len(found.encoder_time(faces(0.1).faces[0], warm_up=0, repeats=2).values) == 2
    (row, *_rest) = found.score(faces(0.1)).as_dict()["rows"]  # type: ignore[misc]
    assert row["name"] == "E0"
    assert set(row["scores"]["mse"]) == {"mean", "worst_tenth"}


def test_the_sheet_has_a_row_a_face_and_a_column_a_way() -> None:
    results = [inversions(InversionSettings(optimize=0, shown=2)).score(faces(0.0, 0.2, 0.4)) for _ in range(2)]
    picture = sheet(results)
    assert picture.shape == (2 * (HEADING + 2 * (CELL + GAP)), 3 * (CELL + GAP), 3)
    source, drawn = (picture[HEADING + 90, column * (CELL + GAP) + 90].astype(int) for column in (0, 1))
    assert abs(source - drawn).max() <= 1
    with pytest.raises(ValueError, match="no faces"):
        sheet([])
