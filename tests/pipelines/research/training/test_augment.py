"""What is done to faces before an encoder sees them: shapes, ranges, and the same for the same random numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dynstream.pipelines.research.training.augment import compress, cover, degrade, dim, jitter, recolour

Change = Callable[[Tensor, torch.Generator], Tensor]


def faces(count: int = 16) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    one = torch.stack([x, y, torch.sin(5 * x) * torch.cos(4 * y)])
    return one.expand(count, 3, 64, 64).clone()


@pytest.mark.parametrize("change", [jitter, degrade, recolour, dim])
def test_shape_determinism_and_input_left_alone(change: Change) -> None:
    given = faces()
    out = change(given, torch.Generator().manual_seed(1))
    assert out.shape == given.shape
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert torch.equal(out, change(faces(), torch.Generator().manual_seed(1)))
    assert not torch.equal(out, change(faces(), torch.Generator().manual_seed(2)))
    assert torch.equal(given, faces())


@pytest.mark.parametrize("change", [jitter, degrade, recolour])
def test_faces_are_changed_apart(change: Change) -> None:
    out = change(faces(32), torch.Generator().manual_seed(3))
    assert len({tuple(face.flatten()[:500].tolist()) for face in out}) > 8


def test_jitter_flips_half_and_moves_a_little() -> None:
    out = jitter(faces(400), torch.Generator().manual_seed(1))
    across = out[:, 0, 20:44, 20:44]
    slope = (across[:, :, -1] - across[:, :, 0]).mean(1) / (23 * 2 / 63)
    flipped = slope < 0
    assert 0.4 < flipped.float().mean() < 0.6
    assert (slope.abs() - 1).abs().max() < 0.2
    shift = across.mean((1, 2)) * torch.where(flipped, -1.0, 1.0)
    assert float(shift.std()) == pytest.approx(0.04, rel=0.25)
    assert out.abs().max() <= 1 + 1e-5


def test_jitter_without_movement_is_a_mirror_or_nothing() -> None:
    out = jitter(faces(), torch.Generator().manual_seed(1), shift=0, turn=0, zoom=0)
    for face in out:
        plain = torch.allclose(face, faces(1)[0], atol=1e-4)
        assert plain != torch.allclose(face, faces(1)[0].flip(-1), atol=1e-4)


def test_degrading_is_mild() -> None:
    out = degrade(faces(100), torch.Generator().manual_seed(1))
    error = (out - faces(100)).square().mean((1, 2, 3)).sqrt()
    assert error.quantile(0.8) < 0.12
    assert error.max() < 0.5
    assert (error > 0).float().mean() > 0.6
    assert (error == 0).any()


def test_recolouring_keeps_black_and_the_range() -> None:
    out = recolour(faces(100), torch.Generator().manual_seed(1))
    assert out.min() >= -1
    assert out.max() <= 1
    black = torch.full((50, 3, 8, 8), -1.0)
    assert torch.equal(recolour(black, torch.Generator().manual_seed(1)), black)
    grey = recolour(torch.zeros(500, 3, 2, 2), torch.Generator().manual_seed(1))[:, :, 0, 0]
    assert 0.05 < grey.mean(1).std() < 0.25
    assert 0.01 < (grey - grey.mean(1, keepdim=True)).std() < 0.1


@pytest.mark.parametrize("h264", [False, True])
def test_compression_coarsens_a_face_the_more_the_lower_its_quality(h264: bool) -> None:
    face = faces(1)
    errors = [float((compress(face, quality, h264=h264) - face).square().mean()) for quality in (0.0, 0.5, 1.0)]
    assert errors[0] > errors[1] > errors[2] > 0
    assert errors[0] < 0.05


def test_what_covers_a_face_covers_a_small_part_of_it() -> None:
    random = torch.Generator().manual_seed(2)
    shares = [float(((cover(faces(1), random) - faces(1)).abs().amax(1) > 0.02).float().mean()) for _ in range(50)]
    assert 0 < sorted(shares)[25] < 0.1
    assert max(shares) < 0.2


def test_an_eighth_of_the_faces_are_dim() -> None:
    given = faces(400)
    out = dim(given, torch.Generator().manual_seed(4))
    darker = (out < given - 1e-3).flatten(1).any(1)
    assert 0.08 < float(darker.float().mean()) < 0.18
    torch.testing.assert_close(out[~darker], given[~darker])
    gains = ((out + 1).flatten(1).sum(1) / (given + 1).flatten(1).sum(1))[darker]
    assert float(gains.min()) > 0.2 ** (1 / 2.2) - 1e-4
    assert float(gains.max()) < 0.6 ** (1 / 2.2) + 1e-4
