"""MobileStyleGAN: StyleGAN2-FFHQ distilled into wavelets and depthwise convolutions (Belousov, arXiv 2104.04767).

Its W space is that of StyleGAN2-FFHQ itself. It has 23 styles, one for each layer; the 18 W+ codes of StyleGAN2 reach
them by resolution: code 0 for 4x4, codes 2i+1 and 2i+2 for block i, whose transform and first convolution share the
former, as they would in StyleGAN2's up-convolution. The output layer takes code 15; codes 16 and 17 belong to layers
that the distillation removed and change nothing.

Demodulation does not depend on the code in this network and is folded into its 1x1 weights.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.checkpoint import load_state, read_safetensors, unfilled
from ..weight_files import WeightFiles
from .generator import CODE_SIZE, NOISE_SIZE, check_codes
from .output_tail import WEIGHTS as TAIL_WEIGHTS
from .output_tail import OutputTail
from .wavelet_layers import SLOPE, Modulation, SeparableConv, band_order, haar_synthesis

CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)  # after 4x4, then after each block
TRUNK_BLOCKS = 5  # blocks up to 128x128, where the 256 tail begins


class Block(nn.Module):
    """One doubling of the resolution: modulated inverse Haar transform and two separable convolutions."""

    def __init__(self, c_in: int, c_out: int, size: int, *, bands: bool = True) -> None:
        """bands: another block follows."""
        super().__init__()
        self.up = Modulation(c_in, bands=True)
        self.conv1 = SeparableConv(c_in // 4, c_out, size)
        self.conv2 = SeparableConv(c_out, c_out, size, bands=bands)

    def forward(self, x: Tensor, first: Tensor, second: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: (B, c_in, H, W), two codes (B, 512), noise: (B, 1, 2H, 2W) -> (B, c_out, 2H, 2W)."""
        x = haar_synthesis(x, self.up(first))
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
        self.register_buffer("order", band_order(channels // 4), persistent=False)

    def forward(self, w: Tensor) -> Tensor:
        """w: (B, 512) -> (B, channels, 4, 4), in the order of bands."""
        order = self.get_buffer("order")
        x = F.conv2d(self.constant * self.modulation(w), self.weight[order], self.bias[order], padding=1)
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
        sizes = enumerate(pairwise(CHANNELS))
        last = len(CHANNELS) - 2
        self.blocks = nn.ModuleList(Block(c_in, c_out, 8 << i, bands=i < last) for i, (c_in, c_out) in sizes)
        self.to_image_modulation = Modulation(CHANNELS[-1], gain=CHANNELS[-1] ** -0.5)
        self.to_image = nn.Conv2d(CHANNELS[-1], 12, 1)
        self.tail = OutputTail()
        self.register_buffer("mean", torch.zeros(CODE_SIZE))
        self.register_buffer("order", band_order(3), persistent=False)

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
        """w_plus: (B, 18, 512) -> (B, 512 or less, S, S), what leaves the given number of blocks (128x128 after 5).

        The channels are in the order of bands, but for the last block's.
        """
        check_codes(w_plus, self.codes, noise)
        return self._last(self._levels(w_plus, noise, blocks, []))

    def synthesize(
        self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256, exact: bool = False
    ) -> Tensor:
        check_codes(w_plus, self.codes, noise)
        if size not in (256, 512, 1024):
            raise ShapeError(f"MobileStyleGAN draws 256, 512 or 1024 pixels, got size={size}")
        blocks = TRUNK_BLOCKS if size == 256 and not exact else len(self.blocks)
        if w_plus.device.type == "cpu" and not torch.is_grad_enabled():
            drawn = [self._image(x, row, size, exact) for row, x in self._one_by_one(w_plus, noise, blocks)]
            return torch.cat(drawn)
        return self._image(self._last(self._levels(w_plus, noise, blocks, [])), w_plus, size, exact)

    @staticmethod
    def _last(levels: Iterator[Tensor]) -> Tensor:
        """The last of the levels; none of the others stays in memory."""
        return deque(levels, maxlen=1)[0]

    def _levels(self, w_plus: Tensor, noise: Tensor | None, blocks: int, known: Sequence[Tensor]) -> Iterator[Tensor]:
        """The features of 4x4 and after each block, of which the first `known` are given."""
        yield from known
        if not known:
            yield (x := self.input(w_plus[:, 0]))
        else:
            x = known[-1]
        for i in range(max(0, len(known) - 1), blocks):
            own = noise if x.shape[-1] * 2 == NOISE_SIZE else None
            x = self.blocks[i](x, w_plus[:, 2 * i + 1], w_plus[:, 2 * i + 2], own)
            yield x

    def _one_by_one(self, w_plus: Tensor, noise: Tensor | None, blocks: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Each row's codes and its last features.

        On a processor this takes three quarters of the time of a batch, whose features leave the caches. A row whose
        first codes are those of an earlier one, as those of an edit may be, begins where they part.
        """
        drawn: list[tuple[Tensor, Tensor | None, list[Tensor]]] = []
        for row in range(len(w_plus)):
            codes, own = w_plus[row : row + 1], None if noise is None else noise[row : row + 1]
            known: list[Tensor] = []
            for other, its, levels in drawn:
                if (own is None) == (its is None) and (own is None or torch.equal(own, cast(Tensor, its))):
                    equal = int((codes == other).all(-1)[0].int().cumprod(0).sum())
                    known = max(known, levels[: (equal + 1) // 2], key=len)
            rest = self._levels(codes, own, blocks, known)
            drawn.append((codes, own, list(islice(rest, TRUNK_BLOCKS))))  # later ones are large, and seldom shared
            yield codes, self._last(rest)

    def _image(self, x: Tensor, w_plus: Tensor, size: int, exact: bool) -> Tensor:
        """The last features to (B, 3, size, size)."""
        if size == 256 and not exact:
            image: Tensor = self.tail(x, w_plus)
            return image
        bands = F.conv2d(x * self.to_image_modulation(w_plus[:, 15]), self.to_image.weight, self.to_image.bias)
        if size == 1024:
            return haar_synthesis(bands[:, self.get_buffer("order")])
        # The mean over the 2x2 pixels of an inverse Haar transform is half of its low band.
        half = bands[:, :3] * 0.5
        return half if size == 512 else F.avg_pool2d(half, 2)


def load_mobile_stylegan(zoo: WeightFiles) -> MobileStyleGAN:
    """The generator with the pulled weights and the project's own tail, frozen, in evaluation mode."""
    path = zoo.path("mobilestylegan")
    tail = {f"tail.{name}": value for name, value in read_safetensors(TAIL_WEIGHTS).items()}
    network = load_state(unfilled(MobileStyleGAN), read_safetensors(path) | tail, f"{path} with {TAIL_WEIGHTS}")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
