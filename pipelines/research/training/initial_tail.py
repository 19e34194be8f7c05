"""The output tail that training starts from: the most important channels of the generator's own last blocks."""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ....models.generator.mobile_stylegan import Block, MobileStyleGAN
from ....models.generator.output_tail import LOW, WIDTHS, OutputTail
from ....models.generator.wavelet_layers import SeparableConv


def initial_tail(generator: MobileStyleGAN) -> OutputTail:
    """A tail that starts as the most important channels of the generator's own last blocks, at half resolution.

    An output channel's importance is the norm of what the next layer makes of it, for the mean code.
    """
    block, last = cast(Block, generator.blocks[5]), cast(Block, generator.blocks[6])
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
