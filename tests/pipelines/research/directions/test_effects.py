"""What moves do to scores, in the world where that is known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.effects import EditEffects, changes, unseen_codes
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.pipelines.research.directions.find import in_layers

from ...linear_world import LIVE, LinearGenerator, read_stripes


def test_changes_of_moves(tmp_path: Path) -> None:
    world = LinearGenerator()
    codes = unseen_codes(world, 3)
    moves = [2 * in_layers(world.truth[:, 0], *LIVE, 18), in_layers(world.truth[:, 2], 10, 14, 18)]
    found = changes(world, read_stripes, moves, codes, tmp_path)
    assert found.shape == (3, 2, len(NAMES))
    # A unit vector over four equal codes moves their mean by a half.
    np.testing.assert_allclose(found[:, 0, 0], 1.0, atol=0.08)
    np.testing.assert_allclose(found[:, 0, 1], 0.6, atol=0.08)
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-9)
    world.drawn = 0
    np.testing.assert_array_equal(changes(world, read_stripes, moves, codes, tmp_path), found)
    assert world.drawn == 0
    np.testing.assert_array_equal(changes(world, read_stripes, moves, codes), found)
    # More faces go on from those that are there.
    changes(world, read_stripes, moves, unseen_codes(world, 4), tmp_path)
    assert world.drawn == 3 * 4 + 4


def test_lost_faces_are_told() -> None:
    world = LinearGenerator()
    codes = torch.zeros(2, 18, 512)
    codes[1, slice(*LIVE)] = -6 * torch.from_numpy(world.truth[:, -1]).float()
    move = [2 * in_layers(world.truth[:, 0], *LIVE, 18)]
    found = changes(world, read_stripes, move, codes)
    assert found[0, 0, 0] == pytest.approx(1.0, abs=0.08)
    assert np.isnan(found[1]).all()
    with pytest.raises(TrainingError, match="no face was found at both ends"):
        changes(world, read_stripes, move, codes[1:])


def test_unseen_faces_are_numbered() -> None:
    world = LinearGenerator()
    assert torch.equal(unseen_codes(world, 5)[3:], unseen_codes(world, 2, first=3))


def measured(*rows: tuple[float, ...]) -> EditEffects:
    strengths = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    scores = np.zeros((len(rows), 5, len(NAMES)))
    scores[:, :, 0] = rows
    scores[:, :, 1] = -0.5 * strengths
    return EditEffects(strengths, scores, np.ones((len(rows), 5)))


def test_what_a_measurement_says() -> None:
    straight, late = (-2.0, -1, 0, 1, 2), (0.0, 0, 0, 1, 0.5)
    found = measured(*[straight] * 19, late)
    assert found.slopes()[0] == pytest.approx((19 * 1.0 + 0.2) / 20)
    assert found.slopes()[1] == pytest.approx(-0.5)
    assert found.monotone(0, 0.0) == 0.95
    assert found.monotone(0, 0.0, -2, 1) == 1.0
    assert found.monotone(1, 0.1) == 0.0
    assert found.widest(0, 0.0) == (-2, 2)
    assert measured(*[straight] * 18, late, late).widest(0, 0.0) == (-2, 1)
    assert measured((2.0, 1, 0, -1, -2)).widest(0, 0.0) is None
    spread = np.ones(len(NAMES))
    spread[1] = 0.5
    assert measured(straight).leak(0, spread, 2.0) == pytest.approx(1.0)
    assert measured(straight).leak(0, spread, 2.0, ignored=[1]) == 0.0
    with pytest.raises(ValueError, match="not in list"):
        found.moved(7.0)
