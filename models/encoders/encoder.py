"""E0, the feed-forward encoder: an aligned face to its W+ codes.

After pSp (Richardson et al., arXiv 2008.00951) the codes are read from three levels of a residual network, coarse
codes from the deepest; after e4e (Tov et al., arXiv 2102.02766) every code is one base code of the face plus a bounded
delta of its own, which keeps the result near W, where directions work:

    w_i = mean + base + bound tanh(delta_i / bound)

The trunk sees the face at a quarter of its size from the first convolution on, where an iris is two cells wide. Two
close-ups, of the eyes and of the mouth, are therefore read at full size and add to the deltas.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.checkpoint import load_state, read_safetensors, unfilled
from ..generator.generator import CODE_SIZE

WEIGHTS = Path(__file__).parents[1] / "weights" / "encoder.safetensors"
FACE_SIZE = 256
LEVELS = (3, 4, 11)  # coarse, middle and fine codes of 18
DELTA_BOUND = 3.0
EYES = (slice(88, 152), slice(64, 192))  # rows and columns of an aligned face, where the alignment puts eyes and brows
MOUTH = (slice(168, 232), slice(64, 192))
CLOSEUP_CODES = 12  # the first of the 18: the later ones change colours and grain


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


class Closeup(nn.Module):
    """A part of the face at full size: convolutions down to an eighth, flat."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, 24, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU(), nn.Conv2d(48, 48, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(48, 96, 3, 2, 1), nn.ReLU(), nn.Conv2d(96, 96, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(96, width, 1), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, 64, 128) -> (B, width * 128)."""
        out: Tensor = self.layers(x)
        return out


class Closeups(nn.Module):
    """Eyes and mouth at full size, with the face's embedding as context, to deltas of the first codes."""

    def __init__(self, context: int, hidden: int = 192, width: int = 16) -> None:
        super().__init__()
        self.eyes = Closeup(width)
        self.mouth = Closeup(width)
        self.hidden = nn.Linear(2 * width * 128, hidden)
        self.context = nn.Linear(context, hidden)
        self.out = nn.Linear(hidden, CLOSEUP_CODES * CODE_SIZE)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, faces: Tensor, context: Tensor) -> Tensor:
        """faces: (B, 3, 256, 256), context: (B, context) -> (B, 18, 512), zero for the codes that it leaves alone."""
        parts = [part(faces[..., box[0], box[1]]) for part, box in ((self.eyes, EYES), (self.mouth, MOUTH))]
        hidden = F.relu(self.hidden(torch.cat(parts, 1)) + self.context(context))
        deltas: Tensor = self.out(hidden).unflatten(1, (-1, CODE_SIZE))
        return F.pad(deltas, (0, 0, 0, sum(LEVELS) - CLOSEUP_CODES))


class Encoder(nn.Module):
    """E0: (B, 3, 256, 256) aligned faces in [-1, 1] -> (B, 18, 512) W+ codes.

    closeups: whether eyes and mouth are also read at full size; they begin by changing nothing.
    """

    def __init__(self, *, closeups: bool = True) -> None:
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
        self.closeups = Closeups(512) if closeups else None
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
        deltas = torch.cat([self.coarse(coarse, context), self.middle(middle, context), self.fine(fine, context)], 1)
        if self.closeups is not None:
            deltas = deltas + self.closeups(faces, context)
        return self.base(context).float(), DELTA_BOUND * torch.tanh(deltas.float() / DELTA_BOUND)


def load_encoder(path: Path = WEIGHTS) -> Encoder:
    """The shipped encoder, or another one with or without close-ups, frozen, in evaluation mode, float32."""
    state = read_safetensors(path)
    closeups = any(name.startswith("closeups.") for name in state)
    return load_state(unfilled(lambda: Encoder(closeups=closeups)), state, str(path))


def start_from(encoder: Encoder, path: Path = WEIGHTS) -> None:
    """Copy weights into an encoder that is to be trained on; close-ups that the file lacks stay as they are.

    Raises WeightsError where the file is of another network.
    """
    state = read_safetensors(path)
    kept = {name: value for name, value in encoder.state_dict().items() if name.startswith("closeups.")}
    load_state(encoder, kept | state, str(path)).requires_grad_(True)
