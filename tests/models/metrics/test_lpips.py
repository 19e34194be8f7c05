"""LPIPS against the paper's formula, and what a distance must satisfy."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from dynstream.models.errors import ModelError, ShapeError, WeightsError
from dynstream.models.metrics.lpips import LPIPS, Backbone, load_lpips
from dynstream.models.zoo.zoo import Zoo

BACKBONES: tuple[Backbone, ...] = ("alexnet", "vgg16")


def images(seed: int, count: int = 2, size: int = 64) -> Tensor:
    """Smooth colour patches: nearer to photographs than noise is."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False).clamp(-1, 1)


def by_the_paper(state: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """AlexNet written out layer by layer, then equation 1 as it stands."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def taps(image: Tensor) -> list[Tensor]:
        def conv(number: int, z: Tensor, stride: int, padding: int) -> Tensor:
            return F.relu(F.conv2d(z, state[f"convs.{number}.weight"], state[f"convs.{number}.bias"], stride, padding))

        one = conv(0, (image - shift[:, None, None]) / scale[:, None, None], 4, 2)
        two = conv(1, F.max_pool2d(one, 3, 2), 1, 2)
        three = conv(2, F.max_pool2d(two, 3, 2), 1, 1)
        four = conv(3, three, 1, 1)
        return [one, two, three, four, conv(4, four, 1, 1)]

    total = torch.zeros(len(x))
    for number, (a, b) in enumerate(zip(taps(x), taps(y), strict=True)):
        difference = (a / (a.norm(dim=1, keepdim=True) + 1e-10) - b / (b.norm(dim=1, keepdim=True) + 1e-10)) ** 2
        total += F.conv2d(difference, state[f"heads.{number}.weight"]).mean((1, 2, 3))
    return total


def test_equals_the_formula(zoo: Zoo) -> None:
    x, y = images(0), images(1)
    expected = by_the_paper(load_file(zoo.path("lpips-alexnet")), x, y)
    torch.testing.assert_close(load_lpips(zoo)(x, y), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("backbone", "expected"), [("alexnet", [0.22961, 0.23436]), ("vgg16", [0.62515, 0.61481])], ids=["alexnet", "vgg16"]
)
def test_equals_the_published_package(zoo: Zoo, backbone: Backbone, expected: list[float]) -> None:
    """Values of the PyPI package lpips 0.1.4 for these images, with the same backbone weights."""
    torch.testing.assert_close(
        load_lpips(zoo, backbone)(images(0), images(1)), torch.tensor(expected), atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_is_a_distance(zoo: Zoo, backbone: Backbone) -> None:
    network = load_lpips(zoo, backbone)
    x, y = images(0), images(1)
    assert torch.equal(network(x, x), torch.zeros(2))
    assert torch.equal(network(x, y), network(y, x))
    assert bool((network(x, y) > 0.05).all())


def test_grows_with_the_disturbance(zoo: Zoo) -> None:
    network = load_lpips(zoo)
    x = images(0, count=1)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    near, far = (network(x, x + amount * noise).item() for amount in (0.05, 0.3))
    assert 0 < near < far


@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradient_reaches_both_images(zoo: Zoo, backbone: Backbone) -> None:
    x, y = images(0).requires_grad_(), images(1).requires_grad_()
    load_lpips(zoo, backbone)(x, y).sum().backward()
    for image in (x, y):
        assert image.grad is not None
        assert bool(torch.isfinite(image.grad).all())
        assert image.grad.abs().sum() > 0


def test_gradient_is_finite_where_features_are_all_zero() -> None:
    network = LPIPS("alexnet")
    for conv in network.convs:
        torch.nn.init.constant_(conv.bias, -1e3)
    x = images(0).requires_grad_()
    network(x, images(1)).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_descent_brings_images_together(zoo: Zoo) -> None:
    network = load_lpips(zoo)
    goal = network.features(images(0, count=1))
    x = images(1, count=1).requires_grad_()
    optimizer = torch.optim.Adam([x], 0.02)
    losses = []
    for _ in range(4):
        loss = network.distance(network.features(x), goal).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_batch_equals_single_images(zoo: Zoo) -> None:
    network = load_lpips(zoo)
    x, y = images(0, count=3), images(1, count=3)
    singles = torch.cat([network(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(network(x, y), singles, atol=1e-6, rtol=0)


def test_kept_features_give_the_same_distance(zoo: Zoo) -> None:
    network = load_lpips(zoo)
    x, y = images(0, count=1), images(1, count=3)
    kept = network.features(x)
    torch.testing.assert_close(network.distance(kept, network.features(y)), network(x.expand(3, -1, -1, -1), y))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 30, 64), (1, 4, 64, 64)])
def test_images_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(B, 3, H, W\)"):
        LPIPS("alexnet").features(torch.zeros(shape))


@pytest.mark.parametrize(("backbone", "side"), [("alexnet", 31), ("vgg16", 16)])
def test_smallest_side_works(backbone: Backbone, side: int) -> None:
    network = LPIPS(backbone)
    x = torch.zeros(1, 3, side, side)
    assert network(x, x).shape == (1,)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ModelError, match="it has alexnet, vgg16"):
        LPIPS("squeeze")  # type: ignore[arg-type]


def test_weights_of_the_other_backbone_are_refused(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    other = zoo.path("lpips-alexnet")
    monkeypatch.setattr(Zoo, "path", lambda self, name, file=None: other)
    with pytest.raises(WeightsError, match=r"'convs\.0\.weight' .* expects \(64, 3, 3, 3\)"):
        load_lpips(zoo, "vgg16")
