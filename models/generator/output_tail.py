"""The 256x256 output of MobileStyleGAN, drawn from its 128x128 features instead of shrinking a 1024x1024 picture.

A linear head on these features stops at 26 dB, since the layers that it replaces are not linear. This one keeps the
generator's own chain of layers but runs its last block at 256x256, on the low band alone: the weights that it starts
from are the generator's, the depthwise kernels seen at half their resolution, and training does the rest
(`dynstream train tail`; figures in `weights/output-tail.md`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .wavelet_layers import Modulation, SeparableConv, haar_synthesis

if TYPE_CHECKING:
    from .mobile_stylegan import Block, MobileStyleGAN

WEIGHTS = Path(__file__).parents[1] / "weights" / "output-tail.safetensors"
LOW = 32  # channels of the last block's low band
WIDTHS = (64, 32, 32)  # of the generator's 128, 64 and 64 channels after the layers that are kept


class OutputTail(nn.Module):
    """128x128 features and the W+ codes 11-15 to a 256x256 picture."""

    def __init__(self) -> None:
        super().__init__()
        first, third, fourth = WIDTHS
        self.up = Modulation(256)
        self.conv1 = SeparableConv(64, first, 256)
        self.conv2 = SeparableConv(first, LOW, 256)
        self.low = Modulation(LOW)
        self.conv3 = SeparableConv(LOW, third, 256)
        self.conv4 = SeparableConv(third, fourth, 256)
        self.to_image_modulation = Modulation(fourth)
        self.to_image = nn.Conv2d(fourth, 3, 1)

    def forward(self, features: Tensor, w_plus: Tensor) -> Tensor:
        """features: (B, 256, 128, 128), w_plus: (B, 18, 512) -> (B, 3, 256, 256), RGB in about [-1, 1]."""
        c11, c12, c13, c14, c15 = w_plus[:, 11:16].unbind(1)
        x = haar_synthesis(features * self.up(c11))
        x = self.conv2(self.conv1(x, c11), c12)
        x = self.conv4(self.conv3(x * self.low(c13), c13), c14)
        image: Tensor = self.to_image(x * self.to_image_modulation(c15))
        return image


def initial_tail(generator: "MobileStyleGAN") -> OutputTail:
    """A tail that starts as the most important channels of the generator's own last blocks, at half resolution.

    An output channel's importance is the norm of what the next layer makes of it, for the mean code.
    """
    block, last = cast("Block", generator.blocks[5]), cast("Block", generator.blocks[6])
    mean = generator.mean_w()[None]
    layers = [block.conv1, block.conv2, last.conv1, last.conv2]
    image = generator.to_image.weight[:3] * generator.to_image_modulation(mean)
    kept = [
        _strongest(_response(layers[1], mean), WIDTHS[0]),
        torch.arange(LOW),
        _strongest(_response(layers[3], mean), WIDTHS[1]),
        _strongest(image.flatten(1).norm(dim=0), WIDTHS[2]),
    ]
    tail = OutputTail()
    state = {f"up.{name}": value for name, value in block.up.state_dict().items()}
    # An inverse Haar transform of the low band alone is half of it, repeated.
    state |= {f"low.{name}": value[:LOW] * 0.5 for name, value in last.up.state_dict().items()}
    inputs = torch.arange(64)
    for i, (layer, outputs) in enumerate(zip(layers, kept, strict=True)):
        own = layer.state_dict()
        # The gain of a modulation follows its width.
        gain = (len(inputs) / layer.depthwise.shape[0]) ** 0.5
        own["modulation.linear.weight"] = own["modulation.linear.weight"][inputs] * gain
        own["modulation.linear.bias"] = own["modulation.linear.bias"][inputs] * gain
        own["depthwise"] = own["depthwise"][inputs]
        own["pointwise"] = own["pointwise"][outputs][:, inputs]
        own["bias"] = own["bias"][outputs]
        if i >= 2:
            own["depthwise"] = half_resolution(own["depthwise"])
            own["noise"] = F.avg_pool2d(own["noise"], 2)
        state |= {f"conv{i + 1}.{name}": value for name, value in own.items()}
        inputs = outputs
    scale = generator.to_image_modulation.gain
    state |= {
        f"to_image_modulation.{name}": value[inputs] * scale
        for name, value in generator.to_image_modulation.state_dict().items()
    }
    state["to_image.weight"] = generator.to_image.weight[:3, inputs] * 0.5
    state["to_image.bias"] = generator.to_image.state_dict()["bias"][:3] * 0.5
    tail.load_state_dict(state)
    return tail


def _response(layer: SeparableConv, mean: Tensor) -> Tensor:
    scale = layer.modulation(mean).flatten().abs()
    response: Tensor = scale * layer.depthwise.flatten(1).norm(dim=1) * layer.pointwise.flatten(1).norm(dim=0)
    return response


def _strongest(importance: Tensor, count: int) -> Tensor:
    return importance.topk(count).indices.sort().values


def half_resolution(kernel: Tensor) -> Tensor:
    """(C, 1, 3, 3) kernel -> the one with the same effect between repeating pixels twice and averaging them again."""
    across = torch.tensor([[0.5, 0.0, 0.0], [0.5, 1.0, 0.5], [0.0, 0.0, 0.5]], dtype=kernel.dtype)
    return across @ kernel @ across.T
