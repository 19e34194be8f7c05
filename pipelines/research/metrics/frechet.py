"""The Frechet distance between two sets of features, gathered a batch at a time in bounded memory; the Inception score.

FID, frame-FID and FVD are this distance on features of faces, of frames and of clips.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from ....models.arrays import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """A set of feature vectors, as far as a Gaussian fit needs it.

    Attributes:
        count: how many.
        width: D.
        batches: of (R_i, 1 + D) float64 rows with sum rows^T rows = sum (1, x)^T (1, x) over the vectors x; at most 2
            (1 + D) rows in all, because more of them are taken together to a triangle.
    """

    count: int
    width: int
    batches: tuple[Float64Array, ...] = ()

    @classmethod
    def empty(cls, width: int) -> "Gathered":
        """No vectors yet, of `width` numbers each."""
        return cls(0, width)

    @property
    def rows(self) -> Float64Array:
        """All batches as one."""
        return np.vstack([np.zeros((0, 1 + self.width)), *self.batches])

    def add(self, features: npt.NDArray[np.floating]) -> "Gathered":
        """With (N, D) more vectors. Raises ValueError where D is another or a number is not finite."""
        if features.ndim != 2 or features.shape[1] != self.width or not np.isfinite(features).all():
            raise ValueError(f"expected (N, {self.width}) finite features, got {features.shape}")
        batches = (*self.batches, np.column_stack([np.ones(len(features)), features]))
        more = Gathered(self.count + len(features), self.width, batches)
        if sum(len(batch) for batch in batches) <= 2 * (1 + self.width):
            return more
        return Gathered(more.count, self.width, (_triangle(more.rows),))

    def gaussian(self) -> "Gaussian":
        """Its fit. Raises ValueError for fewer than two vectors."""
        if self.count < 2:
            raise ValueError(f"a Gaussian needs two vectors or more, got {self.count}")
        # With a first column of ones, the triangle splits into the mean's row and the scatter around the mean: no
        # subtraction of large squares.
        triangle = _triangle(self.rows)
        return Gaussian(triangle[0, 1:] / triangle[0, 0], triangle[1:, 1:] / np.sqrt(self.count - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A Gaussian distribution of features.

    Attributes:
        mean: (D,).
        factor: (R, D) with factor^T factor the covariance (unbiased, as `numpy.cov`).
    """

    mean: Float64Array
    factor: Float64Array


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Distance between two Gaussians; of Inception features it is the FID, of I3D features the FVD.

    Formula: |ma - mb|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)); the last trace is the sum of the singular values of Fa Fb^T,
    where C = F^T F: exact at any rank, and a small matrix where there are few vectors. Source: Dowson, Landau 1982;
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, equation 6. Range: 0 up.
    Direction: lower is better. Unit: square of the features'. Biased upwards for few vectors, so values are comparable
    only at equal counts.
    """
    if np.array_equal(a.mean, b.mean) and np.array_equal(a.factor, b.factor):
        return 0.0
    mean = float(np.square(a.mean - b.mean).sum())
    spread = float(np.square(a.factor).sum() + np.square(b.factor).sum())
    shared = float(np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum())
    # Rounding alone can take the distance of near-equal sets below zero.
    return max(0.0, mean + spread - 2 * shared)


def _triangle(rows: Float64Array) -> Float64Array:
    return cast("Float64Array", np.linalg.qr(rows, mode="r"))


def inception_score(probabilities: npt.NDArray[np.floating]) -> float:
    """How sure and how varied the classes of a set of pictures are.

    Formula: exp(mean_i KL(p_i || mean_j p_j)). Source: Salimans et al., "Improved Techniques for Training GANs",
    NeurIPS 2016, section 4, in one split. Range: 1..number of classes. Direction: higher is better for a set of
    generated pictures; on the frames of one person it says little, and the source's own stands beside it. Unit: none.

    Args:
        probabilities: (N, C), rows that sum to 1.
    """
    p = probabilities.astype(np.float64)
    mean = p.mean(0)
    ratio = np.divide(p, mean, out=np.ones_like(p), where=p > 0)
    return float(np.exp((p * np.log(ratio)).sum(1).mean()))
