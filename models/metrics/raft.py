"""Dense optical flow between two pictures: RAFT.

Teed, Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020, arXiv 2003.12039; the full (not
the small) network, with the weights that its authors trained on FlyingChairs and FlyingThings.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ShapeError
from ..formats.checkpoint import load_state, read_safetensors
from ..weight_files import WeightFiles

STRIDE: Final = 8
LEVELS: Final = 4
RADIUS: Final = 4
HIDDEN: Final = 128
CONTEXT: Final = 128

SMALLEST_SIDE: Final = 128
"""The coarsest of the correlation levels must still be two cells wide; smaller pictures are padded to this."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A picture as RAFT sees it; worth keeping, since each frame of a clip is matched with two neighbours.

    Attributes:
        features: (B, 256, h, w), what is correlated.
        hidden, context: (B, 128, h, w), the recurrent unit's start and its constant input.
        size: (H, W) of the picture.
        padding: (left, right, top, bottom), added to reach h = H' / 8.
    """

    features: Tensor
    hidden: Tensor
    context: Tensor
    size: tuple[int, int]
    padding: tuple[int, int, int, int]


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, c_in: int, c_out: int, norm: type[nn.Module], stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.norm1 = norm(c_out)
        self.norm2 = norm(c_out)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride), norm(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.downsample(x) + y)


class Encoder(nn.Module):
    """Picture to an eighth of its size."""

    def __init__(self, norm: type[nn.Module], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.norm1 = norm(64)
        self.layer1 = nn.Sequential(Residual(64, 64, norm, 1), Residual(64, 64, norm, 1))
        self.layer2 = nn.Sequential(Residual(64, 96, norm, 2), Residual(96, 96, norm, 1))
        self.layer3 = nn.Sequential(Residual(96, 128, norm, 2), Residual(128, 128, norm, 1))
        self.conv2 = nn.Conv2d(128, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, channels, H / 8, W / 8)."""
        x = F.relu(self.norm1(self.conv1(x)))
        y: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return y


class MotionEncoder(nn.Module):
    """The motion features of the looked-up correlations and the present flow."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(192 + 64, 128 - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """(B, 2, h, w) and (B, 324, h, w) -> (B, 128, h, w)."""
        c = F.relu(self.convc2(F.relu(self.convc1(correlation))))
        f = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([c, f], 1))), flow], 1)


class SeparableGRU(nn.Module):
    """A convolutional GRU whose 5x5 windows are a 1x5 step and a 5x1 step."""

    def __init__(self) -> None:
        super().__init__()
        channels = HIDDEN + CONTEXT + 128
        for number, kernel in ((1, (1, 5)), (2, (5, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                self.add_module(f"conv{gate}{number}", nn.Conv2d(channels, HIDDEN, kernel, padding=padding))

    def steps(self, context: Tensor) -> "list[GRUStep]":
        """The two steps for one pair of pictures: what the context adds to the gates is the same in every iteration."""
        steps = []
        for number in (1, 2):
            gates = [self.get_submodule(f"conv{gate}{number}") for gate in "zrq"]
            weights = torch.cat([gate.get_parameter("weight") for gate in gates])
            biases = torch.cat([gate.get_parameter("bias") for gate in gates])
            hidden, constant, motion = weights.split([HIDDEN, CONTEXT, 128], dim=1)
            padding = (weights.shape[2] // 2, weights.shape[3] // 2)
            bias = F.conv2d(context, constant, biases, padding=padding)
            steps.append(GRUStep(torch.cat([hidden, motion], 1), bias, padding))
        return steps


@dataclass(frozen=True, slots=True, eq=False)
class GRUStep:
    """One half of the GRU.

    Attributes:
        weights: (3 x 128, 256, kh, kw) over hidden state and motion.
        bias: (B, 3 x 128, h, w).
    """

    weights: Tensor
    bias: Tensor
    padding: tuple[int, int]

    def __call__(self, hidden: Tensor, motion: Tensor) -> Tensor:
        gates = F.conv2d(torch.cat([hidden, motion], 1), self.weights[: 2 * HIDDEN], padding=self.padding)
        z, r = (gates + self.bias[:, : 2 * HIDDEN]).sigmoid().chunk(2, 1)
        q = F.conv2d(torch.cat([r * hidden, motion], 1), self.weights[2 * HIDDEN :], padding=self.padding)
        return (1 - z) * hidden + z * (q + self.bias[:, 2 * HIDDEN :]).tanh()


class FlowHead(nn.Module):
    """By how much an iteration changes the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, 128, h, w) -> (B, 2, h, w)."""
        y: Tensor = self.conv2(F.relu(self.conv1(hidden)))
        return y


class UpdateBlock(nn.Module):
    """The parts that work in each iteration, and the weights of the final upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = SeparableGRU()
        self.flow_head = FlowHead()
        self.mask = nn.Sequential(nn.Conv2d(HIDDEN, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * STRIDE**2, 1))


class RAFT(nn.Module):
    """Flow from one picture to another; two halves, so that a picture is encoded once for all its matches."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = Encoder(nn.InstanceNorm2d, 256)
        self.cnet = Encoder(nn.BatchNorm2d, HIDDEN + CONTEXT)
        self.update_block = UpdateBlock()

    def encode(self, x: Tensor) -> Encoded:
        """Args: x, (B, 3, H, W) float, RGB in [-1, 1], of any size.

        Raises:
            ShapeError: of another shape.
        """
        if x.dim() != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ShapeError(f"RAFT got {tuple(x.shape)}, expected (B, 3, H, W)")
        height, width = x.shape[2:]
        padding = (*_margins(width), *_margins(height))
        x = F.pad(x, padding, mode="replicate")
        hidden, context = self.cnet(x).split([HIDDEN, CONTEXT], dim=1)
        return Encoded(self.fnet(x), hidden.tanh(), context.relu(), (height, width), padding)

    def match(self, a: Encoded, b: Encoded, iterations: int = 12) -> Tensor:
        """Flow from `a` to `b`.

        Args:
            a, b: pictures of one size and batch.
            iterations: updates; the paper's tables use 32, the flow hardly moves after 12.

        Returns:
            (B, 2, H, W): how far right and down, in pixels, each pixel of `a` is found in `b`.

        Raises:
            ShapeError: the two differ in size.
        """
        if a.features.shape != b.features.shape or a.size != b.size:
            raise ShapeError(f"RAFT got pictures of {a.size} and {b.size}, expected one size")
        pyramid = _correlate(a.features, b.features)
        steps = self.update_block.gru.steps(a.context)
        start = _grid(a.features)
        there, hidden = start, a.hidden
        for _ in range(iterations):
            flow = there - start
            motion = self.update_block.encoder(flow, _look_up(pyramid, there))
            for step in steps:
                hidden = step(hidden, motion)
            there = there + self.update_block.flow_head(hidden)
        full = _upsample(there - start, 0.25 * self.update_block.mask(hidden))
        left, right, top, bottom = a.padding
        return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]

    def forward(self, x: Tensor, y: Tensor, iterations: int = 12) -> Tensor:
        """`match` of two (B, 3, H, W) batches, RGB in [-1, 1]: (B, 2, H, W) in pixels."""
        return self.match(self.encode(x), self.encode(y), iterations)


def _margins(side: int) -> tuple[int, int]:
    missing = max(SMALLEST_SIDE, -(-side // STRIDE) * STRIDE) - side
    return missing // 2, missing - missing // 2


def _grid(like: Tensor) -> Tensor:
    """(B, 2, h, w): x and y of each cell of `like`."""
    batch, _, height, width = like.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).to(like).expand(batch, -1, -1, -1)


def _correlate(a: Tensor, b: Tensor) -> list[Tensor]:
    """Correlation of every cell of `a` with every cell of `b`, and its poolings: LEVELS of (B h w, 1, h_l, w_l)."""
    batch, channels, height, width = a.shape
    all_pairs = a.flatten(2).transpose(1, 2) @ b.flatten(2) / math.sqrt(channels)
    level = all_pairs.view(batch * height * width, 1, height, width)
    pyramid = [level]
    for _ in range(LEVELS - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    return pyramid


def _look_up(pyramid: list[Tensor], there: Tensor) -> Tensor:
    """(B, 324, h, w): the correlations in a window around where each cell is now thought to be, on every level."""
    batch, _, height, width = there.shape
    centres = there.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    reach = torch.arange(-RADIUS, RADIUS + 1).to(there)
    # The published weights count the window column by column.
    window = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), -1)
    found = []
    for number, level in enumerate(pyramid):
        last = torch.tensor([level.shape[3] - 1, level.shape[2] - 1]).to(there)
        places = 2 * (centres / 2**number + window) / last - 1
        found.append(F.grid_sample(level, places, align_corners=True).view(batch, height, width, -1))
    return torch.cat(found, -1).permute(0, 3, 1, 2).contiguous()


def _upsample(flow: Tensor, mask: Tensor) -> Tensor:
    """(B, 2, 8 h, 8 w): each fine value is a weighted mean of its nine coarse neighbours (section 3.3)."""
    batch, _, height, width = flow.shape
    weights = mask.view(batch, 9, STRIDE**2, height, width).softmax(1)
    neighbours = F.unfold(STRIDE * flow, 3, padding=1).view(batch, 2, 9, height, width)
    fine = torch.einsum("bnshw,bcnhw->bcshw", weights, neighbours)
    return F.pixel_shuffle(fine.reshape(batch, 2 * STRIDE**2, height, width), STRIDE)


def load_raft(zoo: WeightFiles) -> RAFT:
    """RAFT with its published weights (BSD-3-Clause), pulled on first use.

    Raises:
        WeightsError: the weights are not available, or are those of another network.
    """
    path = zoo.path("raft")
    # The published file names the norm of each shortcut twice, `downsample.1` and `norm3`.
    state = {key: value for key, value in read_safetensors(path).items() if ".norm3." not in key}
    return load_state(RAFT(), state, str(path))
