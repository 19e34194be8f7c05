"""Between encoded frames the landmarks carry the codes, once they have shown that they can."""

import math

import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common.errors import OptionError
from dynstream.pipelines.motion.keyframes import (
    LEAST,
    LandmarkMap,
    begin_map,
    is_due,
    learn,
    parse_every,
    propagate,
    read,
)
from dynstream.pipelines.motion.online_predictor import OnlineDynamics

from ..trajectory import paths


def landmarks(row: int, series: Tensor) -> Tensor:
    """(478, 2) mesh points that move with the first two numbers that codes move along."""
    moved = (series[row].flatten() - 2) @ paths.axes().float().T
    base = 128 + 60 * torch.stack([torch.cos(torch.arange(478.0)), torch.sin(torch.arange(478.0))], 1)
    return base + 6 * moved[:2]


def taught(steps: int, *, shuffled: bool = False) -> tuple[OnlineDynamics, LandmarkMap, Tensor]:
    clip = paths.series(120)
    updater = OnlineDynamics(paths.model(clip).requires_grad_(False))
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0)) if shuffled else torch.arange(120)
    known = begin_map(updater, 0.0, landmarks(int(order[0]), clip.codes), clip.codes[0])
    for row in range(1, steps):
        known = learn(known, updater, row / 25, landmarks(int(order[row]), clip.codes), clip.codes[row])
    return updater, known, clip.codes


def test_the_map_finds_what_landmarks_say_about_codes() -> None:
    updater, known, codes = taught(60)
    leading, _ = updater.model.project(codes)
    wrong = sum(float((read(known, landmarks(row, codes)) - leading[row]).square().sum()) for row in range(60, 90))
    still = sum(float((leading[59] - leading[row]).square().sum()) for row in range(60, 90))
    assert wrong < 0.5 * still
    assert float(known.missed) < 0.6


def test_carried_codes_are_nearer_than_predicted_ones() -> None:
    updater, known, codes = taught(60)
    state = updater.start(0.0, codes[0])
    for row in range(1, 60):
        state = updater.observe(state, row / 25, codes[row])
    carried = state
    for row in range(60, 72):
        carried = propagate(updater, carried, known, row / 25, landmarks(row, codes))
    truth = codes[72]
    errors = [float((updater.predict(one, 72 / 25)[0] - truth).square().mean()) for one in (carried, state)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(("steps", "shuffled"), [(LEAST - 2, False), (60, True)])
def test_a_map_that_has_not_proved_itself_changes_nothing(steps: int, shuffled: bool) -> None:
    updater, known, codes = taught(steps, shuffled=shuffled)
    state = updater.start(0.0, codes[0])
    assert propagate(updater, state, known, 0.1, landmarks(5, codes)) is state


def test_codes_that_are_not_finite_teach_nothing() -> None:
    updater, known, codes = taught(5)
    assert learn(known, updater, 1.0, landmarks(5, codes), torch.full((3, 8), math.nan)) is known


def test_when_the_encoder_is_due() -> None:
    assert [is_due(3, since, 0.0, 1.0) for since in range(5)] == [False, False, False, True, True]
    assert is_due("auto", 1, 2.1, 1.0)
    assert not is_due("auto", 1, 1.9, 1.0)
    assert not is_due("auto", 1, 2.1, 1.0, spent=2.0, budget=1.0)
    assert is_due("auto", 8, 0.0, 1.0, spent=2.0, budget=1.0)
    with pytest.raises(ValueError, match="every frame or every K-th"):
        is_due(0, 1, 0.0, 1.0)


def test_how_often_is_written() -> None:
    assert (parse_every("auto", "K"), parse_every("4", "K")) == ("auto", 4)
    for text in ("0", "-1", "x", "1.5", ""):
        with pytest.raises(OptionError, match="--encode-every: expected auto or a number"):
            parse_every(text, "--encode-every")
