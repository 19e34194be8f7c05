"""Losses between drawn and observed codes as pictures: DynODE's losses in feature and image space."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.generator.generator import Generator, broadcast_w
from ...models.metrics.lpips import LPIPS
from ..common.errors import DynamicsError

KINDS = ("w+", "w", "z")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of the losses: on normalised coordinates, on LPIPS features, and on pictures in [-1, 1]."""

    latent: float = 1.0
    feature: float = 0.0
    image: float = 0.0

    def __post_init__(self) -> None:
        values = (self.latent, self.feature, self.image)
        if not all(math.isfinite(value) and value >= 0 for value in values) or not sum(values):
            raise DynamicsError(f"expected weights of zero or more, at least one above it, got {values}")

    @property
    def of_pictures(self) -> bool:
        """Whether anything has to be drawn."""
        return bool(self.feature or self.image)


@dataclass(frozen=True, eq=False)
class Losses:
    """The loss between two codes as pictures.

    Attributes:
        generator: draws both codes.
        lpips: None without a feature loss.
    """

    generator: Generator
    lpips: LPIPS | None = None

    def __call__(self, found: Tensor, observed: Tensor, weights: Weights) -> Tensor:
        """(): weighted loss of (B, *shape) codes against the pictures of (B, *shape) observed ones."""
        drawn = self.generator.synthesize(to_w_plus(found, self.generator), size=256).float()
        with torch.no_grad():
            wanted = self.generator.synthesize(to_w_plus(observed, self.generator), size=256).float()
        loss = weights.image * F.mse_loss(drawn, wanted)
        if weights.feature:
            if self.lpips is None:
                raise DynamicsError("a feature loss needs LPIPS; pass it to `Losses`")
            loss = loss + weights.feature * self.lpips(drawn, wanted).mean()
        return loss


def kind_of(codes: Tensor, *, kind: str | None = None) -> str:
    """ "w+" for codes (..., K, 512), "w" for (..., 512) unless `kind` says "z". Raises DynamicsError."""
    if kind is not None and kind not in KINDS:
        raise DynamicsError(f"unknown kind of codes {kind!r}; expected one of {', '.join(KINDS)}")
    if kind is not None:
        return kind
    return "w+" if codes.ndim >= 3 else "w"


def to_w_plus(codes: Tensor, generator: Generator, *, kind: str | None = None) -> Tensor:
    """(B, K, 512) W+ codes of codes of W+, (B, K, 512), or of W or Z, (B, 512)."""
    found = kind_of(codes, kind=kind)
    if found == "z":
        codes = generator.map(codes)
    return codes if codes.ndim == 3 else broadcast_w(codes, generator.codes)
