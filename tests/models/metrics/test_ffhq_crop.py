"""The fixed crop: where it samples, that it does not alias, and what it refuses."""

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ShapeError
from dynstream.models.metrics.ffhq_crop import crop_box


def ramps(side: int) -> Tensor:
    """(1, 3, side, side): x, y and their sum as fractions of the side, at the pixels' centres."""
    at = (torch.arange(side) + 0.5) / side
    x, y = at.expand(side, side), at[:, None].expand(side, side)
    return torch.stack([x, y, x + y])[None]


@pytest.mark.parametrize("side", [64, 200, 256, 1024])
@pytest.mark.parametrize("size", [32, 112])
def test_samples_the_box(side: int, size: int) -> None:
    """To a tenth of a pixel of a crop of 256."""
    found = crop_box(ramps(side), (0.2, 0.3, 0.7, 0.8), size)
    at = (torch.arange(size) + 0.5) / size * 0.5
    torch.testing.assert_close(found[0, 0], (0.2 + at).expand(size, size), atol=0.1 / 256, rtol=0)
    torch.testing.assert_close(found[0, 1], (0.3 + at)[:, None].expand(size, size), atol=0.1 / 256, rtol=0)


def test_keeps_a_plain_colour() -> None:
    torch.testing.assert_close(
        crop_box(torch.full((1, 3, 256, 256), 0.3), (0, 0, 1, 1), 32), torch.full((1, 3, 32, 32), 0.3)
    )


def test_averages_what_is_finer_than_its_pixels() -> None:
    stripes = torch.tensor([-1.0, 1.0]).repeat(128).expand(1, 3, 256, 256)
    assert crop_box(stripes, (0.1, 0.1, 0.9, 0.9), 32).abs().max() < 0.1


def test_gradient_reaches_the_box_alone() -> None:
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    crop_box(x, (0.25, 0.25, 0.75, 0.75), 16).sum().backward()
    assert x.grad is not None
    assert bool((x.grad[..., 16:48, 16:48] > 0).all())
    assert bool((x.grad[..., :14, :] == 0).all())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 64, 80), (1, 1, 64, 64), (1, 3, 32, 32)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="S of at least 64"):
        crop_box(torch.zeros(shape), (0, 0, 1, 1), 16)
