"""Measuring edits: in the linear world the answer is known; and what people are shown of it."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from dynstream.models.directions.directions import Direction
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.effects import unseen_codes
from dynstream.pipelines.research.directions.face_scores import NAMES, SPREADS, UNITS
from dynstream.pipelines.research.directions.find import in_layers
from dynstream.pipelines.research.directions.measure import STRENGTHS, measure, summarize, summarize_edit
from dynstream.pipelines.research.directions.report import heat_map, strength_sheet, table
from dynstream.stream.frame import Pixels

from ...linear_world import LIVE, LinearGenerator, read_stripes

Floats = npt.NDArray[np.float64]


def direction(world: LinearGenerator, name: str, score: int, scale: float = 1.0) -> Direction:
    return Direction(name, in_layers(world.truth[:, score], *LIVE, 18), scale=scale)


def embed(face: Pixels) -> Floats:
    mean = float(face.mean()) / 255
    return np.array([np.cos(mean), np.sin(mean)])


def test_measuring(tmp_path: Path) -> None:
    world = LinearGenerator()
    codes = unseen_codes(world, 3)
    done: list[int] = []
    edit = direction(world, "smile", 0, scale=2.0)
    found = measure(edit, world, read_stripes, embed, codes, folder=tmp_path, progress=done.append)
    assert done == [1, 2, 3]
    assert found.strengths.tolist() == sorted((*STRENGTHS, 0.0))
    assert found.scores.shape == (3, 7, len(NAMES))
    assert found.slopes()[0] == pytest.approx(1.0, abs=0.05)
    assert found.slopes()[1] == pytest.approx(0.6, abs=0.05)
    np.testing.assert_allclose(found.same[:, 3], 1.0)
    assert (found.same <= 1 + 1e-9).all()
    world.drawn = 0
    again = measure(edit, world, read_stripes, embed, codes, folder=tmp_path)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert world.drawn == 0
    # Another edit draws its own faces, and not those at strength 0 again.
    measure(direction(world, "age", 1), world, read_stripes, embed, codes, folder=tmp_path)
    assert world.drawn == 3 * len(STRENGTHS)


def test_without_identity() -> None:
    world = LinearGenerator()
    found = measure(direction(world, "a", 0), world, read_stripes, None, unseen_codes(world, 2), strengths=(1.0, 2.0))
    assert np.isnan(found.same).all()
    assert found.strengths.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="strength 0 is measured in any case"):
        measure(direction(world, "a", 0), world, read_stripes, None, unseen_codes(world, 1), strengths=(0.0, 1.0))


def test_lost_faces_are_left_out() -> None:
    world = LinearGenerator()
    codes = torch.zeros(2, 18, 512)
    codes[1, slice(*LIVE)] = -4 * torch.from_numpy(world.truth[:, -1]).float()
    last = direction(world, "last", len(NAMES) - 1)
    found = measure(last, world, read_stripes, None, codes, strengths=(-1.0, 1.0))
    assert len(found.scores) == 1
    with pytest.raises(TrainingError, match="last: no face was found at every strength"):
        measure(last, world, read_stripes, None, codes[1:], strengths=(-1.0, 1.0))


def test_the_verdict() -> None:
    world = LinearGenerator()
    found = measure(direction(world, "x", 0, scale=2.0), world, read_stripes, embed, unseen_codes(world, 2))
    spread = np.ones(len(NAMES))
    verdict = summarize("x", "smile", found, spread)
    assert verdict.range == (-3, 3)
    assert verdict.monotone == 1.0
    assert verdict.slope == pytest.approx(1.0, abs=0.05)
    assert verdict.leak == pytest.approx(0.6, abs=0.1)
    assert summarize("x", "smile", found, spread, kin=["age"]).leak <= 0.5
    assert verdict.faces == 2
    backwards = summarize("x", "smile", found, spread, sign=-1)
    assert backwards.range is None


def test_an_edit_without_a_recipe_is_judged_by_what_it_moves() -> None:
    world = LinearGenerator()
    codes = unseen_codes(world, 2)
    glasses = NAMES.index("glasses")
    edit = direction(world, "pc-3", glasses, scale=1.0)
    backwards = Direction("pc-4", -edit.vector)
    assert summarize_edit(edit, measure(edit, world, read_stripes, None, codes)).score == "glasses"
    verdict = summarize_edit(backwards, measure(backwards, world, read_stripes, None, codes))
    assert verdict.score == "glasses"
    assert verdict.slope < 0
    assert verdict.range == (-3, 3)


def test_what_people_are_shown() -> None:
    world = LinearGenerator()
    codes = unseen_codes(world, 2)
    edits = [direction(world, "smile", 0, scale=2.0), direction(world, "age", 1, scale=2.0)]
    verdicts = [summarize_edit(edit, measure(edit, world, read_stripes, embed, codes)) for edit in edits]
    lines = table(verdicts).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| smile | +1")
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    image = cv2.imdecode(np.frombuffer(heat_map(verdicts), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert min(image.shape[:2]) > 200
    sheet = strength_sheet(world, edits[0], codes, strengths=(-1, 0, 1), size=64)
    assert sheet.shape == (3 * 64, 2 * 64, 3)


def test_every_score_has_a_unit_and_a_spread() -> None:
    assert tuple(SPREADS) == NAMES == tuple(UNITS)
    assert all(value > 0 for value in SPREADS.values())
