"""Steadied codes against the closed form of the exponential average, at even and uneven times."""

import math

import pytest
import torch
from torch import Tensor

from dynstream.pipelines.inversion.latent_memory import COARSE_SECONDS, FINE_SECONDS, SHARED_FROM, LatentState, steady

EVEN = [i / 25 for i in range(30)]
UNEVEN = [0.0, 0.01, 0.2, 0.21, 0.5, 0.50001, 1.7, 4.0]


def rand(seed: int) -> Tensor:
    return torch.randn(18, 512, generator=torch.Generator().manual_seed(seed))


def follow(codes: list[Tensor], times: list[float]) -> LatentState:
    state: LatentState | None = None
    for code, time in zip(codes, times, strict=True):
        state = steady(state, code, time)
    assert state is not None
    return state


def test_the_first_frame_is_taken_as_it_is() -> None:
    state = steady(None, rand(1), 3.5)
    assert torch.equal(state.codes, rand(1))
    assert state.seconds == 3.5


@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_codes_that_rest_stay(times: list[float]) -> None:
    state = follow([rand(1)] * len(times), times)
    torch.testing.assert_close(state.codes, rand(1))
    assert state.seconds == times[-1]


@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_a_step_decays_with_elapsed_time_alone(times: list[float]) -> None:
    """After a step the rest is exp(-t / tau) of it, however the time is cut into frames."""
    old, new = rand(1), rand(2)
    state = follow([old] + [new] * (len(times) - 1), times)
    left = (state.codes - new) / (old - new)
    coarse, fine = (math.exp(-times[-1] / tau) for tau in (COARSE_SECONDS, FINE_SECONDS))
    expected = torch.full((18, 512), fine)
    expected[:SHARED_FROM] = coarse
    torch.testing.assert_close(left, expected, atol=2e-3, rtol=0)


def test_no_time_no_change() -> None:
    state = steady(None, rand(1), 2.0)
    for time in (2.0, 1.0):
        assert torch.equal(steady(state, rand(2), time).codes, rand(1))


def test_the_old_state_is_left_alone() -> None:
    state = steady(None, rand(1), 0.0)
    steady(state, rand(2), 1.0)
    assert torch.equal(state.codes, rand(1))
    assert state.seconds == 0.0


def test_noise_is_calmed_most_where_texture_is() -> None:
    codes = [rand(i) for i in range(200)]
    states, state = [], None
    for i, code in enumerate(codes):
        state = steady(state, code, i / 25)
        states.append(state.codes)
    shiver = torch.stack(states[100:]).diff(dim=0).std((0, 2))
    raw = torch.stack(codes[100:]).diff(dim=0).std((0, 2))
    assert (shiver[:SHARED_FROM] < 0.75 * raw[:SHARED_FROM]).all()
    assert (shiver[SHARED_FROM:] < 0.1 * raw[SHARED_FROM:]).all()
