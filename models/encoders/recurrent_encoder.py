"""The recurrent encoder of RIGID (Xu et al., ICCV 2023, arXiv 2308.06097, eq. 1-2): what E0's code lacks.

Its input is the aligned faces of this frame and of the one before, and the generator's pictures of the one before:
inverted and edited. The error of the last inversion is therefore in its input. So it corrects its last code rather than
giving a new one each time, as ReStyle (Alaluf et al., arXiv 2104.02699) does on a single picture:

    w'_t = B tanh((leak w'_{t-1} + d_t) / B),    n_t = N tanh((leak n_{t-1} + e_t) / N)

with d_t and e_t from seven convolutions, a ConvLSTM (Shi et al., arXiv 1506.04214) and a head that begins at zero. Both
are bounded for any input, and decay if the network's output is zero.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError
from ..formats.checkpoint import load_safetensors, unfilled
from ..generator.generator import CODE_SIZE, NOISE_SIZE
from .encoder import FACE_SIZE

WEIGHTS = Path(__file__).parents[1] / "weights" / "recurrent.safetensors"
CODES = 18
COMPENSATED = 16  # the last two codes belong to layers that MobileStyleGAN has not
CHANNELS = (24, 48, 96, 96, 128, 192, 192)  # after each convolution
STRIDES = (2, 2, 2, 1, 2, 2, 1)
NOISE_LAYER = 3  # the convolution whose 32x32 features the noise map is read from
HIDDEN = 96
GRID = 8  # height and width of the ConvLSTM's state
WIDTH = 256  # of the head
CODE_LEAK, CODE_BOUND = 0.96, 0.6
NOISE_LEAK, NOISE_BOUND = 0.8, 0.4
"""Of the generator's own codes one coordinate has a standard deviation of 0.43. With bounds of 2 the squared error fell
to a quarter, by smears that no edit moves: a picture outside of what the generator knows."""
CODE_STEP, NOISE_STEP = 0.03, 0.05
"""What a head's 1 means. What is said is summed up over frames, so a small step goes a long way; with larger ones the
first hundred steps of training would throw the faces about."""
SLOPE, GAIN = 0.2, 2**0.5


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentState:
    """State and output of the encoder for B faces, all float32.

    Attributes:
        hidden, cell: (B, 96, 8, 8) of the ConvLSTM.
        compensation: (B, 18, 512), w'_t.
        noise: (B, 1, 32, 32), n_t.
    """

    hidden: Tensor
    cell: Tensor
    compensation: Tensor
    noise: Tensor

    @staticmethod
    def start(count: int, *, like: Tensor | None = None) -> "RecurrentState":
        """The state before the first frame: nothing is known, nothing is added. like: gives device."""
        device = None if like is None else like.device
        return RecurrentState(
            torch.zeros(count, HIDDEN, GRID, GRID, device=device),
            torch.zeros(count, HIDDEN, GRID, GRID, device=device),
            torch.zeros(count, CODES, CODE_SIZE, device=device),
            torch.zeros(count, 1, NOISE_SIZE, NOISE_SIZE, device=device),
        )

    def tensors(self) -> list[Tensor]:
        """All four, in the order of the fields."""
        return [getattr(self, item.name) for item in fields(self)]

    def rows(self) -> "list[RecurrentState]":
        """The states of the single faces, a batch of one each; copies, so that none holds the memory of all."""
        parts = [tensor.unbind() for tensor in self.tensors()]
        return [RecurrentState(*(part[None].clone() for part in row)) for row in zip(*parts, strict=True)]

    def detach(self) -> "RecurrentState":
        """The same values without their history."""
        return RecurrentState(*(tensor.detach() for tensor in self.tensors()))

    def finite(self) -> bool:
        """Whether every value is a number."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.tensors())


def stack_states(states: "list[RecurrentState]") -> RecurrentState:
    """One state of a batch out of several; the inverse of `rows`."""
    return RecurrentState(*(torch.cat(parts) for parts in zip(*(state.tensors() for state in states), strict=True)))


class FusedConv(nn.Module):
    """3x3 convolution, bias, leaky ReLU with a gain that keeps the variance."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride, 1)
        nn.init.normal_(self.conv.weight, std=(9 * c_in) ** -0.5)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""
        return F.leaky_relu(self.conv(x), SLOPE) * GAIN


class ConvLSTM(nn.Module):
    """A long short-term memory whose products are 3x3 convolutions, without peepholes (arXiv 1506.04214, eq. 3)."""

    def __init__(self, c_in: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(c_in + hidden, 4 * hidden, 3, 1, 1)
        nn.init.zeros_(self.gates.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.gates.bias[hidden : 2 * hidden] = 1.0  # type: ignore[index]  # it begins by remembering

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, c_in, H, W), state: (B, hidden, H, W) each -> the new (hidden, cell)."""
        enter, keep, leave, value = self.gates(torch.cat([x, hidden.to(x.dtype)], 1)).float().chunk(4, 1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(value)
        return torch.sigmoid(leave) * torch.tanh(cell), cell


class RecurrentEncoder(nn.Module):
    """E: two frames and the last two drawings to the compensated code and the noise map; 5.6 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (12, *CHANNELS[:-1])
        self.convs = nn.ModuleList(FusedConv(*layer) for layer in zip(inputs, CHANNELS, STRIDES, strict=True))
        self.memory = ConvLSTM(CHANNELS[-1], HIDDEN)
        self.hidden = nn.Linear(HIDDEN * GRID * GRID, WIDTH)
        self.codes = nn.Linear(WIDTH, COMPENSATED * CODE_SIZE)
        self.noise = nn.Conv2d(CHANNELS[NOISE_LAYER] + HIDDEN, 1, 3, 1, 1)
        for last in (self.codes, self.noise):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, faces: Tensor, state: RecurrentState) -> RecurrentState:
        """The next state, which holds w'_t and n_t.

        faces: (B, 12, 256, 256) in [-1, 1]: the aligned face before and now, the last inverted and the last edited
        face. Raises ShapeError for another shape, or a state of another batch.
        """
        if faces.ndim != 4 or faces.shape[1:] != (12, FACE_SIZE, FACE_SIZE):
            raise ShapeError(f"expected faces of shape (B, 12, {FACE_SIZE}, {FACE_SIZE}), got {tuple(faces.shape)}")
        if state.hidden.shape[0] != faces.shape[0]:
            raise ShapeError(f"expected a state of {faces.shape[0]} faces, got one of {state.hidden.shape[0]}")
        # In another precision the differences are still those of float32: they are small beside the values.
        x, local = (part.to(self.codes.weight.dtype) for part in (_differences(faces), faces))
        for number, conv in enumerate(self.convs):
            x = conv(x)
            if number == NOISE_LAYER:
                local = x
        hidden, cell = self.memory(x, state.hidden, state.cell)
        wide = F.interpolate(hidden, size=NOISE_SIZE, mode="bilinear", align_corners=False).to(local.dtype)
        noise = self.noise(torch.cat([local, wide], 1)).float()
        codes = self.codes(F.leaky_relu(self.hidden(hidden.flatten(1).to(local.dtype)), SLOPE) * GAIN).float()
        step = F.pad(codes.unflatten(1, (COMPENSATED, CODE_SIZE)), (0, 0, 0, CODES - COMPENSATED))
        return RecurrentState(
            hidden,
            cell,
            _bound(CODE_LEAK * state.compensation + CODE_STEP * step, CODE_BOUND),
            _bound(NOISE_LEAK * state.noise + NOISE_STEP * noise, NOISE_BOUND),
        )


def _differences(faces: Tensor) -> Tensor:
    """The same twelve channels as the frame now, its motion, what the inversion missed, and what the edit changed.

    A linear change of basis: the first convolution could learn it, but what matters are small differences of large
    values.
    """
    before, now, inverted, edited = faces.chunk(4, 1)
    return torch.cat([now, 2 * (now - before), 2 * (now - inverted), 2 * (edited - inverted)], 1)


def _bound(values: Tensor, bound: float) -> Tensor:
    return bound * torch.tanh(values / bound)


def load_recurrent_encoder(path: Path = WEIGHTS) -> RecurrentEncoder:
    """The shipped recurrent encoder, or another of the same architecture, frozen, in evaluation mode, float32."""
    return load_safetensors(unfilled(RecurrentEncoder), path)
