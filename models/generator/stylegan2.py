"""StyleGAN2 (Karras et al. 2020, arXiv 1912.04958): the published skip architecture, in plain torch.

Code i of W+ drives layer i: layer 0 is the 4x4 convolution, layers 2k - 1 and 2k the up-convolution and the convolution
at 4 * 2^k; the image head of that level shares the code of the layer after it (2k + 1).

Weights are stored as in the checkpoints; the equalized learning rate is a factor at run time. So the network has the
same numbers from any of the published formats.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError, ShapeError, WeightsError
from ..formats.checkpoint import load_safetensors
from .generator import CODE_SIZE, NOISE_SIZE
from .stylegan2_ops import EPSILON, modulated_conv2d, upsample2d

SLOPE = 0.2
MAPPING_RATE = 0.01  # learning rate multiplier of the mapping network's layers
MEAN_SAMPLES = 10_000
MIN_RESOLUTION, MAX_RESOLUTION = 8, 1024


@dataclass(frozen=True)
class StyleGAN2Config:
    """The architecture parameters of a StyleGAN2.

    Attributes:
        resolution: height and width of the pictures, a power of two from 8 to 1024.
        channels: of the features at 4, 8, ..., resolution; `published` gives the usual ones.
        code_size: length of z and of each code of W.
        mapping_layers: of the mapping network; 8 as published, 2 in some of NVIDIA's later configurations.
        conv_clamp: activations are limited to +-this, as in the mixed-precision configurations of stylegan2-ada.
            Raises ModelError if these do not make a network.
    """

    resolution: int
    channels: tuple[int, ...]
    code_size: int = CODE_SIZE
    mapping_layers: int = 8
    conv_clamp: float | None = None

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)
        levels = self.resolution.bit_length() - 2
        if len(self.channels) != levels or min(self.channels) < 1:
            raise ModelError(
                f"StyleGAN2 at {self.resolution} needs {levels} channel counts above zero, got {self.channels}"
            )
        if self.code_size < 1 or self.mapping_layers < 1:
            raise ModelError(
                f"expected code_size and mapping_layers above zero, got {self.code_size} and {self.mapping_layers}"
            )
        if self.conv_clamp is not None and self.conv_clamp <= 0:
            raise ModelError(f"expected conv_clamp above zero or None, got {self.conv_clamp}")

    @classmethod
    def published(
        cls,
        resolution: int = 1024,
        multiplier: float = 2,
        *,
        max_channels: int = 512,
        code_size: int = CODE_SIZE,
        mapping_layers: int = 8,
    ) -> Self:
        """Channels by the paper's rule, min(max_channels, 16384 multiplier / size): config-f is 2, config-e 1."""
        _check_resolution(resolution)
        sizes = [4 << i for i in range(resolution.bit_length() - 2)]
        channels = tuple(max(1, min(max_channels, int(16384 * multiplier) // size)) for size in sizes)
        return cls(resolution, channels, code_size, mapping_layers)

    @property
    def codes(self) -> int:
        """Number of W+ codes: 2 log2(resolution) - 2."""
        return 2 * len(self.channels)

    @property
    def layers(self) -> tuple["LayerShape", ...]:
        """The convolutions in order; layer i takes code i."""
        shapes = [LayerShape(4, self.channels[0], self.channels[0], up=False)]
        for level in range(1, len(self.channels)):
            before, after = self.channels[level - 1 : level + 1]
            shapes.append(LayerShape(4 << level, before, after, up=True))
            shapes.append(LayerShape(4 << level, after, after, up=False))
        return tuple(shapes)


@dataclass(frozen=True)
class LayerShape:
    """One styled 3x3 convolution: output size in pixels, channels in and out, whether it doubles the size."""

    size: int
    c_in: int
    c_out: int
    up: bool


class EqualLinear(nn.Module):
    """Linear layer whose stored weights have unit deviation: x (rate / sqrt(in)) W^T + rate b."""

    def __init__(self, size_in: int, size_out: int, *, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size_out, size_in))
        self.bias = nn.Parameter(torch.zeros(size_out))
        self.rate = rate
        self.gain = rate / math.sqrt(size_in)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, in) -> (B, out)."""
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class Mapping(nn.Module):
    """z to w: unit second moment, then linear layers with leaky ReLU."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(size, size, rate=MAPPING_RATE) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """z: (B, code_size) -> w: (B, code_size)."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * math.sqrt(2)
        return x


class ModulatedConv(nn.Module):
    """A modulated convolution and the linear layer that turns a code into its scales."""

    def __init__(self, c_in: int, c_out: int, kernel: int, code_size: int, *, up: bool, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c_out, c_in, kernel, kernel))
        self.modulation = EqualLinear(code_size, c_in)
        self.gain = 1 / math.sqrt(c_in * kernel * kernel)
        self.up = up
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, c_in, H, W), w: (B, code_size) -> (B, c_out, H, W), doubled in size where `up`."""
        style = self.modulation(w) * self.gain  # the equalizing factor may sit on either operand; here it is cheapest
        return modulated_conv2d(x, self.weight, style, up=self.up, demodulate=self.demodulate)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, shape: LayerShape, code_size: int, clamp: float | None) -> None:
        super().__init__()
        self.conv = ModulatedConv(shape.c_in, shape.c_out, 3, code_size, up=shape.up, demodulate=True)
        self.register_buffer("noise", torch.zeros(1, 1, shape.size, shape.size))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(shape.c_out))
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x: (B, c_in, H, W), w: (B, code_size), noise: (B, 1, size, size) beside its own -> (B, c_out, size, size)."""
        own = self.get_buffer("noise")
        x = self.conv(x, w) + self.noise_strength * (own if noise is None else own + noise)
        x = F.leaky_relu(x + self.bias[:, None, None], SLOPE) * math.sqrt(2)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, not demodulated, and bias."""

    def __init__(self, channels: int, code_size: int, clamp: float | None) -> None:
        super().__init__()
        self.conv = ModulatedConv(channels, 3, 1, code_size, up=False, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: (B, channels, H, W), w: (B, code_size) -> (B, 3, H, W)."""
        rgb: Tensor = self.conv(x, w) + self.bias[:, None, None]
        return rgb if self.clamp is None else rgb.clamp(-self.clamp, self.clamp)


class StyleGAN2(nn.Module):
    """The generator: a `Generator` (models/generator.py) of any published size. New ones are all zeros.

    Pictures smaller than the resolution are the full one, area-shrunk: the sum of the image heads up to a level looks
    washed out, because the later heads add contrast too, so a shorter synthesis would be another picture.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config.code_size, config.mapping_layers)
        self.constant = nn.Parameter(torch.zeros(1, config.channels[0], 4, 4))
        self.layers = nn.ModuleList(StyledConv(shape, config.code_size, config.conv_clamp) for shape in config.layers)
        self.to_rgbs = nn.ModuleList(ToRGB(c, config.code_size, config.conv_clamp) for c in config.channels)
        self.register_buffer("w_avg", torch.zeros(config.code_size))

    @property
    def codes(self) -> int:
        return self.config.codes

    @property
    def resolution(self) -> int:
        return self.config.resolution

    def mean_w(self) -> Tensor:
        return self.get_buffer("w_avg")

    def map(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.config.code_size:
            raise ShapeError(f"expected z of shape (B, {self.config.code_size}), got {tuple(z.shape)}")
        w: Tensor = self.mapping(z)
        return w

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        """Draw pictures, the same for the same arguments.

        w_plus: (B, codes, code_size). noise: (B, 1, 32, 32), added to the constant noise of both layers at 32x32,
        before their learned strength (RIGID, arXiv 2308.06097); zeros are the same as None.
        size: the resolution, or a power of two below it down to 4.
        Returns (B, 3, size, size), RGB in about [-1, 1]. Raises ShapeError for arguments that do not fit.
        """
        self._check(w_plus, noise, size)
        rgb = self._draw(w_plus, noise)
        return rgb if size == self.resolution else F.avg_pool2d(rgb, self.resolution // size)

    def _draw(self, w_plus: Tensor, noise: Tensor | None) -> Tensor:
        x = self.layers[0](self.constant.expand(len(w_plus), -1, -1, -1), w_plus[:, 0])
        rgb: Tensor = self.to_rgbs[0](x, w_plus[:, 1])
        for level in range(1, len(self.to_rgbs)):
            extra = noise if 4 << level == NOISE_SIZE else None
            x = self.layers[2 * level - 1](x, w_plus[:, 2 * level - 1], extra)
            x = self.layers[2 * level](x, w_plus[:, 2 * level], extra)
            rgb = upsample2d(rgb) + self.to_rgbs[level](x, w_plus[:, 2 * level + 1])
        return rgb

    def _check(self, w_plus: Tensor, noise: Tensor | None, size: int) -> None:
        expected = (self.codes, self.config.code_size)
        if w_plus.ndim != 3 or w_plus.shape[1:] != expected:
            raise ShapeError(f"expected W+ codes of shape (B, {expected[0]}, {expected[1]}), got {tuple(w_plus.shape)}")
        sizes = [4 << level for level in range(len(self.config.channels))]
        if size not in sizes:
            raise ShapeError(f"this StyleGAN2 draws {', '.join(map(str, sizes))} pixels, got size={size}")
        if noise is None:
            return
        if self.resolution < NOISE_SIZE:
            raise ShapeError(f"a StyleGAN2 of {self.resolution} pixels has no 32x32 layers to take a noise map")
        if noise.shape != (len(w_plus), 1, NOISE_SIZE, NOISE_SIZE):
            wanted = (len(w_plus), 1, NOISE_SIZE, NOISE_SIZE)
            raise ShapeError(f"expected a noise map of shape {wanted}, got {tuple(noise.shape)}")

    @torch.no_grad()
    def randomize(self, generator: torch.Generator) -> Self:
        """Fill in the initial values that training starts from (unit normal weights, styles of one), in place.

        The noise maps are drawn too, and `mean_w` is measured. `generator`: a CPU generator.
        """
        for name, parameter in self.named_parameters():
            if name == "constant" or name.endswith("weight"):
                scale = 1 / MAPPING_RATE if name.startswith("mapping") else 1.0
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
            else:
                parameter.fill_(1.0 if name.endswith("modulation.bias") else 0.0)
        for name, buffer in self.named_buffers():
            if name.endswith("noise"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
        self.get_buffer("w_avg").copy_(estimate_mean_w(self))
        return self


@torch.no_grad()
def estimate_mean_w(network: StyleGAN2, *, samples: int = MEAN_SAMPLES, seed: int = 0) -> Tensor:
    """The mean of W over z drawn from a seeded CPU generator: (code_size,); for checkpoints that don't store it."""
    generator = torch.Generator().manual_seed(seed)
    weight = network.mean_w()
    total = torch.zeros_like(weight)
    for start in range(0, samples, 1000):
        z = torch.randn(min(1000, samples - start), network.config.code_size, generator=generator)
        total += network.map(z.to(weight)).sum(0)
    return total / samples


def save_stylegan2(network: StyleGAN2, path: Path) -> None:
    """Write weights and configuration as one safetensors file, which `read_stylegan2` reads."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, path, metadata={"stylegan2": json.dumps(asdict(network.config))})


def read_stylegan2(path: Path) -> StyleGAN2:
    """Read what `save_stylegan2` wrote, frozen and in evaluation mode.

    Raises WeightsError if the file is not of this kind, damaged, or its tensors do not fit its configuration.
    """
    try:
        with safe_open(path, framework="pt") as file:
            fields = json.loads((file.metadata() or {})["stylegan2"])
        config = StyleGAN2Config(**{**fields, "channels": tuple(fields["channels"])})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, ModelError) as error:
        raise WeightsError(
            f"{path} is not a converted StyleGAN2 ({type(error).__name__}: {error}); "
            "import the published file with `dynstream models import stylegan2-ffhq FILE`"
        ) from error
    return load_safetensors(StyleGAN2(config), path)


def _check_resolution(resolution: int) -> None:
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION or resolution & (resolution - 1):
        raise ModelError(
            f"expected a resolution that is a power of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}, got {resolution}"
        )
