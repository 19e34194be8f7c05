"""Directions from gradients: colours with a derivative, and the shortest step that moves one score alone."""

import cv2
import numpy as np
import pytest
import torch

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.gradients import RECIPES, SCORES, GradientRecipe, solve, to_lab


def test_cielab_is_opencvs() -> None:
    pixels = np.random.default_rng(0).integers(5, 250, (8, 8, 3), dtype=np.uint8)
    expected = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    found = to_lab(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 0.3


def test_a_step_moves_its_own_score_and_leaves_the_others() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(len(SCORES), 18, 512, generator=random)
    recipe = GradientRecipe("lips", "", "face", {"lip-red": 6.0}, codes=(5, 16))
    found = solve(recipe, [gradients], torch.ones(len(SCORES)), torch.eye(512), penalty=1e-6)
    assert found.effect["lip-red"] == pytest.approx(6.0, abs=0.01)
    assert all(abs(value) < 0.01 for name, value in found.effect.items() if name != "lip-red")
    assert found.vector[:5].abs().sum() == found.vector[16:].abs().sum() == 0
    step = torch.einsum("scd,cd->s", gradients, found.offset(1.0))
    assert float(step[SCORES.index("lip-red")]) == pytest.approx(6.0, abs=0.01)


def test_recipes_are_about_scores_that_there_are() -> None:
    assert all(set(recipe.changes) | set(recipe.free) <= set(SCORES) for recipe in RECIPES)
    with pytest.raises(TrainingError, match="no gradients of any face"):
        solve(RECIPES[0], [], torch.ones(len(SCORES)), torch.eye(512))
