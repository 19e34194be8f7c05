"""Sampled codes: truncated, mixed, and the same for the same random numbers."""

import torch

from dynstream.models.directions.directions import Direction
from dynstream.pipelines.inversion.code_sampling import EXPRESSIONS, sample_codes, stretch_codes

from ..fakes import LevelGenerator


class Shifted(LevelGenerator):
    def mean_w(self) -> torch.Tensor:
        return torch.full((512,), 2.0)


def draw(seed: int, count: int = 64, **options: float) -> torch.Tensor:
    return sample_codes(Shifted(), count, torch.Generator().manual_seed(seed), **options)


def test_shape_and_determinism() -> None:
    codes = draw(1)
    assert codes.shape == (64, 18, 512)
    assert codes.dtype == torch.float32
    assert not codes.requires_grad
    assert torch.equal(codes, draw(1))
    assert not torch.equal(codes, draw(2))


def test_without_mixing_every_layer_has_the_same_code() -> None:
    codes = draw(1, mix=0.0)
    assert torch.equal(codes, codes[:, :1].expand_as(codes))


def test_mixing_changes_over_once() -> None:
    codes = draw(1, mix=1.0)
    changes = (codes[:, 1:] != codes[:, :-1]).any(-1).sum(1)
    assert (changes == 1).all()
    assert 0.3 < ((draw(1, 400)[:, 0] != draw(1, 400)[:, -1]).any(-1)).float().mean() < 0.7


def test_truncation() -> None:
    """w = 0.3 z around zero; with psi = 0 every code is the mean, with psi = 1 it is w itself."""
    assert torch.equal(draw(1, low=0.0, high=0.0), torch.full((64, 18, 512), 2.0))
    whole = draw(1, 200, low=1.0, high=1.0, mix=0.0)[:, 0]
    assert abs(float(whole.mean())) < 0.01
    assert abs(float(whole.std()) - 0.3) < 0.01
    half = draw(1, 200, low=0.4, high=0.6, mix=0.0)[:, 0].mean(1)
    assert (half > 2 * 0.4 - 0.06).all()
    assert (half < 2 * 0.6 + 0.06).all()
    assert half.std() > 0.05


def axes() -> dict[str, Direction]:
    """A direction along an axis of its own for each expression, with another range for each."""
    found = {}
    for i, name in enumerate(EXPRESSIONS):
        vector = torch.zeros(18, 512)
        vector[3, i] = 1
        found[name] = Direction(name=name, vector=vector, scale=2.0, low=-1.0, high=1.0 + i)
    return found


def test_codes_are_stretched_along_expressions_only() -> None:
    codes = torch.ones(400, 18, 512)
    moved = stretch_codes(codes, axes(), torch.Generator().manual_seed(1), share=0.5, reach=1.0) - codes
    assert torch.equal(codes, torch.ones(400, 18, 512))
    steps = moved[:, 3, : len(EXPRESSIONS)] / 2
    assert float(moved.abs().sum() - 2 * steps.abs().sum()) < 1e-3
    assert 0.4 < float((steps != 0).float().mean()) < 0.6
    for i in range(len(EXPRESSIONS)):
        assert -1 <= float(steps[:, i].min()) < -0.9
        assert 0.85 * (1 + i) < float(steps[:, i].max()) <= 1 + i
