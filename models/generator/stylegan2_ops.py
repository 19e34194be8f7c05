"""StyleGAN2's two operators in plain torch: FIR resampling and the modulated convolution (arXiv 1912.04958).

Nothing is compiled at import; both operators run and differentiate wherever torch does, any number of times.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ShapeError

FIR = (1.0, 3.0, 3.0, 1.0)  # the low-pass filter of every published checkpoint, before normalization
EPSILON = 1e-8


def fir_taps(like: Tensor) -> Tensor:
    """[1, 3, 3, 1] / 8 with the dtype and device of `like`: (4,), sum 1."""
    taps = like.new_tensor(FIR)
    return taps / taps.sum()


def upfirdn2d(x: Tensor, taps: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Insert zeros, pad, filter along both axes, keep every `down`-th pixel.

    x: (B, C, H, W). taps: (K,), the separable filter, convolved (not correlated). up: each pixel is followed by
    up - 1 zeros, the last one too. pad: zeros before and after, counted at the upsampled rate; not negative.
    Returns (B, C, (H up + sum(pad) - K) // down + 1, the same for W). Raises ShapeError if nothing is left.
    """
    channels, height, width = x.shape[1:]
    if min(height, width) * up + sum(pad) < taps.numel():
        raise ShapeError(f"a filter of {taps.numel()} taps needs a larger picture than {height}x{width}, up={up}")
    if up > 1:
        x = F.pad(x[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1)).reshape(
            -1, channels, height * up, width * up
        )
    x = F.pad(x, (*pad, *pad))
    rows = taps.flip(0).expand(channels, 1, 1, -1)
    x = F.conv2d(x, rows, groups=channels, stride=(1, down))
    return F.conv2d(x, rows.transpose(2, 3), groups=channels, stride=(down, 1))


def upsample2d(x: Tensor) -> Tensor:
    """Twice the size through the low-pass filter, with the same energy: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return upfirdn2d(x, fir_taps(x) * 2, up=2, pad=(2, 1))


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    up: bool = False,
    demodulate: bool = True,
    grouped: bool = True,
) -> Tensor:
    """Convolve each item with its own weights: w' = s_i w, w'' = w' / sqrt(sum w'^2 + eps) (eq. 1 and 3).

    x: (B, I, H, W). weight: (O, I, k, k), k odd. style: (B, I), scales of the input channels.
    up: double the size by a transposed convolution of stride 2 and then blur, in this order; `weight` is then the
    kernel of the transposed convolution. demodulate: divide by the expected deviation of each output channel.
    grouped: one grouped convolution with weights made for each item, as eq. 3 is written; False scales the
    activations before and after one shared convolution instead, which is the same up to rounding and needs no copy
    of the weights for each item, but two more passes over the activations.
    Returns (B, O, H, W), or (B, O, 2H, 2W) where up. Raises ShapeError for channels that don't fit.
    """
    batch, c_in = style.shape
    if x.shape[:2] != (batch, c_in) or weight.shape[1] != c_in:
        raise ShapeError(
            f"modulation of {c_in} channels for a batch of {batch} meets features of shape {tuple(x.shape)} "
            f"and weights of shape {tuple(weight.shape)}"
        )
    c_out = weight.shape[0]
    modulated = weight * style[:, None, :, None, None] if grouped else None
    demodulation = None
    if demodulate:
        power = weight.square().sum((2, 3)) @ style.square().T  # (O, B)
        demodulation = torch.rsqrt(power + EPSILON).T
    if modulated is None:
        out = _conv(x * style[:, :, None, None], weight, up=up, groups=1)
        if demodulation is not None:
            out = out * demodulation[:, :, None, None]
    else:
        if demodulation is not None:
            modulated = modulated * demodulation[:, :, None, None, None]
        stacked = x.reshape(1, batch * c_in, *x.shape[2:])
        out = _conv(stacked, modulated.flatten(0, 1), up=up, groups=batch)
        out = out.reshape(batch, c_out, *out.shape[2:])
    # The transposed convolution leaves 2H + 1 pixels; with one zero on each side the filter makes them 2H. The taps
    # are doubled because three of four of its inputs were inserted zeros.
    return upfirdn2d(out, fir_taps(out) * 2, pad=(1, 1)) if up else out


def _conv(x: Tensor, weight: Tensor, *, up: bool, groups: int) -> Tensor:
    """Plain or transposed convolution; weight: (groups O, I, k, k) in both cases."""
    if not up:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
    transposed = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    return F.conv_transpose2d(x, transposed, stride=2, groups=groups)
