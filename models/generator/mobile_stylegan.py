"""MobileStyleGAN: StyleGAN2-FFHQ distilled into wavelets and depthwise convolutions (Belousov, arXiv 2104.04767).

Its W space is that of StyleGAN2-FFHQ itself. It has 23 styles, one for each layer; the 18 W+ codes of StyleGAN2 reach
them by resolution: code 0 for 4x4, codes 2i+1 and 2i+2 for block i, whose transform and first convolution share the
former, as they would in StyleGAN2's up-convolution. The output layer takes code 15; codes 16 and 17 belong to layers
that the distillation removed and change nothing.

Demodulation does not depend on the code in this network and is folded into its 1x1 weights.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.checkpoint import load_state, read_safetensors
from ..weight_files import WeightFiles
from .generator import CODE_SIZE, NOISE_SIZE, check_codes
from .output_tail import WEIGHTS as TAIL_WEIGHTS
from .output_tail import OutputTail
from .wavelet_layers import SLOPE, Modulation, SeparableConv, haar_synthesis

CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)  # after 4x4, then after each block
TRUNK_BLOCKS = 5  # blocks up to 128x128, where the 256 tail begins


class Block(nn.Module):
    """One doubling of the resolution: modulated inverse Haar transform and two separable convolutions."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        super().__init__()
        self.up = Modulation(c_in)
        self.conv1 = SeparableConv(c_in // 4, c_out, size)
        self.conv2 = SeparableConv(c_out, c_out, size)

    def forward(self, x: Tensor, first: Tensor, second: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: (B, c_in, H, W), two codes (B, 512), noise: (B, 1, 2H, 2W) -> (B, c_out, 2H, 2W)."""
        x = haar_synthesis(x * self.up(first))
        x = self.conv1(x, first, noise)
        out: Tensor = self.conv2(x, second, noise)
        return out


class InputConv(nn.Module):
    """The learned 4x4 constant and the full 3x3 convolution over it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1, channels, 4, 4))
        self.modulation = Modulation(channels, gain=(9 * channels) ** -0.5)
        self.weight = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("noise", torch.zeros(1, 1, 4, 4))

    def forward(self, w: Tensor) -> Tensor:
        """w: (B, 512) -> (B, channels, 4, 4)."""
        x = F.conv2d(self.constant * self.modulation(w), self.weight, self.bias, padding=1)
        return F.leaky_relu(x + self.get_buffer("noise"), SLOPE)


class Mapping(nn.Module):
    """z to w: normalization and eight linear layers with leaky ReLU, scaled by sqrt 2."""

    def __init__(self, layers: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(CODE_SIZE, CODE_SIZE) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """z: (B, 512) -> w: (B, 512)."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * 2**0.5
        return x


class MobileStyleGAN(nn.Module):
    """The distilled generator, W+ codes to faces at 1024, 512 (area-shrunk exactly) or 256 (a trained tail).

    The 256 picture is drawn by a small network of the project from the 128x128 features, at about a tenth of the cost
    of the full picture; `exact=True` shrinks the full one instead, as the tail was taught to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mapping = Mapping()
        self.input = InputConv(CHANNELS[0])
        self.blocks = nn.ModuleList(Block(c_in, c_out, 8 << i) for i, (c_in, c_out) in enumerate(pairwise(CHANNELS)))
        self.to_image_modulation = Modulation(CHANNELS[-1], gain=CHANNELS[-1] ** -0.5)
        self.to_image = nn.Conv2d(CHANNELS[-1], 12, 1)
        self.tail = OutputTail()
        self.register_buffer("mean", torch.zeros(CODE_SIZE))

    @property
    def codes(self) -> int:
        return 18

    @property
    def resolution(self) -> int:
        return 1024

    def mean_w(self) -> Tensor:
        return self.get_buffer("mean")

    def map(self, z: Tensor) -> Tensor:
        w: Tensor = self.mapping(z)
        return w

    def features(self, w_plus: Tensor, noise: Tensor | None = None, blocks: int = TRUNK_BLOCKS) -> Tensor:
        """w_plus: (B, 18, 512) -> (B, 512 or less, S, S), what leaves the given number of blocks (128x128 after 5)."""
        check_codes(w_plus, self.codes, noise)
        x: Tensor = self.input(w_plus[:, 0])
        for i, block in enumerate(self.blocks[:blocks]):
            x = block(x, w_plus[:, 2 * i + 1], w_plus[:, 2 * i + 2], noise if x.shape[-1] * 2 == NOISE_SIZE else None)
        return x

    def synthesize(
        self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256, exact: bool = False
    ) -> Tensor:
        if size not in (256, 512, 1024):
            raise ShapeError(f"MobileStyleGAN draws 256, 512 or 1024 pixels, got size={size}")
        if size == 256 and not exact:
            image: Tensor = self.tail(self.features(w_plus, noise), w_plus)
            return image
        x = self.features(w_plus, noise, len(self.blocks))
        bands = F.conv2d(x * self.to_image_modulation(w_plus[:, 15]), self.to_image.weight, self.to_image.bias)
        if size == 1024:
            return haar_synthesis(bands)
        # The mean over the 2x2 pixels of an inverse Haar transform is half of its low band.
        half = bands[:, :3] * 0.5
        return half if size == 512 else F.avg_pool2d(half, 2)


def load_mobile_stylegan(zoo: WeightFiles) -> MobileStyleGAN:
    """The generator with the pulled weights and the project's own tail, frozen, in evaluation mode."""
    path = zoo.path("mobilestylegan")
    tail = {f"tail.{name}": value for name, value in read_safetensors(TAIL_WEIGHTS).items()}
    network = load_state(MobileStyleGAN(), read_safetensors(path) | tail, f"{path} with {TAIL_WEIGHTS}")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
