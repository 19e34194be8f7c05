"""The solvers against trajectories in closed form, and what they do where they cannot go on."""

import math

import pytest
import torch
from torch import Tensor, nn

from dynstream.models.dynamics.ode_field import ODEField
from dynstream.pipelines.common.errors import DynamicsError
from dynstream.pipelines.trajectory.solver import ADAPTIVE, METHODS, ORDER, Solver, solve

TIMES = torch.linspace(0, 2, 9, dtype=torch.float64)


def linear(_t: Tensor, z: Tensor) -> Tensor:
    return -0.7 * z


def harmonic(_t: Tensor, z: Tensor) -> Tensor:
    return torch.stack([z[..., 1], -9 * z[..., 0]], -1)


def lotka_volterra(_t: Tensor, z: Tensor) -> Tensor:
    prey, hunters = z[..., 0], z[..., 1]
    return torch.stack([prey * (1.5 - hunters), hunters * (prey - 3)], -1)


def start(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def tight(method: str) -> Solver:
    return Solver(method=method, rtol=1e-7, atol=1e-9, step=0.002)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_solves_the_linear_equation(method: str) -> None:
    path = solve(linear, start(2.0, -1.0), TIMES, tight(method))
    exact = start(2.0, -1.0) * torch.exp(-0.7 * TIMES)[:, None]
    loose = {"euler": 2e-3, "bosh3": 1e-4, "fehlberg2": 1e-4, "adaptive_heun": 1e-4}
    torch.testing.assert_close(path, exact, rtol=0, atol=loose.get(method, 1e-5))


@pytest.mark.parametrize("method", ["dopri5", "dopri8", "rk4"])
def test_the_harmonic_oscillator(method: str) -> None:
    path = solve(harmonic, start(1.0, 0.0), TIMES, tight(method))
    torch.testing.assert_close(path[:, 0], torch.cos(3 * TIMES), rtol=0, atol=1e-6)
    torch.testing.assert_close(path[:, 1], -3 * torch.sin(3 * TIMES), rtol=0, atol=3e-6)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_lotka_volterra_keeps_its_constant(method: str) -> None:
    times = torch.linspace(0, 10, 101, dtype=torch.float64)
    path = solve(lotka_volterra, start(4.0, 2.0), times, tight(method))
    prey, hunters = path[:, 0], path[:, 1]
    constant = prey - 3 * prey.log() + hunters - 1.5 * hunters.log()
    torch.testing.assert_close(constant, constant[:1].expand_as(constant), rtol=0, atol=1e-5)
    assert float(prey.max() - prey.min()) > 1  # and moves


@pytest.mark.parametrize(("method", "order"), ORDER.items())
def test_the_error_falls_by_the_order_of_the_method(method: str, order: int) -> None:
    def error(step: float) -> float:
        path = solve(harmonic, start(1.0, 0.0), TIMES[[0, -1]], Solver(method=method, step=step))
        return abs(float(path[-1, 0]) - math.cos(6.0))

    assert math.log2(error(0.05) / error(0.025)) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_going_back_in_time_ends_at_the_beginning(method: str) -> None:
    there = solve(lotka_volterra, start(4.0, 2.0), TIMES, tight(method))
    back = solve(lotka_volterra, there[-1], TIMES.flip(0), tight(method))
    torch.testing.assert_close(back.flip(0), there, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_the_adjoint_gives_the_gradients_of_backpropagation(method: str) -> None:
    torch.manual_seed(0)
    field = ODEField(3, duration=2.0, waves=4, width=8).double()
    nn.init.normal_(field.out.weight, std=0.3)
    initial = torch.randn(2, 3, dtype=torch.float64)

    def gradients(adjoint: bool) -> list[Tensor]:
        z0 = initial.clone().requires_grad_()
        solver = Solver(method=method, rtol=1e-8, atol=1e-10, step=0.01, adjoint=adjoint)
        loss = solve(field, z0, TIMES, solver).square().sum()
        return list(torch.autograd.grad(loss, [z0, *field.parameters()]))

    for one, other in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_one_time_is_the_initial_state() -> None:
    assert solve(linear, start(1.0), TIMES[:1]).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("times", "what"),
    [
        ([0.0, 1.0, 1.0], "without repeats"),
        ([0.0, 2.0, 1.0], "without repeats"),
        ([0.0, math.nan], "finite times"),
        ([], "finite times"),
    ],
)
def test_bad_times(times: list[float], what: str) -> None:
    with pytest.raises(DynamicsError, match=what):
        solve(linear, start(1.0), torch.tensor(times, dtype=torch.float64))


def test_a_state_that_is_not_finite() -> None:
    with pytest.raises(DynamicsError, match="initial state"):
        solve(linear, start(math.nan), TIMES)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_step_that_underflows_is_an_error(method: str) -> None:
    # z = 1 / (1 - t) has no value at 1.
    with pytest.raises(DynamicsError, match=r"cannot go on|evaluations|not finite"):
        solve(lambda _t, z: z * z, start(1.0), TIMES, Solver(method=method, max_evaluations=5000))


def test_a_solution_that_runs_away_is_an_error_with_fixed_steps() -> None:
    with pytest.raises(DynamicsError, match="not finite"):
        solve(lambda _t, z: z**3 * 1e3, start(1.0), TIMES, Solver(method="rk4"))


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_a_stiff_equation_ends_after_so_many_evaluations(method: str) -> None:
    with pytest.raises(DynamicsError, match="more than 50"):
        solve(lambda t, z: -1e6 * (z - torch.sin(50 * t)), start(0.0), TIMES, Solver(method=method, max_evaluations=50))


def test_years_in_steps_of_a_hundredth_are_refused_before_any() -> None:
    with pytest.raises(DynamicsError, match="choose a larger step"):
        solve(linear, start(1.0), torch.tensor([0.0, 1e9], dtype=torch.float64), Solver(method="rk4", step=0.01))


@pytest.mark.parametrize(
    "options", [{"method": "magic"}, {"rtol": 0.0}, {"step": math.nan}, {"atol": -1.0}, {"max_evaluations": 0}]
)
def test_settings_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(DynamicsError):
        Solver(**options)  # type: ignore[arg-type]


def test_the_adjoint_needs_a_module() -> None:
    with pytest.raises(DynamicsError, match="torch module"):
        solve(linear, start(1.0), TIMES, Solver(adjoint=True))
