"""Codes beyond the last one."""

import numpy as np
import pytest
import torch

from dynstream.models.dynamics.motion_model import load_motion
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.trajectory.code_extrapolation import SLOWING_SECONDS, hold, learned, line

LATER = np.array([1.0, 1.04, 1.3, 4.0])


def moving(count: int = 26) -> CodeSeries:
    """A code of which one number grows by 1 a second."""
    seconds = np.linspace(0, 1, count) if count > 1 else np.array([1.0])
    codes = torch.zeros(count, 18, 512)
    codes[:, 0, 0] = torch.from_numpy(seconds).float()
    return CodeSeries(seconds, codes)


def test_hold_is_the_last_code() -> None:
    assert torch.equal(hold(moving(), LATER), moving().codes[-1].expand(4, 18, 512))


def test_a_line_goes_on_and_comes_to_a_stop() -> None:
    found = line(moving(), LATER)[:, 0, 0]
    assert found[0] == pytest.approx(1.0, abs=1e-5)
    assert found[1] == pytest.approx(1.04, abs=0.01)
    assert found[3] == pytest.approx(1 + SLOWING_SECONDS, abs=1e-3)
    assert torch.equal(line(moving(1), LATER), hold(moving(1), LATER))


def test_the_learned_equation_begins_at_the_last_code_and_slows_down() -> None:
    model, random = load_motion(), torch.Generator().manual_seed(0)
    seconds = np.arange(30) / 25
    codes = torch.randn(18, 512, generator=random).expand(30, -1, -1).clone()
    move = model.basis[0].unflatten(0, (model.codes, model.size))[:18]
    codes += torch.from_numpy(np.sin(4 * seconds)).float()[:, None, None] * move
    series = CodeSeries(seconds, codes)
    found = learned(series, seconds[-1] + np.array([0.0, 0.04, 5.0, 6.0]), model)
    spread = codes.std(0).norm()
    assert torch.isfinite(found).all()
    assert (found[0] - codes[-1]).norm() < 0.6 * spread
    assert (found[1] - found[0]).norm() < spread
    assert (found[3] - found[2]).norm() < 0.1 * spread
