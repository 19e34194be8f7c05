"""Low-dimensional coordinates of a clip's codes: the principal directions of their motion, from the first code on."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ..common.errors import DynamicsError

KEPT = 0.999
"""Share of the motion's variance that the coordinates hold; the rest is mostly the encoder's jitter."""
MOST = 64


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """z = (code - origin) @ basis.T / scale.

    Attributes:
        origin: (*shape) the code at which z is zero.
        basis: (D, P) orthonormal rows, P the numbers of a code.
        scale: (), one number for all coordinates, so that distances keep their meaning.
    """

    origin: Tensor
    basis: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        if self.basis.ndim != 2 or self.basis.shape[1] != self.origin.numel():
            raise DynamicsError(
                f"expected a basis of (D, {self.origin.numel()}) for codes {tuple(self.origin.shape)}, "
                f"got {tuple(self.basis.shape)}"
            )

    @property
    def size(self) -> int:
        """D."""
        return self.basis.shape[0]

    @classmethod
    def of(cls, codes: Tensor, *, origin: Tensor | None = None, most: int = MOST, kept: float = KEPT) -> Self:
        """The principal directions of (N, *shape) codes that hold `kept` of their variance, at most `most` of them.

        origin: the first code by default (delta coordinates). Codes that do not move get one coordinate.
        """
        flat = codes.flatten(1).double()
        centred = flat - flat.mean(0)
        # From the small Gram matrix, since there are far fewer codes than numbers in each.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        total = values.sum()
        if not total > 1e-12:
            basis = torch.zeros(1, flat.shape[1])
            basis[0, 0] = 1.0
            return cls(codes[0] if origin is None else origin, basis, torch.ones(()))
        count = int((values.cumsum(0) / total < kept).sum()) + 1
        count = max(1, min(count, most, int((values > 1e-9 * total).sum())))
        basis = (centred.T @ (vectors[:, :count] / values[:count].sqrt())).T
        scale = (values[0] / len(codes)).sqrt().clamp_min(1e-6)
        return cls(codes[0] if origin is None else origin, basis.float().contiguous(), scale.float())

    def to(self, codes: Tensor) -> Tensor:
        """(..., *shape) codes -> (..., D)."""
        flat = (codes - self.origin).reshape(*codes.shape[: codes.ndim - self.origin.ndim], -1)
        z: Tensor = flat @ self.basis.T / self.scale
        return z

    def back(self, z: Tensor, origin: Tensor | None = None) -> Tensor:
        """(..., D) -> (..., *shape) codes; origin: another one to start from, such as an edited first code."""
        start = self.origin if origin is None else origin
        step: Tensor = (z * self.scale @ self.basis).unflatten(-1, self.origin.shape)
        return start + step
