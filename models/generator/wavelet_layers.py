"""Layers of MobileStyleGAN: the inverse Haar transform, code modulation, separable convolution (arXiv 2104.04767)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .generator import CODE_SIZE

SLOPE = 0.2


def haar_synthesis(x: Tensor) -> Tensor:
    """Inverse Haar transform: (B, 4C, H, W) -> (B, C, 2H, 2W).

    The first C channels are the low band LL; the others, viewed as (C, 3), are the bands LH, HL, HH.
    """
    height, width, channels = x.shape[2], x.shape[3], x.shape[1] // 4
    bands = x.permute(0, 2, 3, 1)
    low = bands[..., :channels]
    lh, hl, hh = bands[..., channels:].unflatten(-1, (channels, 3)).unbind(-1)
    plus, minus = (low + lh) * 0.5, (low - lh) * 0.5
    high_plus, high_minus = (hl + hh) * 0.5, (hl - hh) * 0.5
    # Written as one channels-last buffer: four times as fast as stacking the pixels and shuffling them.
    out = x.new_empty(x.shape[0], height, 2, width, 2, channels)
    out[:, :, 0, :, 0] = plus + high_plus
    out[:, :, 0, :, 1] = plus - high_plus
    out[:, :, 1, :, 0] = minus + high_minus
    out[:, :, 1, :, 1] = minus - high_minus
    return out.view(x.shape[0], 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


class Modulation(nn.Module):
    """A code to one scale for each input channel: gain Linear(w), with 1 / sqrt(fan-in) before convolutions."""

    def __init__(self, channels: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Linear(CODE_SIZE, channels)
        self.gain = gain

    def forward(self, w: Tensor) -> Tensor:
        """w: (B, 512) -> (B, channels, 1, 1)."""
        scale: Tensor = self.linear(w) * self.gain
        return scale[:, :, None, None]


class SeparableConv(nn.Module):
    """Modulated 3x3 depthwise and 1x1 convolution, noise, bias, leaky ReLU."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        super().__init__()
        self.modulation = Modulation(c_in, gain=(9 * c_in) ** -0.5)
        self.depthwise = nn.Parameter(torch.zeros(c_in, 1, 3, 3))
        self.pointwise = nn.Parameter(torch.zeros(c_out, c_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.register_buffer("noise", torch.zeros(1, 1, size, size))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: (B, c_in, H, W), w: (B, 512), noise: (B, 1, H, W) beside the layer's own -> (B, c_out, H, W)."""
        scale = self.modulation(w)
        if len(x) == 1:  # one code for all: scaling the kernels saves a pass over the features
            x = F.conv2d(x, self.depthwise * scale.transpose(0, 1), padding=1, groups=x.shape[1])
        else:
            x = F.conv2d(x * scale, self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.pointwise, self.bias)
        own = self.get_buffer("noise")
        own = own if noise is None else own + noise
        if torch.is_grad_enabled():
            return F.leaky_relu(x + own, SLOPE)
        return F.leaky_relu_(x.add_(own), SLOPE)  # in place: large buffers cost more than the arithmetic
