"""The head matte: a small U-Net that says what each part of an aligned face shows.

It is taught by the face parser (`bisenet.py`), and by things that were pasted in front of faces. The parser takes 45 to
160 ms a face; this network takes a few, so that it can run on every frame.
"""

from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import ShapeError
from ..formats.checkpoint import load_safetensors, unfilled
from .bisenet import CLASSES as PARSER_CLASSES

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "matte.safetensors"

REGIONS: Final = ("background", "skin", "hair", "ears", "neck", "cloth", "glasses", "front")
"""Classes by index. `front` is what covers the head and does not belong to it: hats, hands, microphones, captions."""

HEAD: Final = ("skin", "hair", "ears", "glasses")
"""The classes that move with a head; the neck joins it to what stays."""

OF_PARSER: Final = {
    "background": "background",
    "left_ear": "ears",
    "right_ear": "ears",
    "earring": "ears",
    "neck": "neck",
    "necklace": "neck",
    "cloth": "cloth",
    "hair": "hair",
    "glasses": "glasses",
    "hat": "front",
}
"""The class of each class of the parser; those of the face that are not listed are skin."""

SIZE: Final = 256
CELLS: Final = 128
"""Side of the input, and of the result."""


def parser_to_regions() -> Tensor:
    """(19, 8) float32 of zeros and ones: which class of the parser belongs to which region."""
    table = torch.zeros(len(PARSER_CLASSES), len(REGIONS))
    for row, name in enumerate(PARSER_CLASSES):
        table[row, REGIONS.index(OF_PARSER.get(name, "skin"))] = 1
    return table


class Unit(nn.Sequential):
    """Convolution of 3x3, batch normalisation, ReLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Unit(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Context(nn.Module):
    """Adds to each place what the whole picture holds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.mix(x.mean((2, 3))))[..., None, None]


class HeadMatte(nn.Module):
    """(B, 3, 256, 256) to logits of `REGIONS` at 128x128; 1.2 M parameters, 0.4 GMAC."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = Unit(12, 16)
        self.down = nn.ModuleList(
            [
                nn.Sequential(Unit(16, 24, 2), Block(24)),
                nn.Sequential(Unit(24, 48, 2), Block(48)),
                nn.Sequential(Unit(48, 96, 2), Block(96), Block(96)),
                nn.Sequential(Unit(96, 128, 2), Block(128), Context(128), Block(128)),
            ]
        )
        self.across = nn.ModuleList([nn.Conv2d(128, 96, 1), nn.Conv2d(96, 48, 1), nn.Conv2d(48, 24, 1)])
        self.up = nn.ModuleList([Unit(96, 96), Unit(48, 48), Unit(24, 16)])
        self.out = nn.Sequential(Unit(32, 16), nn.Conv2d(16, len(REGIONS), 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: (B, 3, 256, 256) float, RGB in [-1, 1], aligned as FFHQ is.

        Returns:
            (B, 8, 128, 128) logits in the order of `REGIONS`.

        Raises:
            ShapeError: another shape.
        """
        if x.dim() != 4 or x.shape[1:] != (3, SIZE, SIZE):
            raise ShapeError(f"the head matte got {tuple(x.shape)}, expected (B, 3, {SIZE}, {SIZE})")
        fine = self.fine(F.pixel_unshuffle(x, 2))
        levels = [fine]
        for down in self.down:
            levels.append(down(levels[-1]))
        y = levels[-1]
        for across, up, level in zip(self.across, self.up, reversed(levels[1:-1]), strict=True):
            y = up(_twice(across(y)) + level)
        logits: Tensor = self.out(torch.cat([_twice(y), fine], 1))
        return logits

    @torch.no_grad()
    def regions(self, x: Tensor) -> Tensor:
        """Shares of each region. x: as `forward` -> (B, 8, 128, 128) float32 in 0..1, summing to 1."""
        return self.forward(x.to(next(self.parameters()).dtype)).float().softmax(1)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def fold(network: nn.Module) -> None:
    """Put each batch normalisation into the convolution before it, in place; the result differs by rounding only."""
    for part in network.modules():
        if isinstance(part, nn.Sequential) and len(part) > 1:
            conv, norm = part[0], part[1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[0], part[1] = fuse_conv_bn_eval(conv.eval(), norm.eval()), nn.Identity()


def load_matte(path: Path = WEIGHTS) -> HeadMatte:
    """The shipped network, or another of the same architecture, ready to run: folded, frozen, float32."""
    network = load_safetensors(unfilled(HeadMatte), path)
    fold(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
