"""A fitted equation follows its clip, between the frames, too, and says what is wrong with input that is bad."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.motion.code_series import CodeSeries, load_series, save_series
from dynstream.pipelines.trajectory.coordinates import Coordinates
from dynstream.pipelines.trajectory.fit import FitConfig, fit_trajectory, with_recipe
from dynstream.pipelines.trajectory.losses import Losses, Weights
from dynstream.pipelines.trajectory.solver import Solver
from dynstream.pipelines.trajectory.trajectory import load_trajectory, save_trajectory

from . import paths

BETWEEN = 3.0 + np.arange(5, 230) / 100


def miss(found: Tensor, seconds: np.ndarray) -> float:
    """Root mean square error in units of the motion's own spread."""
    true = paths.codes_at(seconds - 3.0)
    return float((found - true).square().mean().sqrt() / (true - true.mean(0)).square().mean().sqrt())


@pytest.mark.parametrize("order", [1, 2])
def test_the_fast_recipe_follows_the_motion_between_frames(order: int) -> None:
    fitted = fit_trajectory(paths.series(), None, config=FitConfig(order=order))
    assert miss(fitted.codes(BETWEEN), BETWEEN) < 0.02


def test_every_other_frame_at_uneven_times_is_enough() -> None:
    rows = np.sort(np.random.default_rng(1).choice(60, 30, replace=False))
    rows[0], rows[-1] = 0, 59
    fitted = fit_trajectory(paths.series().select(np.unique(rows)), None)
    assert miss(fitted.codes(BETWEEN), BETWEEN) < 0.1


def paper(steps: int) -> FitConfig:
    """The paper's recipe, small enough for a test."""
    solver = Solver(method="rk4", step=0.2)
    return FitConfig(recipe="paper", steps=steps, width=16, window=3, batch=2, solver=solver)


def test_the_papers_recipe_learns() -> None:
    few, more = (fit_trajectory(paths.series(30), None, config=paper(steps)) for steps in (1, 40))
    inside = BETWEEN[BETWEEN < 4.1]
    assert miss(more.codes(inside), inside) < 0.7 * miss(few.codes(inside), inside)


def test_a_later_fit_goes_on_from_an_earlier_one() -> None:
    first = fit_trajectory(paths.series(30), None, config=paper(20))
    losses: dict[str, list[float]] = {"anew": [], "on": []}
    for name, start in (("anew", None), ("on", first)):
        fit_trajectory(
            paths.series(30),
            None,
            config=paper(8),
            start=start,
            progress=lambda _step, loss, name=name: losses[name].append(loss),
        )
    assert np.mean(losses["on"]) < np.mean(losses["anew"])
    with pytest.raises(DynamicsError, match="another order"):
        fit_trajectory(paths.series(30), None, config=FitConfig(order=2), start=first)


class Sketch:
    """Draws a code as a picture of three colours."""

    codes, resolution = 3, 256

    def mean_w(self) -> Tensor:
        return torch.zeros(8)

    def map(self, z: Tensor) -> Tensor:
        return 2 * z

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        return w_plus.mean(2)[:, :, None, None].expand(-1, -1, 8, 8)


def test_a_loss_on_pictures_reaches_the_equation() -> None:
    weights = Weights(latent=0.0, image=1.0)
    config = FitConfig(steps=3, weights=weights, width=8, solver=Solver(method="rk4", step=0.1))
    plain = fit_trajectory(paths.series(20), None, config=FitConfig(steps=0, width=8))
    drawn = fit_trajectory(paths.series(20), None, config=config, losses=Losses(Sketch()))
    assert not torch.equal(plain.equation.skip.weight, drawn.equation.skip.weight)
    with pytest.raises(DynamicsError, match="needs a generator"):
        fit_trajectory(paths.series(20), None, config=config)


def test_codes_of_w_are_fitted_too() -> None:
    whole = paths.series()
    fitted = fit_trajectory(CodeSeries(whole.seconds, whole.codes[:, 0]), None)
    assert fitted.codes(BETWEEN).shape == (len(BETWEEN), 8)


def test_a_step_of_the_noise_is_not_followed() -> None:
    noisy = paths.series(noise=0.1)
    known = paths.model(noisy)
    with torch.no_grad():
        known.log_noise.fill_(-1.0)
        known.log_shares[:, 2:] = 3.0  # slow
    fitted = fit_trajectory(noisy, known)
    at = noisy.seconds
    raw = float((noisy.codes - paths.codes_at(at - 3.0)).square().mean())
    smooth = float((fitted.codes(at) - paths.codes_at(at - 3.0)).square().mean())
    assert smooth < 0.6 * raw


def test_two_frames_make_a_straight_way() -> None:
    two = paths.series(2, rate=4.0)
    fitted = fit_trajectory(two, None)
    codes = fitted.codes(np.array([3.0, 3.125, 3.25]))
    torch.testing.assert_close(codes[1], two.codes.mean(0), rtol=0, atol=0.02)
    torch.testing.assert_close(codes[[0, 2]], two.codes, rtol=0, atol=0.03)


def test_one_frame_is_refused() -> None:
    with pytest.raises(DynamicsError, match="two or more frames"):
        fit_trajectory(paths.series(1), None)


def test_a_face_that_does_not_move_stays() -> None:
    still = CodeSeries(np.arange(10) / 25, torch.ones(10, 3, 8))
    torch.testing.assert_close(fit_trajectory(still, None).codes(np.array([0.1, 0.13])), torch.ones(2, 3, 8))


@pytest.mark.parametrize(
    ("seconds", "what"),
    [([0.0, 0.1, 0.1], "times repeat"), ([0.0, 0.2, 0.1], "times go back"), ([0.0, np.nan, 1.0], "finite times")],
)
def test_bad_times_are_named(seconds: list[float], what: str) -> None:
    with pytest.raises(DynamicsError, match=what):
        CodeSeries(np.array(seconds), torch.ones(3, 3, 8))


def test_codes_that_are_not_numbers_are_named() -> None:
    codes = torch.ones(3, 3, 8)
    codes[1, 2, 3] = torch.nan
    with pytest.raises(DynamicsError, match=r"1 of 3 codes .* at 0\.100 s"):
        CodeSeries(np.array([0.0, 0.1, 0.2]), codes)


def test_of_a_clip_with_a_long_pause_the_longest_part_is_fitted() -> None:
    whole = paths.series(40)
    seconds = whole.seconds + np.where(np.arange(40) >= 15, 300.0, 0.0)
    fitted = fit_trajectory(CodeSeries(seconds, whole.codes), None)
    assert (fitted.begin, fitted.about["observations"]) == (seconds[15], 25)


def test_streaming_gives_what_asking_at_once_gives() -> None:
    fitted = fit_trajectory(paths.series(), None, config=FitConfig(solver=Solver(rtol=1e-6, atol=1e-7)))
    times = 3.0 + np.arange(-30, 280) / 100
    whole = fitted.codes(times)
    parts = list(fitted.stream(times))
    assert max(map(len, parts[1:])) <= 16
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(fitted.codes(times[200:]), whole[200:], rtol=0, atol=1e-3)


def test_far_outside_the_clip_the_codes_hold() -> None:
    fitted = fit_trajectory(paths.series(), None)
    codes = fitted.codes(np.array([-100.0, 2.5, 3.0, 3.0 + 59 / 25 + 0.5, 99.0]))
    torch.testing.assert_close(codes[0], codes[1])
    torch.testing.assert_close(codes[3], codes[4])
    assert float(codes.abs().max()) < 10


def test_the_motion_is_carried_to_another_first_code() -> None:
    fitted = fit_trajectory(paths.series(), None)
    offset = torch.randn(3, 8, generator=torch.Generator().manual_seed(3))
    origin = fitted.coordinates.origin + offset
    torch.testing.assert_close(fitted.codes(BETWEEN, origin=origin), fitted.codes(BETWEEN) + offset)


@pytest.mark.parametrize("method", ["rk4", "bosh3"])
def test_any_solver_reads_the_same_equation(method: str) -> None:
    fitted = fit_trajectory(paths.series(), None)
    other = replace(fitted, solver=Solver(method=method, step=0.01))
    torch.testing.assert_close(other.codes(BETWEEN), fitted.codes(BETWEEN), rtol=0, atol=2e-2)


def test_files(tmp_path: Path) -> None:
    clip = paths.series()
    fitted = fit_trajectory(clip, None, config=FitConfig(order=2))
    save_trajectory(fitted, tmp_path / "a.ode.safetensors")
    again = load_trajectory(tmp_path / "a.ode.safetensors")
    torch.testing.assert_close(again.codes(BETWEEN), fitted.codes(BETWEEN), rtol=0, atol=5e-3)
    assert (again.begin, again.end, again.about) == (fitted.begin, fitted.end, fitted.about)
    save_series(clip, tmp_path / "codes.safetensors")
    loaded = load_series(tmp_path / "codes.safetensors")
    assert torch.equal(loaded.codes, clip.codes)
    assert np.array_equal(loaded.seconds, clip.seconds)
    for wrong in (tmp_path / "codes.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(DynamicsError, match="is not a fitted clip"):
            load_trajectory(wrong)
    with pytest.raises(DynamicsError, match="is not a file of codes"):
        load_series(tmp_path / "a.ode.safetensors")


def test_coordinates_are_exact_where_all_are_kept() -> None:
    codes = paths.series().codes
    found = Coordinates.of(codes, kept=0.999999)
    assert found.size == 3
    torch.testing.assert_close(found.back(found.to(codes)), codes, rtol=0, atol=2e-3)
    assert float(found.to(codes[0]).abs().max()) < 1e-5


@pytest.mark.parametrize("options", [{"recipe": "best"}, {"order": 3}, {"window": 1}, {"lr": 0.0}, {"steps": -1}])
def test_settings_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(DynamicsError):
        FitConfig(**options)  # type: ignore[arg-type]
    with pytest.raises(DynamicsError, match="unknown recipe"):
        with_recipe(FitConfig(), "best")
    with pytest.raises(DynamicsError, match="weights of zero or more"):
        Weights(latent=0.0)
