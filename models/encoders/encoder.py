"""E0, the feed-forward encoder: an aligned face to its W+ codes.

After pSp (Richardson et al., arXiv 2008.00951) the codes are read from three levels of a residual network, coarse
codes from the deepest; after e4e (Tov et al., arXiv 2102.02766) every code is one base code of the face plus a bounded
delta of its own, which keeps the result near W, where directions work:

    w_i = mean + base + bound tanh(delta_i / bound)
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.checkpoint import load_safetensors
from ..generator.generator import CODE_SIZE

WEIGHTS = Path(__file__).parents[1] / "weights" / "encoder.safetensors"
FACE_SIZE = 256
LEVELS = (3, 4, 11)  # coarse, middle and fine codes of 18
DELTA_BOUND = 3.0


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut that is projected where size or channels change."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


def _stage(c_in: int, c_out: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(c_in, c_out, 2), *(ResidualBlock(c_out, c_out) for _ in range(blocks - 1)))


class LevelHead(nn.Module):
    """One feature level, shrunk to 8x8, with the face's embedding as context, to the deltas of its codes."""

    def __init__(self, channels: int, size: int, codes: int, hidden: int, context: int, width: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        while size > 8:
            steps += [nn.Conv2d(channels, width, 3, 2, 1), nn.ReLU()]
            channels, size = width, size // 2
        self.shrink = nn.Sequential(*steps, nn.Conv2d(channels, width, 1), nn.ReLU(), nn.Flatten())
        self.hidden = nn.Linear(width * 64, hidden)
        self.context = nn.Linear(context, hidden)
        self.out = nn.Linear(hidden, codes * CODE_SIZE)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x: (B, channels, size, size), context: (B, context) -> (B, codes, 512)."""
        hidden = F.relu(self.hidden(self.shrink(x)) + self.context(context))
        out: Tensor = self.out(hidden).unflatten(1, (-1, CODE_SIZE))
        return out


class Encoder(nn.Module):
    """E0: (B, 3, 256, 256) aligned faces in [-1, 1] -> (B, 18, 512) W+ codes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(12, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
        self.stage1 = ResidualBlock(48, 48)  # 64x64
        self.stage2 = _stage(48, 96, 2)  # 32x32
        self.stage3 = _stage(96, 192, 3)  # 16x16
        self.stage4 = _stage(192, 320, 2)  # 8x8
        self.embed = nn.Sequential(nn.Conv2d(320, 48, 1), nn.ReLU(), nn.Flatten(), nn.Linear(48 * 64, 512), nn.ReLU())
        self.base = nn.Linear(512, CODE_SIZE)
        self.coarse = LevelHead(320, 8, LEVELS[0], 256, 512, 24)
        self.middle = LevelHead(192, 16, LEVELS[1], 256, 512, 32)
        self.fine = LevelHead(96, 32, LEVELS[2], 256, 512, 24)
        self.register_buffer("mean", torch.zeros(CODE_SIZE))

    def forward(self, faces: Tensor) -> Tensor:
        base, deltas = self.base_and_deltas(faces)
        return self.get_buffer("mean") + base[:, None] + deltas

    def base_and_deltas(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """faces: (B, 3, 256, 256) -> base (B, 512), without the mean, and bounded deltas (B, 18, 512).

        Raises ShapeError for another size.
        """
        if faces.ndim != 4 or faces.shape[1:] != (3, FACE_SIZE, FACE_SIZE):
            raise ShapeError(f"expected faces of shape (B, 3, {FACE_SIZE}, {FACE_SIZE}), got {tuple(faces.shape)}")
        fine = self.stage2(self.stage1(self.stem(F.pixel_unshuffle(faces, 2))))
        middle = self.stage3(fine)
        coarse = self.stage4(middle)
        context = self.embed(coarse)
        deltas = torch.cat(
            [self.coarse(coarse, context), self.middle(middle, context), self.fine(fine, context)], 1
        ).float()
        return self.base(context).float(), DELTA_BOUND * torch.tanh(deltas / DELTA_BOUND)


def load_encoder(path: Path = WEIGHTS) -> Encoder:
    """The shipped encoder, or another of the same architecture, frozen, in evaluation mode, float32."""
    return load_safetensors(Encoder(), path)
