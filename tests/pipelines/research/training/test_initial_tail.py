"""The arithmetic of the output tail that training starts from."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dynstream.models.generator import output_tail
from dynstream.models.generator.generator import broadcast_w
from dynstream.models.generator.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.training import initial_tail as start
from dynstream.pipelines.research.training.initial_tail import half_resolution, initial_tail


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def generator(zoo: Zoo) -> MobileStyleGAN:
    return load_mobile_stylegan(zoo)


def test_half_resolution_kernel_equals_repeat_convolve_and_average() -> None:
    kernel, x = rand(1, 5, 1, 3, 3), rand(2, 2, 5, 6, 7)
    repeated = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    slow = F.avg_pool2d(F.conv2d(repeated, kernel, padding=1, groups=5), 2)
    torch.testing.assert_close(F.conv2d(x, half_resolution(kernel), padding=1, groups=5), slow)


def test_the_start_without_pruning_is_already_the_picture(
    generator: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every channel kept only the resolution differs; a gain or an order of channels gone wrong would show."""
    wide = (128, 64, 64)
    monkeypatch.setattr(start, "WIDTHS", wide)
    monkeypatch.setattr(output_tail, "WIDTHS", wide)
    with torch.no_grad():
        w_plus = broadcast_w(generator.mean_w()[None], 18)
        drawn = initial_tail(generator)(generator.features(w_plus), w_plus)
        truth = generator.synthesize(w_plus, size=256, exact=True)
    assert drawn.shape == (1, 3, 256, 256)
    assert torch.corrcoef(torch.stack([drawn.flatten(), truth.flatten()]))[0, 1] > 0.8
