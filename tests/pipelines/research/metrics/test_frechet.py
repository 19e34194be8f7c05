"""The Frechet distance by hand and by scipy's matrix root; the Inception score by hand."""

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg

from dynstream.pipelines.research.metrics.frechet import Gathered, Gaussian, frechet_distance, inception_score


def features(seed: int, count: int, width: int, scale: float = 1.0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) * scale + shift


def gathered(values: npt.NDArray[np.float64], batch: int = 7) -> Gathered:
    state = Gathered.empty(values.shape[1])
    for start in range(0, len(values), batch):
        state = state.add(values[start : start + batch])
    return state


def by_scipy(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """The formula as published: the root of the product of the covariances."""
    root = scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    spread = np.trace(np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * np.real(root))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + spread)


def test_by_hand() -> None:
    """Means (0, 0) and (3, 4); covariances diag(4, 9) and diag(1, 16): 25 + (2 - 1)^2 + (3 - 4)^2 = 27."""
    a = Gaussian(np.zeros(2), np.diag([2.0, 3.0]))
    b = Gaussian(np.array([3.0, 4.0]), np.diag([1.0, 4.0]))
    assert frechet_distance(a, b) == pytest.approx(27)


def test_covariances_that_do_not_commute() -> None:
    """The root of a 2x2 product of trace t and determinant d has the trace sqrt(t + 2 sqrt(d))."""
    a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 4.0])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    found = frechet_distance(
        Gaussian(np.zeros(2), np.linalg.cholesky(a).T), Gaussian(np.zeros(2), np.linalg.cholesky(b).T)
    )
    assert found == pytest.approx(np.trace(a + b) - 2 * root)


@pytest.mark.parametrize("count", [200, 30])
def test_equals_the_published_formula(count: int) -> None:
    """Also where the covariances have not full rank, which is where FID of a short clip always is."""
    a, b = features(0, count, 12), features(1, count, 12, 1.3, 0.2)
    found = frechet_distance(gathered(a).gaussian(), gathered(b).gaussian())
    assert found == pytest.approx(by_scipy(a, b), abs=1e-4)


def test_fewer_vectors_than_numbers() -> None:
    """The root of a singular matrix is beyond sqrtm; its trace is the sum of the roots of the eigenvalues."""
    a, b = features(0, 8, 20), features(1, 9, 20)
    product = np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)
    root = np.sqrt(np.clip(np.real(np.linalg.eigvals(product)), 0, None)).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(np.cov(a, rowvar=False) + np.cov(b, rowvar=False))
    found = frechet_distance(gathered(a).gaussian(), gathered(b).gaussian())
    assert found == pytest.approx(float(expected - 2 * root), abs=1e-3)


def test_the_fit_is_numpys() -> None:
    values = features(0, 100, 6, shift=1000.0)
    fit = gathered(values).gaussian()
    np.testing.assert_allclose(fit.mean, values.mean(0), rtol=1e-9)
    np.testing.assert_allclose(fit.factor.T @ fit.factor, np.cov(values, rowvar=False), rtol=1e-6)


def test_memory_is_bounded_and_batches_do_not_matter() -> None:
    values = features(0, 300, 6)
    one, many = gathered(values, 1), gathered(values, 150)
    assert one.count == many.count == 300
    assert len(one.rows) <= 14
    other = gathered(features(1, 300, 6)).gaussian()
    assert frechet_distance(one.gaussian(), other) == pytest.approx(frechet_distance(many.gaussian(), other), rel=1e-9)


def test_invariances() -> None:
    a, b = features(0, 60, 5), features(1, 60, 5)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))
    here = frechet_distance(gathered(a).gaussian(), gathered(b).gaussian())
    assert frechet_distance(gathered(b).gaussian(), gathered(a).gaussian()) == pytest.approx(here)
    turned = frechet_distance(gathered(a @ turn + 3).gaussian(), gathered(b @ turn + 3).gaussian())
    assert turned == pytest.approx(here)
    assert frechet_distance(gathered(2 * a).gaussian(), gathered(2 * b).gaussian()) == pytest.approx(4 * here)


def test_a_set_against_itself_is_zero() -> None:
    values = features(0, 50, 8)
    assert frechet_distance(gathered(values).gaussian(), gathered(values).gaussian()) == 0


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="two vectors"):
        Gathered.empty(3).add(np.zeros((1, 3))).gaussian()
    with pytest.raises(ValueError, match=r"\(N, 3\)"):
        Gathered.empty(3).add(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="finite"):
        Gathered.empty(3).add(np.full((1, 3), np.nan))


def test_inception_score_by_hand() -> None:
    assert inception_score(np.eye(4)) == pytest.approx(4)
    assert inception_score(np.full((5, 10), 0.1)) == pytest.approx(1)
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    mean = np.array([0.7, 0.3])
    expected = np.exp((p * np.log(p / mean)).sum(1).mean())
    assert inception_score(p) == pytest.approx(expected)
    assert inception_score(p[::-1]) == pytest.approx(expected)
