"""The layers of MobileStyleGAN against slow ones that follow the formulas."""

import pytest
import torch
from torch import Tensor

from dynstream.models.generator.wavelet_layers import Modulation, SeparableConv, band_order, haar_synthesis


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def haar_by_hand(x: Tensor) -> Tensor:
    """One output pixel after the other: LL + s LH + t HL + s t HH, halved; s is the row's sign, t the column's."""
    batch, four, height, width = x.shape
    channels = four // 4
    out = torch.zeros(batch, channels, 2 * height, 2 * width, dtype=x.dtype)
    for channel in range(channels):
        low = x[:, channel]
        lh, hl, hh = (x[:, channels + 3 * channel + band] for band in range(3))
        for row in range(2 * height):
            for column in range(2 * width):
                s, t = 1 - 2 * (row % 2), 1 - 2 * (column % 2)
                at = (slice(None), row // 2, column // 2)
                out[:, channel, row, column] = (low[at] + s * lh[at] + t * hl[at] + s * t * hh[at]) / 2
    return out


@pytest.mark.parametrize("gradients", [True, False])
def test_haar_equals_the_loop(gradients: bool) -> None:
    x, scale = rand(1, 2, 12, 3, 5), rand(2, 2, 12, 1, 1)
    ordered = x[:, band_order(3)]
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(haar_synthesis(ordered), haar_by_hand(x))
        ordered = ordered.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(haar_synthesis(ordered, scale[:, band_order(3)]), haar_by_hand(x * scale))


def test_haar_keeps_energy() -> None:
    """The transform is orthonormal, so lengths and inner products stay."""
    a, b = rand(1, 1, 16, 6, 4), rand(2, 1, 16, 6, 4)
    torch.testing.assert_close(haar_synthesis(a).square().sum(), a.square().sum())
    torch.testing.assert_close((haar_synthesis(a) * haar_synthesis(b)).sum(), (a * b).sum())


def test_haar_gradient() -> None:
    x = rand(3, 1, 8, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(haar_synthesis, (x,))


def separable(c_in: int, c_out: int, size: int) -> SeparableConv:
    layer = SeparableConv(c_in, c_out, size).double()
    layer.load_state_dict({name: rand(i, *value.shape) for i, (name, value) in enumerate(layer.state_dict().items())})
    return layer


def test_separable_convolution_equals_its_parts() -> None:
    layer, x, w, noise = separable(6, 4, 5), rand(10, 3, 6, 5, 5), rand(11, 3, 512), rand(12, 3, 1, 5, 5)
    scale = (w @ layer.modulation.linear.weight.T + layer.modulation.linear.bias) / (9 * 6) ** 0.5
    expected = []
    for item, factors, extra in zip(x, scale, noise, strict=True):
        padded = torch.nn.functional.pad(item * factors[:, None, None], (1, 1, 1, 1))
        deep = torch.zeros(6, 5, 5, dtype=torch.float64)
        for i in range(3):
            for j in range(3):
                deep += layer.depthwise[:, 0, i, j, None, None] * padded[:, i : i + 5, j : j + 5]
        mixed = torch.einsum("oc,chw->ohw", layer.pointwise[:, :, 0, 0], deep)
        y = mixed + layer.bias[:, None, None] + layer.get_buffer("noise")[0] + extra
        expected.append(torch.where(y > 0, y, 0.2 * y))
    together = layer(x, w, noise)
    torch.testing.assert_close(together, torch.stack(expected))
    with torch.no_grad():
        torch.testing.assert_close(layer(x, w, noise), together)
        for i in range(3):
            torch.testing.assert_close(layer(x[i : i + 1], w[i : i + 1], noise[i : i + 1])[0], together[i])


def test_layers_in_the_order_of_bands_have_the_same_channels() -> None:
    x, w = rand(1, 1, 4, 3, 3), rand(2, 1, 512)
    plain, ordered = (SeparableConv(4, 8, 3, bands=bands).double() for bands in (False, True))
    plain.load_state_dict({name: rand(i, *value.shape) for i, (name, value) in enumerate(plain.state_dict().items())})
    ordered.load_state_dict(plain.state_dict())
    torch.testing.assert_close(ordered(x, w), plain(x, w)[:, band_order(2)])
    scales = [Modulation(8, bands=bands).double() for bands in (False, True)]
    scales[1].load_state_dict(scales[0].state_dict())
    torch.testing.assert_close(scales[1](w), scales[0](w)[:, band_order(2)])


def test_a_pass_without_gradients_writes_to_nothing_of_its_caller() -> None:
    layer, x, noise = separable(4, 4, 3), rand(1, 1, 4, 3, 3), rand(2, 1, 1, 3, 3)
    kept = [x.clone(), noise.clone(), layer.get_buffer("noise").clone()]
    with torch.inference_mode():
        layer(x, rand(3, 1, 512), noise)
    assert all(torch.equal(a, b) for a, b in zip(kept, [x, noise, layer.get_buffer("noise")], strict=True))


def test_modulation_has_its_gain() -> None:
    layer = Modulation(3, gain=0.25).double()
    w = rand(1, 2, 512)
    torch.testing.assert_close(layer(w)[..., 0, 0], layer.linear(w) / 4)
