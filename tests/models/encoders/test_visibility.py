"""V: shapes, range, what it composes, its file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.encoders.visibility import WEIGHTS, Visibility, compose_between, load_visibility
from dynstream.models.errors import ShapeError
from dynstream.pipelines.research.training.loop import save_weights


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


@pytest.fixture(scope="module")
def network() -> Visibility:
    torch.manual_seed(3)
    return Visibility().eval().requires_grad_(False)


@pytest.mark.parametrize("size", [(64, 96), (256, 256)])
def test_one_weight_for_each_pixel(network: Visibility, size: tuple[int, int]) -> None:
    share = network(rand(1, 2, 3, *size), rand(2, 2, 3, *size))
    assert share.shape == (2, 1, *size)
    assert share.dtype == torch.float32
    assert 0 < float(share.min()) <= float(share.max()) < 1


def test_it_has_the_layers_of_the_paper(network: Visibility) -> None:
    kinds = [type(module).__name__ for module in network.modules()]
    assert kinds.count("Conv2d") == 5
    assert kinds.count("ConvTranspose2d") == 5
    assert kinds.count("BatchNorm2d") == 9


def test_a_composition_lies_between_its_neighbours(network: Visibility) -> None:
    before, after = rand(1, 1, 3, 64, 64), rand(2, 1, 3, 64, 64)
    composed = compose_between(network, before, after)
    assert (composed >= torch.minimum(before, after) - 1e-6).all()
    assert (composed <= torch.maximum(before, after) + 1e-6).all()
    torch.testing.assert_close(compose_between(network, before, before), before)


def test_gradients_reach_both_neighbours(network: Visibility) -> None:
    before, after = rand(1, 1, 3, 64, 64).requires_grad_(), rand(2, 1, 3, 64, 64).requires_grad_()
    compose_between(network, before, after).sum().backward()
    for image in (before, after):
        assert image.grad is not None
        assert image.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 3, 60, 64), (1, 3, 60, 64)), ((1, 3, 64, 64), (1, 3, 64, 32)), ((3, 64, 64), (3, 64, 64))],
)
def test_other_shapes_are_refused(network: Visibility, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="multiples of 32, got"):
        network(torch.zeros(before), torch.zeros(after))


def test_its_file(network: Visibility, tmp_path: Path) -> None:
    save_weights(network, tmp_path / "v.safetensors")
    loaded = load_visibility(tmp_path / "v.safetensors")
    pair = rand(1, 1, 3, 64, 64), rand(2, 1, 3, 64, 64)
    torch.testing.assert_close(loaded(*pair), network(*pair), atol=5e-3, rtol=0)


@pytest.mark.skipif(not WEIGHTS.exists(), reason="V is not trained yet")
def test_the_shipped_one_prefers_what_fits() -> None:
    """Where one neighbour is grey, as after an occluder left, the other one is believed more than there."""
    shipped = load_visibility()
    picture = torch.nn.functional.interpolate(rand(5, 1, 3, 16, 16), size=(128, 128), mode="bicubic").clamp(-1, 1)
    spoilt = picture.clone()
    spoilt[..., 40:88, 40:88] = 0.0
    first = shipped(spoilt, picture)[..., 48:80, 48:80].mean()
    second = shipped(picture, spoilt)[..., 48:80, 48:80].mean()
    assert second > first
