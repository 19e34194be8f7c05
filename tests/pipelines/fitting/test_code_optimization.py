"""Optimizing codes: it comes near, each face by itself, and by a known schedule."""

import pytest
import torch
from torch import Tensor

from dynstream.pipelines.fitting.code_optimization import optimize_codes, rate

from ..fakes import LevelGenerator


class Squares:
    """In LPIPS's place: the mean square difference."""

    def features(self, x: Tensor) -> list[Tensor]:
        return [x]

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        return (a[0] - b[0]).square().mean((1, 2, 3))


def faces(*levels: float) -> Tensor:
    return torch.stack([LevelGenerator().pattern + level for level in levels])


def found(targets: Tensor, steps: int) -> Tensor:
    return optimize_codes(LevelGenerator(), Squares(), targets, steps=steps)  # type: ignore[arg-type]


def test_comes_near() -> None:
    codes = found(faces(0.3), steps=60)
    assert codes.shape == (1, 18, 512)
    assert codes.mean().item() == pytest.approx(0.3, abs=0.03)
    assert not codes.requires_grad


def test_a_batch_gives_what_its_faces_give_alone() -> None:
    together = found(faces(0.3, -0.2), steps=5)
    alone = torch.cat([found(faces(level), steps=5) for level in (0.3, -0.2)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_the_rate_rises_then_falls_to_zero() -> None:
    rates = [rate(step, 150) for step in range(151)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1
    assert rates[150] == pytest.approx(0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rate(0, 1) == 1


def test_progress_is_told() -> None:
    told: list[int] = []
    optimize_codes(LevelGenerator(), Squares(), faces(0.1), steps=3, progress=told.append)  # type: ignore[arg-type]
    assert told == [1, 2, 3]
