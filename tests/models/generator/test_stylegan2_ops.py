"""StyleGAN2's operators against their definitions, written out with scipy and loops."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor
from torch.nn import functional as F

from dynstream.models.errors import ShapeError
from dynstream.models.generator.stylegan2_ops import fir_taps, modulated_conv2d, upfirdn2d, upsample2d


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_modulated_conv(x: Tensor, weight: Tensor, style: Tensor, *, up: bool, demodulate: bool) -> Tensor:
    """Equations 1 and 3, one item and one output channel after the other, with scipy's own convolutions."""
    items = []
    for features, scales in zip(x, style, strict=True):
        maps = []
        for kernel in weight:
            kernel = kernel * scales[:, None, None]
            if demodulate:
                kernel = kernel / torch.sqrt((kernel**2).sum() + 1e-8)
            total = np.zeros(())
            for plane, taps in zip(features.numpy(), kernel.numpy(), strict=True):
                if up:
                    inserted = np.zeros((2 * plane.shape[0] - 1, 2 * plane.shape[1] - 1))
                    inserted[::2, ::2] = plane
                    total = total + scipy.signal.convolve2d(inserted, taps, mode="full")
                else:
                    total = total + scipy.signal.correlate2d(plane, taps, mode="same")
            if up:
                fir = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64 * 4
                total = scipy.signal.convolve2d(np.pad(total, 1), fir, mode="valid")
            maps.append(torch.from_numpy(total))
        items.append(torch.stack(maps))
    return torch.stack(items)


@pytest.mark.parametrize(("up", "down", "pad"), [(1, 1, (0, 0)), (2, 1, (2, 1)), (3, 2, (0, 4)), (1, 2, (3, 1))])
def test_upfirdn_is_scipys(up: int, down: int, pad: tuple[int, int]) -> None:
    x = rand(0, 2, 3, 7, 9)
    taps = rand(1, 5)
    got = upfirdn2d(x, taps, up=up, down=down, pad=pad)
    kernel = torch.outer(taps, taps).numpy()
    for item, wanted in zip(got.flatten(0, 1), x.flatten(0, 1).numpy(), strict=True):
        inserted = np.zeros((7 * up, 9 * up))
        inserted[::up, ::up] = wanted
        full = scipy.signal.convolve2d(np.pad(inserted, (pad,) * 2), kernel, mode="valid")
        np.testing.assert_allclose(item.numpy(), full[::down, ::down], atol=1e-12)


def test_upfirdn_along_one_axis_is_scipys_upfirdn() -> None:
    x = rand(2, 1, 1, 1, 11)
    taps = fir_taps(x)
    got = upfirdn2d(x, taps, up=2, pad=(3, 3))[0, 0, 3]  # the row where the vertical tap is the last, 1/8
    wanted = scipy.signal.upfirdn(taps.numpy(), x.flatten().numpy(), up=2)
    np.testing.assert_allclose(got.numpy()[: len(wanted)], wanted * float(taps[3]), atol=1e-12)


def test_upfirdn_refuses_a_picture_smaller_than_the_filter() -> None:
    with pytest.raises(ShapeError, match="4 taps"):
        upfirdn2d(torch.zeros(1, 1, 3, 3), torch.ones(4))


def test_upsampling_keeps_a_flat_picture_and_has_no_shift() -> None:
    flat = upsample2d(torch.ones(1, 2, 6, 6))
    assert flat.shape == (1, 2, 12, 12)
    torch.testing.assert_close(flat[:, :, 2:-2, 2:-2], torch.ones(1, 2, 8, 8))
    x = rand(3, 1, 1, 6, 6)
    torch.testing.assert_close(upsample2d(x.flip(3)), upsample2d(x).flip(3))


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("up", "kernel"), [(False, 1), (False, 3), (True, 3)])
def test_modulated_convolution_is_the_definition(up: bool, kernel: int, demodulate: bool, grouped: bool) -> None:
    x, weight, style = rand(4, 3, 4, 5, 6), rand(5, 2, 4, kernel, kernel), rand(6, 3, 4)
    got = modulated_conv2d(x, weight, style, up=up, demodulate=demodulate, grouped=grouped)
    torch.testing.assert_close(got, naive_modulated_conv(x, weight, style, up=up, demodulate=demodulate))


def test_demodulated_output_has_unit_variance_whatever_the_style() -> None:
    x, weight = rand(7, 2, 16, 96, 96), rand(8, 6, 16, 3, 3)
    style = torch.stack([torch.full((16,), 50.0), torch.linspace(-3, 0.1, 16)]).double()
    deviation = modulated_conv2d(x, weight, style)[:, :, 1:-1, 1:-1].std((2, 3))
    torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=0.06, rtol=0)


def test_blur_comes_after_the_transposed_convolution() -> None:
    x, weight, style = rand(9, 1, 3, 8, 8), rand(10, 2, 3, 3, 3), torch.ones(1, 3).double()
    got = modulated_conv2d(x, weight, style, up=True, demodulate=False)
    taps = fir_taps(x) * 2
    after = upfirdn2d(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), taps, pad=(1, 1))
    before = F.conv_transpose2d(upfirdn2d(x, taps, pad=(2, 1)), weight.transpose(0, 1), stride=2, padding=1)
    torch.testing.assert_close(got, after)
    assert not torch.allclose(got[..., :-1, :-1], before, atol=0.1)


def test_up_convolution_is_centred() -> None:
    x, weight, style = rand(11, 1, 3, 8, 8), rand(12, 2, 3, 3, 3), rand(13, 1, 3)
    mirrored = modulated_conv2d(x.flip(2), weight.flip(2), style, up=True)
    torch.testing.assert_close(mirrored, modulated_conv2d(x, weight, style, up=True).flip(2))


@pytest.mark.parametrize("up", [False, True])
def test_a_batch_is_its_items(up: bool) -> None:
    x, weight, style = rand(14, 3, 4, 6, 6), rand(15, 5, 4, 3, 3), rand(16, 3, 4)
    batch = modulated_conv2d(x, weight, style, up=up)
    single = [modulated_conv2d(x[i : i + 1], weight, style[i : i + 1], up=up) for i in range(3)]
    torch.testing.assert_close(batch, torch.cat(single))


@pytest.mark.parametrize("grouped", [True, False])
def test_gradients(grouped: bool) -> None:
    inputs = [rand(17, 2, 2, 4, 4), rand(18, 3, 2, 3, 3), rand(19, 2, 2) + math.e]
    for tensor in inputs:
        tensor.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda x, w, s: modulated_conv2d(x, w, s, up=True, grouped=grouped), inputs, fast_mode=True
    )


def test_channels_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="modulation of 5 channels"):
        modulated_conv2d(torch.zeros(2, 4, 8, 8), torch.zeros(3, 4, 3, 3), torch.zeros(2, 5))
