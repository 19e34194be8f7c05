"""Finding directions in a world where the truth is known: scores are linear in the code."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.pipelines.research.directions.find import (
    BLOCKS,
    LAYERS,
    RECIPES,
    Blocks,
    DirectionRecipe,
    combine,
    conditional,
    find,
    in_layers,
    measure_blocks,
    try_kinds,
)
from dynstream.pipelines.research.directions.labels import Labelled

from ...linear_world import LIVE, LinearGenerator, read_stripes

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def world() -> LinearGenerator:
    return LinearGenerator()


@pytest.fixture(scope="module")
def labelled(world: LinearGenerator) -> Labelled:
    """What `label` would give, without 4000 pictures."""
    codes = np.random.default_rng(1).normal(size=(4000, 512))
    return Labelled(codes, codes @ world.truth)


@pytest.fixture(scope="module")
def blocks(world: LinearGenerator, labelled: Labelled) -> Blocks:
    return measure_blocks(labelled, world, read_stripes, faces=4)


def cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_code_changes_as_one_score_rises_and_the_others_stay(world: LinearGenerator, labelled: Labelled) -> None:
    columns = conditional(labelled, ridge=1e-6)
    assert columns.shape == (len(NAMES), 512)
    # Of standard normal codes, the change that raises score k alone is the k-th row of the scores' pseudo-inverse.
    expected = np.linalg.pinv(world.truth)
    for i in range(len(NAMES)):
        assert cosine(columns[i], expected[i]) > 0.8
    assert abs(cosine(columns[1], world.truth[:, 0])) < 0.2


def test_a_score_that_never_changes(labelled: Labelled) -> None:
    scores = labelled.scores.copy()
    scores[:, 3] = 1.0
    with pytest.raises(TrainingError, match=r"the same score for all faces \(yaw\)"):
        conditional(Labelled(labelled.codes, scores))


def test_layers() -> None:
    direction = np.random.default_rng(4).normal(size=512)
    vector = in_layers(direction, 3, 6, 18)
    assert vector.shape == (18, 512)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-6)
    assert [bool(row.any()) for row in vector] == [3 <= i < 6 for i in range(18)]
    assert cosine(vector[4].double().numpy(), direction) == pytest.approx(1, abs=1e-6)


def test_blocks_have_the_effects_of_their_layers(blocks: Blocks) -> None:
    assert blocks.vectors.shape == (len(NAMES) * len(BLOCKS), 18, 512)
    assert blocks.effects.shape == (4, len(NAMES) * len(BLOCKS), len(NAMES))
    own = blocks.effects.mean(0).reshape(len(NAMES), len(BLOCKS), len(NAMES))
    for number, (first, end) in enumerate(BLOCKS):
        alive = first < LIVE[1] and end > LIVE[0]
        assert (np.diagonal(own[:, number], axis1=0, axis2=1) > 0.1).all() == alive
        assert alive or not own[:, number].any()


def moved(world: LinearGenerator, vector: Tensor) -> Floats:
    """(scores,) what a direction does to the linear world."""
    return np.asarray(vector[slice(*LIVE)].mean(0).double().numpy() @ world.truth)


def weighed(blocks: Blocks, weights: Floats) -> Tensor:
    return torch.einsum("b,bcd->cd", torch.from_numpy(weights).float(), blocks.vectors)


def test_a_combination_moves_its_own_score_alone(world: LinearGenerator, blocks: Blocks) -> None:
    weights = combine(blocks.effects.mean(0), 0, 0.001, layers=(0, len(BLOCKS)))
    change = moved(world, weighed(blocks, weights))
    assert change[0] > 0
    assert np.abs(change[1:]).sum() < 0.3 * change[0]


def test_a_combination_keeps_to_its_layers(blocks: Blocks) -> None:
    weights = combine(blocks.effects.mean(0), 0, 0.1, layers=(1, 3))
    vector = weighed(blocks, weights)
    assert [bool(row.any()) for row in vector] == [BLOCKS[1][0] <= i < BLOCKS[2][1] for i in range(18)]


def test_a_combination_may_leave_scores_free(world: LinearGenerator, blocks: Blocks) -> None:
    def age_of(free: tuple[int, ...]) -> float:
        vector = weighed(blocks, combine(blocks.effects.mean(0), 0, 0.3, layers=(0, 6), free=free))
        return abs(float(moved(world, vector / vector.norm())[1]))

    assert age_of((1,)) >= age_of(())


def test_kinds_are_judged_by_faces_that_they_were_not_fitted_to(blocks: Blocks) -> None:
    """Effects that differ wildly from face to face predict nothing, however well they can be fitted."""
    kinds = try_kinds(blocks, 0)
    assert kinds[0].leak < 0.4
    assert [kind.leak for kind in kinds] == sorted(kind.leak for kind in kinds)
    assert all(kind.own > 0 for kind in kinds)
    noise = np.random.default_rng(0).normal(size=blocks.effects.shape)
    noisy = try_kinds(Blocks(blocks.vectors, noise), 0)
    assert not noisy or noisy[0].leak > 1


@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_direction_is_found(world: LinearGenerator, labelled: Labelled, blocks: Blocks, sign: int) -> None:
    wanted = DirectionRecipe(name="older", score="age", step=0.5, sign=sign, about="older")
    said: list[str] = []
    direction = find(wanted, labelled, blocks, echo=said.append)
    assert (direction.name, direction.about, direction.low, direction.high) == ("older", "older", -3, 3)
    assert direction.effect["age"] == pytest.approx(0.5 * sign)
    assert next(iter(direction.effect)) == "age"
    assert set(direction.effect) == set(NAMES)
    change = moved(world, direction.offset(1.0))
    assert change[1] == pytest.approx(0.5 * sign, rel=0.1)
    assert np.abs(np.delete(change, 1)).sum() < 0.3 * 0.5
    assert said[-1].startswith("older: codes ")


def test_lost_faces_are_left_out(labelled: Labelled, blocks: Blocks) -> None:
    effects = np.concatenate([blocks.effects, np.full((1, *blocks.effects.shape[1:]), np.nan)])
    found = find(RECIPES["smile"], labelled, Blocks(blocks.vectors, effects))
    assert found.effect["smile"] == pytest.approx(RECIPES["smile"].step)


def test_a_direction_that_nothing_raises(labelled: Labelled, blocks: Blocks) -> None:
    nothing = Blocks(blocks.vectors, np.zeros_like(blocks.effects))
    with pytest.raises(TrainingError, match="no combination of layers moves the score of the direction 'smile'"):
        find(RECIPES["smile"], labelled, nothing)


def test_the_recipes_are_sound() -> None:
    for name, wanted in RECIPES.items():
        assert name == wanted.name
        assert {wanted.score, *wanted.kin} <= set(NAMES)
        assert wanted.score not in wanted.kin
        assert wanted.step > 0
        assert wanted.sign in (-1, 1)
    assert all(0 <= first < end <= 18 for first, end in BLOCKS)
    assert all(0 <= first < end <= len(BLOCKS) for first, end in LAYERS)
