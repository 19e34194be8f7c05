"""The online updater: pure, right where the truth is known, better than its rivals on motion that returns."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.dynamics.motion_model import STATE, MotionModel
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.motion.code_series import CodeSeries
from dynstream.pipelines.motion.likelihood import Parts, covariance, negative_log_likelihood
from dynstream.pipelines.motion.online_predictor import DynamicsState, OnlineDynamics, split, stack
from dynstream.pipelines.research.dynamics.baselines import ConstantVelocity, HoldLast, KalmanSettings, Linear
from dynstream.pipelines.trajectory.code_interpolation import linear, most_probable, spline

from ..trajectory import paths


@pytest.fixture(scope="module")
def clip() -> CodeSeries:
    return paths.walk()


@pytest.fixture(scope="module")
def updater(clip: CodeSeries) -> OnlineDynamics:
    return OnlineDynamics(paths.model(clip).requires_grad_(False))


def through(updater: OnlineDynamics, clip: CodeSeries) -> DynamicsState:
    state = updater.start(float(clip.seconds[0]), clip.codes[0])
    for seconds, codes in zip(clip.seconds[1:], clip.codes[1:], strict=True):
        state = updater.observe(state, float(seconds), codes)
    return state


def test_nothing_that_is_given_is_changed(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip.select(slice(0, 10)))
    before = [getattr(state, field.name).clone() for field in fields(state)]
    updater.predict(state, 9.0)
    updater.observe(state, 9.0, clip.codes[11])
    assert all(torch.equal(a, getattr(state, field.name)) for a, field in zip(before, fields(state), strict=True))


def test_a_batch_gives_what_single_faces_give(updater: OnlineDynamics, clip: CodeSeries) -> None:
    singles = [through(updater, clip.select(slice(begin, begin + 12))) for begin in (0, 40)]
    asked = torch.tensor([clip.seconds[12], clip.seconds[53]])
    codes = clip.codes[[12, 53]]
    batch = updater.observe(stack(singles), asked, codes)
    later = asked + 0.2
    both, unsure = updater.predict(batch, later)
    for row, (single, one) in enumerate(zip(singles, split(batch), strict=True)):
        own = updater.observe(single, asked[row], codes[row])
        for field in fields(own):
            torch.testing.assert_close(getattr(one, field.name), getattr(own, field.name), rtol=1e-4, atol=1e-5)
        alone, doubt = updater.predict(own, later[row])
        torch.testing.assert_close(both[row], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(unsure[row], doubt, rtol=1e-4, atol=1e-6)


def test_a_batch_starts_as_single_faces_do(updater: OnlineDynamics, clip: CodeSeries) -> None:
    batch = updater.start(torch.tensor([1.0, 2.0]), clip.codes[:2])
    for row, one in enumerate(split(batch)):
        own = updater.start(float(row + 1), clip.codes[row])
        for field in fields(own):
            torch.testing.assert_close(getattr(one, field.name), getattr(own, field.name), rtol=1e-4, atol=1e-5)


def test_the_filter_agrees_with_the_closed_form() -> None:
    """With one component, the prediction of the state is the mean of the Gaussian process given all observations."""
    clip = paths.walk(30)
    model = paths.model(clip).requires_grad_(False)
    model.components.fill_(1.0)
    model.rest_tempers.fill_(1.0)
    state = through(OnlineDynamics(model), clip)
    times, asked = torch.from_numpy(clip.seconds), torch.tensor([clip.seconds[-1] + 0.3])
    leading, rest = model.project(clip.codes)
    for values, groups in ((leading.T[..., None], slice(0, 3)), (rest.transpose(0, 1), slice(3, None))):
        known = covariance(model, times, times)[groups]
        known += model.noise()[groups].double()[:, None, None] * torch.eye(30, dtype=torch.float64)
        across = covariance(model, asked, times)[groups]
        exact = across @ torch.linalg.solve(known, values.double())
        said = OnlineDynamics(model).foresee(state, torch.tensor(0.3))
        found = said[0][:, None, None] if groups.start == 0 else said[1][:, None]
        torch.testing.assert_close(found.double(), exact, rtol=1e-2, atol=1e-2)


def test_long_after_the_last_observation_the_content_is_left(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip)
    far, unsure = updater.predict(state, float(clip.seconds[-1]) + 600)
    near = updater.predict(state, float(clip.seconds[-1]))[1]
    mean = clip.codes.mean(0)
    assert float((far - mean).norm()) < float((clip.codes[-1] - mean).norm())
    assert math.isfinite(float(unsure))
    assert float(unsure) > float(near)


def test_uncertainty_is_the_size_of_the_errors(updater: OnlineDynamics) -> None:
    clip = paths.walk(200, seed=5)
    state = updater.start(0.0, clip.codes[0])
    wrong, said = [], []
    for row in range(1, 195):
        state = updater.observe(state, float(clip.seconds[row]), clip.codes[row])
        if row > 30:
            guess, unsure = updater.predict(state, float(clip.seconds[row + 5]))
            wrong.append(float((guess - clip.codes[row + 5]).square().mean()))
            said.append(float(unsure) ** 2)
    assert 0.5 < np.mean(wrong) / np.mean(said) < 2


def test_it_foretells_returning_motion_better_than_its_rivals(updater: OnlineDynamics) -> None:
    clip = paths.walk(180, seed=9)
    rivals = [HoldLast(), Linear(), *(ConstantVelocity(KalmanSettings(push)) for push in (1.0, 100.0))]
    errors = np.zeros(len(rivals) + 1)
    state = None
    for row in range(172):
        now, codes = float(clip.seconds[row]), clip.codes[row]
        state = updater.start(now, codes) if state is None else updater.observe(state, now, codes)
        for rival in rivals:
            rival.observe(now, codes)
        if row > 20:
            then = float(clip.seconds[row + 8])
            guesses = [*(rival.predict(then) for rival in rivals), updater.predict(state, then)[0]]
            errors += [float((guess - clip.codes[row + 8]).square().mean()) for guess in guesses]
    assert errors[-1] < 0.9 * errors[:-1].min()


def test_input_out_of_order_is_no_error(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip.select(slice(0, 10)))
    same = updater.observe(state, float(state.seconds), clip.codes[10])
    past = updater.observe(state, float(state.seconds) - 5, clip.codes[10])
    assert float(past.seconds) == float(state.seconds)
    torch.testing.assert_close(past.leading, same.leading)
    torch.testing.assert_close(updater.predict(state, 0.0)[0], updater.predict(state, float(state.seconds))[0])


def test_codes_that_are_not_finite_are_no_observation(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip.select(slice(0, 10)))
    bad = clip.codes[10].clone()
    bad[0, 0] = torch.nan
    after = updater.observe(state, 5.0, bad)
    assert all(torch.equal(getattr(after, f.name), getattr(state, f.name)) for f in fields(state))
    with pytest.raises(ValueError, match="not finite"):
        updater.start(0.0, bad)


def test_a_gap_of_minutes_forgets_the_motion(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = updater.observe(through(updater, clip), 1000.0, clip.codes[3])
    assert all(torch.isfinite(getattr(state, field.name)).all() for field in fields(state))
    assert float((updater.predict(state, 1000.0)[0] - clip.codes[3]).square().mean()) < 1


def test_a_poor_guess_counts_for_less(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip.select(slice(0, 20)))
    away = clip.codes[20] + 1
    sure, unsure = (updater.observe(state, 0.8, away, doubt=doubt) for doubt in (1.0, 30.0))
    moved = [float((updater.predict(one, 0.8)[0] - away).norm()) for one in (sure, unsure)]
    assert moved[0] < moved[1]


def test_each_channel_has_the_temper_that_suits_it() -> None:
    slow, quick = (paths.walk(160, hold=hold, shiver=0.02, seed=7).codes.flatten(1) - 1 for hold in (3.0, 0.05))
    first, second = paths.axes().float()[:2]
    codes = 1 + torch.outer(slow @ first, first) + torch.outer(quick @ second, second)
    clip = CodeSeries(np.arange(160) / 25, codes.unflatten(1, paths.SHAPE))
    model = paths.model(leading=2).requires_grad_(False)
    model.basis.copy_(torch.stack([first, second]))
    updater = OnlineDynamics(model)
    read = torch.tensor([1.0 if place == 0 or place % 2 else 0.0 for place in range(STATE)])
    errors, state = np.zeros((2, 2)), None
    for row in range(156):
        now = float(clip.seconds[row])
        state = updater.start(now, clip.codes[row]) if state is None else updater.observe(state, now, clip.codes[row])
        if row > 60:
            elapsed = torch.tensor(float(clip.seconds[row + 4]) - now)
            phi = read @ model.transition(elapsed, model.components[:, 0])
            said = (phi[:, None, :] @ state.leading).squeeze(1)
            shared = state.errors.sum(-1, keepdim=True).expand_as(state.errors)
            true = model.project(clip.codes[row + 4])[0]
            pooled = (replace(state, errors=shared), state)
            guesses = [updater.foresee(one, elapsed)[0] for one in pooled]
            errors += np.stack([(guess - true).square().numpy() for guess in guesses])
            assert bool((guesses[1] <= said.amax(0) + 1e-4).all())
    assert errors[1].sum() < errors[0].sum()


def test_a_state_is_small_and_plain(updater: OnlineDynamics, clip: CodeSeries) -> None:
    state = through(updater, clip.select(slice(0, 3)))
    assert all(isinstance(getattr(state, field.name), Tensor) for field in fields(state))
    big = OnlineDynamics(MotionModel().requires_grad_(False))
    whole = big.start(0.0, torch.randn(18, 512))
    assert sum(getattr(whole, f.name).nbytes for f in fields(whole)) < 2 << 20
    assert whole.leading.shape[-2] == STATE


def test_rivals_in_closed_form() -> None:
    line = [(t / 10, torch.full((3, 8), 2.0 * t / 10)) for t in range(60)]
    for rival, expected in ((HoldLast(), 11.8), (Linear(), 12.8), (ConstantVelocity(), 12.8)):
        for seconds, codes in line:
            rival.observe(seconds, codes)
        assert float(rival.predict(6.4)[0, 0]) == pytest.approx(expected, abs=0.02)


def test_between_in_closed_form() -> None:
    clip = paths.series(40)
    at = clip.seconds[:-1] + 0.02
    straight = (clip.codes[1:] + clip.codes[:-1]) / 2
    torch.testing.assert_close(linear(clip, at), straight)
    torch.testing.assert_close(spline(clip, at)[3:-3], paths.codes_at(at - 3.0)[3:-3], rtol=0, atol=1e-3)
    torch.testing.assert_close(spline(clip.select(slice(0, 2)), at[:1]), straight[:1])
    assert linear(clip.select([0]), at).shape == (39, 3, 8)


def test_the_most_probable_path_beats_lines_through_noise() -> None:
    noisy = paths.walk(200, shiver=0.6, seed=3)
    seen = noisy.select(slice(0, None, 8))
    guess = most_probable(seen, noisy.seconds, paths.model(noisy).requires_grad_(False))
    inside = np.arange(200) < 192
    errors = [(found - noisy.codes)[inside].square().mean() for found in (guess, linear(seen, noisy.seconds))]
    assert float(errors[0]) < 0.96 * float(errors[1])
    with pytest.raises(DynamicsError, match="for this model"):
        most_probable(CodeSeries(seen.seconds, seen.codes[:, :2]), noisy.seconds, paths.model())


def test_a_long_clip_is_smoothed_in_parts_without_a_seam() -> None:
    long = paths.walk(260, shiver=0.2, seed=4)
    model = paths.model(long).requires_grad_(False)
    whole = most_probable(long, long.seconds, model)
    steps = whole.diff(dim=0).square().flatten(1).mean(1)
    assert float(steps.max()) < 12 * float(steps.median())
    assert float((whole - long.codes).square().mean()) < 0.5 * float((long.codes - long.codes.mean(0)).square().mean())


def test_the_likelihood_prefers_the_truth() -> None:
    clip = paths.walk(100, seed=11)
    model = paths.model(clip).requires_grad_(False)
    leading, rest = model.project(clip.codes - clip.codes.mean(0))
    parts = Parts(torch.from_numpy(clip.seconds), leading, rest)

    def loss(noise: float, motion: int) -> float:
        model.log_noise.fill_(noise)
        model.log_shares.zero_()
        model.log_shares[:, motion] = 8.0
        return float(negative_log_likelihood(model, parts))

    quick, half_a_second = 0, 2
    assert loss(-2.0, half_a_second) < min(loss(3.0, half_a_second), loss(-2.0, quick))
