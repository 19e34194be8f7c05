"""The visibility network V: how much of each pixel of a frame is seen in the frame before, and in the one after.

RIGID (arXiv 2308.06097, sec. 3.3, eq. 8): both neighbours are warped onto the middle frame, and where a pixel is hidden
in one of them, the other one is used. A U-Net of five convolutions and five transposed ones with batch norm.
"""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ShapeError
from ..formats.checkpoint import load_safetensors

WEIGHTS = Path(__file__).parents[1] / "weights" / "visibility.safetensors"
CHANNELS = (6, 16, 32, 64, 96, 128)
SLOPE = 0.2
MULTIPLE = 1 << (len(CHANNELS) - 1)


class Visibility(nn.Module):
    """Two warped frames to the weight of the first; 0.6 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(_layer(nn.Conv2d, c_in, c_out) for c_in, c_out in pairwise(CHANNELS))
        ups = []
        for level in range(len(CHANNELS) - 1, 1, -1):
            c_in = CHANNELS[level] * (1 if level == len(CHANNELS) - 1 else 2)  # beside what came down
            ups.append(_layer(nn.ConvTranspose2d, c_in, CHANNELS[level - 1]))
        self.up = nn.ModuleList(ups)
        self.out = nn.ConvTranspose2d(2 * CHANNELS[1], 1, 4, 2, 1)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """before, after: (B, 3, H, W) in [-1, 1], the neighbours warped onto the middle frame -> (B, 1, H, W) in 0..1.

        1 selects the frame before, 0 the one after. Raises ShapeError unless both have one shape with sides that are
        multiples of 32.
        """
        x = torch.cat([before, after], 1) if before.shape == after.shape else before
        if x.ndim != 4 or x.shape[1] != 6 or x.shape[2] % MULTIPLE or x.shape[3] % MULTIPLE:
            raise ShapeError(
                f"expected two (B, 3, H, W) pictures with sides that are multiples of {MULTIPLE}, "
                f"got {tuple(before.shape)} and {tuple(after.shape)}"
            )
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        for number, layer in enumerate(self.up):
            x = layer(x if number == 0 else torch.cat([x, kept[-1 - number]], 1))
        return torch.sigmoid(self.out(torch.cat([x, kept[0]], 1)).float())


def compose_between(network: Visibility, before: Tensor, after: Tensor) -> Tensor:
    """The middle frame out of its warped neighbours (RIGID eq. 8): V a + (1 - V) b, (B, 3, H, W)."""
    share: Tensor = network(before, after)
    return share * before + (1 - share) * after


def _layer(kind: type[nn.Conv2d] | type[nn.ConvTranspose2d], c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(kind(c_in, c_out, 4, 2, 1, bias=False), nn.BatchNorm2d(c_out), nn.LeakyReLU(SLOPE))


def load_visibility(path: Path = WEIGHTS) -> Visibility:
    """The shipped network, or another of the same architecture, frozen, in evaluation mode, float32."""
    return load_safetensors(Visibility(), path)
