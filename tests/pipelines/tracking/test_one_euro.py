import numpy as np
import pytest

from dynstream.pipelines.tracking.one_euro import OneEuro, smoothing, start, step


def run(settings: OneEuro, samples: list[tuple[float, float]]) -> list[float]:
    state = start(np.array([samples[0][1]]), samples[0][0])
    outputs = [float(state.value[0])]
    for seconds, value in samples[1:]:
        state = step(settings, state, np.array([value]), seconds)
        outputs.append(float(state.value[0]))
    return outputs


def test_weight_of_a_sample() -> None:
    # tau = 1 / (2 pi), alpha = 1 / (1 + tau / 0.1)
    assert smoothing(1.0, 0.1) == pytest.approx(1 / (1 + (1 / (2 * np.pi)) / 0.1))


def test_without_beta_it_is_a_low_pass_worked_by_hand() -> None:
    # At 1 Hz: alpha(0.1 s) = 0.385869..., alpha(0.2 s) = 0.556859...
    outputs = run(OneEuro(min_cutoff=1.0), [(0.0, 0.0), (0.1, 1.0), (0.3, 1.0)])
    first = 0.6283185307 / 1.6283185307
    second = first + (1.2566370614 / 2.2566370614) * (1 - first)
    assert outputs == pytest.approx([0.0, first, second])


def test_speed_opens_the_filter_worked_by_hand() -> None:
    # dx = 1 / 0.1 = 10 per second; its low pass at 1 Hz gives 3.858692; the cut-off is 1 + 0.5 * 3.858692 Hz.
    outputs = run(OneEuro(min_cutoff=1.0, beta=0.5, derivative_cutoff=1.0), [(0.0, 0.0), (0.1, 1.0)])
    speed = 10 * 0.6283185307 / 1.6283185307
    reach = 2 * np.pi * (1 + 0.5 * speed) * 0.1
    assert outputs[1] == pytest.approx(reach / (1 + reach))


def test_a_signal_at_rest_stays() -> None:
    assert run(OneEuro(1.0, 5.0), [(t / 25, 3.0) for t in range(50)]) == pytest.approx([3.0] * 50)


def test_irregular_stamps_approach_the_regular_answer() -> None:
    generator = np.random.default_rng(0)
    stamps = np.cumsum(generator.uniform(0.005, 0.03, 400))
    irregular = run(OneEuro(2.0, 0.0), [(t, float(np.sin(t))) for t in stamps])
    even = np.linspace(stamps[0], stamps[-1], 400)
    regular = run(OneEuro(2.0, 0.0), [(t, float(np.sin(t))) for t in even])
    np.testing.assert_allclose(irregular[50:], np.interp(stamps, even, regular)[50:], atol=0.02)


def test_a_sample_that_is_not_later_changes_nothing() -> None:
    state = start(np.array([1.0, 2.0]), 5.0)
    for seconds in (5.0, 4.0):
        assert step(OneEuro(), state, np.array([9.0, 9.0]), seconds) is state


def test_grouped_coordinates_are_filtered_alike_in_every_direction() -> None:
    settings = OneEuro(1.0, 3.0, groups=(0, 0))
    generator = np.random.default_rng(1)
    path = np.cumsum(generator.normal(size=(40, 2)), axis=0)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    plain, turned = start(path[0], 0.0), start(turn @ path[0], 0.0)
    for index, point in enumerate(path[1:], 1):
        plain = step(settings, plain, point, index / 25)
        turned = step(settings, turned, turn @ point, index / 25)
    np.testing.assert_allclose(turned.value, turn @ plain.value, atol=1e-9)


def test_each_coordinate_may_have_its_own_settings() -> None:
    settings = OneEuro(np.array([0.5, 5.0]), np.array([0.0, 0.0]))
    state = step(settings, start(np.zeros(2), 0.0), np.ones(2), 0.04)
    np.testing.assert_allclose(state.value, [float(smoothing(0.5, 0.04)), float(smoothing(5.0, 0.04))])


def test_memory_is_not_shared_with_the_caller() -> None:
    first = np.array([1.0])
    state = start(first, 0.0)
    first[0] = 7.0
    assert state.value[0] == 1.0


@pytest.mark.parametrize(
    "arguments",
    [{"min_cutoff": 0.0}, {"beta": -1.0}, {"derivative_cutoff": 0.0}, {"groups": (0, -1)}],
)
def test_impossible_settings_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        OneEuro(**arguments)  # type: ignore[arg-type]


def test_a_change_of_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(2,\) coordinates"):
        step(OneEuro(), start(np.zeros(2), 0.0), np.zeros(3), 1.0)
