"""The interface of every face generator.

The pipeline knows a generator only through this protocol, so that another one is a matter of one option.
"""

from typing import Protocol, runtime_checkable

import torch

from ..errors import ShapeError

CODE_SIZE = 512
NOISE_SIZE = 32


@runtime_checkable
class Generator(Protocol):
    """A style-based face generator with a W+ space.

    Guarantees: deterministic (the same codes give the same picture), differentiable in the codes and in the noise
    map, a batch equals its single items, no state from call to call.
    """

    @property
    def codes(self) -> int:
        """Number of W+ codes: 2 log2(resolution) - 2, so 18 at 1024."""

    @property
    def resolution(self) -> int:
        """Height and width of the largest picture it draws, in pixels."""

    def mean_w(self) -> torch.Tensor:
        """The mean of W, (512,) float32; the centre of truncation."""

    def map(self, z: torch.Tensor) -> torch.Tensor:
        """z: (B, 512) standard normal -> w: (B, 512), codes of W."""

    def synthesize(self, w_plus: torch.Tensor, *, noise: torch.Tensor | None = None, size: int = 256) -> torch.Tensor:
        """Draw faces.

        w_plus: (B, codes, 512) W+ codes. noise: (B, 1, 32, 32), added to the generator's own noise at 32x32.
        size: height and width of the result. Returns (B, 3, size, size), RGB in about [-1, 1].
        Raises ShapeError for codes, a noise map or a size that it does not take.
        """


def check_codes(w_plus: torch.Tensor, codes: int, noise: torch.Tensor | None = None) -> None:
    """Raise ShapeError unless w_plus is (B, codes, 512) and noise, where given, (B, 1, 32, 32)."""
    if w_plus.ndim != 3 or w_plus.shape[1:] != (codes, CODE_SIZE):
        raise ShapeError(f"expected W+ codes of shape (B, {codes}, {CODE_SIZE}), got {tuple(w_plus.shape)}")
    expected = (w_plus.shape[0], 1, NOISE_SIZE, NOISE_SIZE)
    if noise is not None and noise.shape != expected:
        raise ShapeError(f"expected a noise map of shape {expected}, got {tuple(noise.shape)}")


def broadcast_w(w: torch.Tensor, codes: int) -> torch.Tensor:
    """w: (B, 512) codes of W -> (B, codes, 512), the same code for every layer."""
    return w.unsqueeze(1).expand(-1, codes, -1)


def truncate(w: torch.Tensor, mean: torch.Tensor, psi: float) -> torch.Tensor:
    """Draw codes towards the mean: mean + psi (w - mean) (the truncation trick, Karras et al. 2019, sec. 3)."""
    return torch.lerp(mean.expand_as(w), w, psi)
