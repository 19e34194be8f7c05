"""Random paths: bounded, band-limited, the same for the same seed, in any order of asking."""

import numpy as np
import pytest

from dynstream.pipelines.research.synth.paths import KINDS, Bumps, Jumps, drift, make_path, random_of

TIMES = np.arange(0, 60, 1 / 200)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_and_the_name_decide_all(kind):
    path, again = (make_path(kind, 3, "yaw", 60.0) for _ in range(2))
    np.testing.assert_array_equal(path(TIMES), again(TIMES))
    assert np.abs(path(TIMES) - make_path(kind, 4, "yaw", 60.0)(TIMES)).max() > 0.1
    assert np.abs(path(TIMES) - make_path(kind, 3, "pitch", 60.0)(TIMES)).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_moment_does_not_depend_on_the_others_asked(kind):
    path = make_path(kind, 1, "smile", 60.0)
    shuffled = np.random.default_rng(0).permutation(TIMES)[:200].reshape(20, 10)
    together = path(shuffled)
    assert together.shape == shuffled.shape
    np.testing.assert_allclose([float(path(t)) for t in shuffled.ravel()], together.ravel(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_values_stay_in_range(kind, seed):
    values = make_path(kind, seed, "x", 60.0)(TIMES)
    low = -1 if kind in ("drift", "gaze") else 0
    assert low - 1e-9 <= values.min()
    assert values.max() <= 1 + 1e-9
    assert values.max() - values.min() > 0.5


@pytest.mark.parametrize("highest", [0.2, 0.5, 2.0])
def test_a_drift_has_nothing_above_its_band(highest):
    values = drift(random_of(1, "x"), highest)(TIMES) * np.hanning(TIMES.size)
    power = np.abs(np.fft.rfft(values)) ** 2
    hertz = np.fft.rfftfreq(TIMES.size, TIMES[1])
    assert power[hertz > highest + 0.1].sum() < 1e-6 * power.sum()


def test_a_drift_without_a_band_is_refused():
    with pytest.raises(ValueError, match="above zero"):
        drift(random_of(1, "x"), 0.0)


def test_blinks_are_short_complete_and_apart():
    path = make_path("blink", 2, "eyes-closed", 60.0)
    closed = path(TIMES) > 0.5
    starts = np.flatnonzero(closed[1:] & ~closed[:-1])
    assert 10 <= starts.size <= 30
    assert np.diff(TIMES[starts]).min() > 1.5
    assert closed.sum() / starts.size / 200 < 0.25
    np.testing.assert_allclose(path(path.times), 1.0)


def test_speech_has_syllables_and_pauses():
    values = make_path("speech", 2, "mouth-open", 60.0)(TIMES)
    peaks = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])).size
    assert 1.5 < peaks / 60 < 5
    silent = np.flatnonzero(np.diff(np.flatnonzero(values > 1e-3)) > 0.2 * 200).size
    assert silent > 8


def test_a_bump_rises_and_falls_as_told():
    bumps = Bumps(np.array([1.0]), np.array([0.1]), np.array([0.4]), np.array([0.8]))
    np.testing.assert_allclose(bumps([0.9, 0.95, 1.0, 1.2, 1.4, 2.0]), [0, 0.4, 0.8, 0.4, 0, 0], atol=1e-12)
    none = np.zeros(0)
    np.testing.assert_array_equal(Bumps(none, none, none, none)([0.0, 1.0]), [0, 0])


def test_a_jump_is_quick_and_then_rests():
    jumps = Jumps(np.array([1.0, 2.0]), np.array([0.0, 1.0, -1.0]))
    np.testing.assert_allclose(jumps([0.5, 1.0, 1.025, 1.05, 1.9, 2.025, 5.0]), [0, 0, 0.5, 1, 1, 0, -1], atol=1e-9)
    np.testing.assert_array_equal(Jumps(np.zeros(0), np.array([0.3]))([0.0, 9.0]), [0.3, 0.3])
