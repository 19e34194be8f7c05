"""Layers of MobileStyleGAN: the inverse Haar transform, code modulation, separable convolution (arXiv 2104.04767)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .generator import CODE_SIZE

SLOPE = 0.2


def haar_synthesis(x: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Inverse Haar transform of x * scale: (B, 4C, H, W) -> (B, C, 2H, 2W).

    x holds the bands LL, LH, HL, HH one after another, C channels each: see `band_order`.
    """
    height, width, channels = x.shape[2], x.shape[3], x.shape[1] // 4
    low, lh, hl, hh = (x * (scale * 0.5)).permute(0, 2, 3, 1).split(channels, -1)
    # Written as one channels-last buffer: four times as fast as stacking the pixels and shuffling them.
    out = x.new_empty(x.shape[0], height, 2, width, 2, channels)
    for row, (even, odd) in enumerate(((low + lh, hl + hh), (low - lh, hl - hh))):
        if torch.is_grad_enabled():
            out[:, :, row, :, 0], out[:, :, row, :, 1] = even + odd, even - odd
        else:
            torch.add(even, odd, out=out[:, :, row, :, 0])
            torch.sub(even, odd, out=out[:, :, row, :, 1])
    return out.view(x.shape[0], 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def band_order(channels: int) -> Tensor:
    """(4C,) the place, in the weights, of each channel of `haar_synthesis`.

    The network was taught with the bands LH, HL, HH interleaved. Those that lie together are added in half of the time.
    """
    low, others = torch.arange(channels), torch.arange(channels, 4 * channels)
    return torch.cat([low, others.view(channels, 3).T.flatten()])


class Modulation(nn.Module):
    """A code to one scale for each input channel: gain Linear(w), with 1 / sqrt(fan-in) before convolutions."""

    def __init__(self, channels: int, *, gain: float = 1.0, bands: bool = False) -> None:
        """bands: the channels are those of `haar_synthesis`."""
        super().__init__()
        self.linear = nn.Linear(CODE_SIZE, channels)
        self.gain = gain
        self.order: Tensor | None
        self.register_buffer("order", band_order(channels // 4) if bands else None, persistent=False)

    def forward(self, w: Tensor) -> Tensor:
        """w: (B, 512) -> (B, channels, 1, 1)."""
        scale: Tensor = self.linear(w) * self.gain
        return _ordered(scale, self.order, 1)[:, :, None, None]


class SeparableConv(nn.Module):
    """Modulated 3x3 depthwise and 1x1 convolution, noise, bias, leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, size: int, *, bands: bool = False) -> None:
        """bands: the output goes to `haar_synthesis`."""
        super().__init__()
        self.modulation = Modulation(c_in, gain=(9 * c_in) ** -0.5)
        self.depthwise = nn.Parameter(torch.zeros(c_in, 1, 3, 3))
        self.pointwise = nn.Parameter(torch.zeros(c_out, c_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.register_buffer("noise", torch.zeros(1, 1, size, size))
        self.order: Tensor | None
        self.register_buffer("order", band_order(c_out // 4) if bands else None, persistent=False)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: (B, c_in, H, W), w: (B, 512), noise: (B, 1, H, W) beside the layer's own -> (B, c_out, H, W)."""
        scale = self.modulation(w)
        if len(x) == 1:  # one code for all: scaling the kernels saves a pass over the features
            x = F.conv2d(x, self.depthwise * scale.transpose(0, 1), padding=1, groups=x.shape[1])
        else:
            x = F.conv2d(x * scale, self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, _ordered(self.pointwise, self.order), _ordered(self.bias, self.order))
        own = self.get_buffer("noise")
        own = own if noise is None else own + noise
        if torch.is_grad_enabled():
            return F.leaky_relu(x + own, SLOPE)
        return F.leaky_relu_(x.add_(own), SLOPE)  # in place: large buffers cost more than the arithmetic


def _ordered(values: Tensor, order: Tensor | None, dim: int = 0) -> Tensor:
    return values if order is None else values.index_select(dim, order)
