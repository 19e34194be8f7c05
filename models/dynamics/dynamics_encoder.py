"""VidStyleODE's dynamics encoder f_D: frames of a face -> an 8x8 map of its motion (arXiv 2304.06020, sec. 3.2).

A small ResNet looks at each frame by itself. A convolutional GRU then goes over the maps. Between two frames its state
moves on by one Euler step of a field of its own, h <- h + dt g(h), so that it knows how much time has passed.

Backwards over a window, it gives the state at the window's first frame, from which the latent ODE starts. Forwards,
state in and state out, it is a filter that each new frame corrects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ShapeError

FRAME: Final = 128
"""Height and width of the frames that it sees, aligned as FFHQ."""
CELLS: Final = 8
"""Height and width of the maps."""
MEAN_SHARE: Final = 0.05
"""Of a step's frames in the mean map."""
TIME_UNIT: Final = 4.0
"""Seconds in one unit of the model's time: 100 frames at 25 a second, as in the paper."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first has a stride of two."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=2, padding=1)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1)
        self.norm = nn.GroupNorm(8, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) -> (B, outside, H/2, W/2)."""
        inner = self.second(F.silu(self.norm(self.first(x))))
        return F.silu(inner + self.skip(F.avg_pool2d(x, 2)))


class FrameEncoder(nn.Module):
    """One frame -> its map, of one length at each place: a root mean square of 1. Four halvings, 128 to 8.

    The mean map of the frames seen in training is subtracted first: all faces look alike at 8x8, and what differs from
    frame to frame would be a small part of a map of one length.
    """

    mean: Tensor

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != 4 or any(width % 8 for width in widths):
            raise ShapeError(f"expected four widths that 8 divides, got {list(widths)}")
        self.blocks = nn.ModuleList(
            ResidualBlock(inside, outside) for inside, outside in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.out = nn.Conv2d(widths[-1], channels, 1)
        self.register_buffer("mean", torch.zeros(channels, CELLS, CELLS))

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, 3, 128, 128) in [-1, 1] -> (B, C, 8, 8). Raises ShapeError for another size."""
        if frames.ndim != 4 or frames.shape[1:] != (3, FRAME, FRAME):
            raise ShapeError(f"expected frames of shape (B, 3, {FRAME}, {FRAME}), got {tuple(frames.shape)}")
        x = frames
        for block in self.blocks:
            x = block(x)
        x = self.out(x)
        if self.training:
            self.mean.lerp_(x.detach().mean(0), MEAN_SHARE)
        length: float = x.shape[1] ** 0.5
        return F.normalize(x - self.mean, dim=1) * length


class ConvField(nn.Module):
    """An autonomous field of a map, 3x3 convolutions with tanh between them; it starts at zero, so nothing moves.

    size: C. hidden: channels inside. layers: convolutions inside. order: 1, or 2 for a state (z, dz/dt) of 2 C.
    """

    def __init__(self, size: int, hidden: int, *, layers: int = 1, order: int = 1) -> None:
        super().__init__()
        if order not in (1, 2):
            raise ShapeError(f"expected an order of 1 or 2, got {order}")
        self.size, self.order = size, order
        parts: list[nn.Module] = []
        inside = order * size
        for _ in range(layers):
            parts += [nn.Conv2d(inside, hidden, 3, padding=1), nn.Tanh()]
            inside = hidden
        self.inner = nn.Sequential(*parts)
        self.out = nn.Conv2d(inside, size, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def forward(self, state: Tensor) -> Tensor:
        """state: (B, order C, 8, 8) -> its change per unit of time, of the same shape."""
        change: Tensor = self.out(self.inner(state))
        return change if self.order == 1 else torch.cat([state[:, self.size :], change], 1)


@dataclass(frozen=True, slots=True, eq=False)
class FilterState:
    """What the recurrent cell remembers of B streams.

    Attributes:
        hidden: (B, H, 8, 8).
        seconds: (B,) time of the last frame.
    """

    hidden: Tensor
    seconds: Tensor


class RecurrentMap(nn.Module):
    """A 3x3 convolutional GRU over maps at irregular times, with a field between them."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 2 * hidden, 3, padding=1)
        self.candidate = nn.Conv2d(channels + hidden, hidden, 3, padding=1)
        self.field = ConvField(hidden, hidden)
        self.out = nn.Sequential(nn.Conv2d(hidden, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, out, 1))

    def start(self, count: int, like: Tensor) -> FilterState:
        """Streams before their first frame. like: of the maps' type and device."""
        return FilterState(like.new_zeros(count, self.hidden, CELLS, CELLS), like.new_full((count,), torch.nan))

    def step(self, state: FilterState, seen: Tensor, seconds: Tensor, given: Tensor | None = None) -> FilterState:
        """Correct the state by one more map.

        seen: (B, C, 8, 8). seconds: (B,), later or earlier than the state's. given: (B,) bool, which streams have this
        frame; for the others the state stays as it is, its time included.
        """
        elapsed = ((seconds - state.seconds) / TIME_UNIT).nan_to_num(0.0)[:, None, None, None].to(state.hidden)
        before = state.hidden + elapsed * self.field(state.hidden)
        both = torch.cat([seen, before], 1)
        update, reset = self.gates(both).sigmoid().chunk(2, 1)
        proposed = self.candidate(torch.cat([seen, reset * before], 1)).tanh()
        after = before + update * (proposed - before)
        if given is None:
            return FilterState(after, seconds)
        return FilterState(
            torch.where(given[:, None, None, None], after, state.hidden), torch.where(given, seconds, state.seconds)
        )


class DynamicsEncoder(nn.Module):
    """f_D: `frames` to maps, `window` backwards to z_d0, and the causal filter `step`, which shares the ResNet."""

    def __init__(self, channels: int, widths: Sequence[int], state: int) -> None:
        super().__init__()
        self.frames = FrameEncoder(channels, widths)
        self.backward_map = RecurrentMap(channels, channels, state)
        self.causal_map = RecurrentMap(channels, channels, state)

    def window(self, maps: Tensor, seconds: Tensor, given: Tensor | None = None) -> Tensor:
        """z_d0, the motion's state at each window's first frame that is given.

        maps: (B, T, C, 8, 8) of `frames`. seconds: (B, T), rising. given: (B, T) bool, False for frames left out.
        Returns (B, S, 8, 8). Raises ShapeError for a window without a frame.
        """
        if maps.ndim != 5 or seconds.shape != maps.shape[:2]:
            raise ShapeError(f"expected maps (B, T, C, 8, 8) and seconds (B, T), got {maps.shape} and {seconds.shape}")
        if given is not None and (given.shape != seconds.shape or not given.any(1).all()):
            raise ShapeError("expected a mask (B, T) that leaves every window at least one frame")
        cell, state = self.backward_map, self.backward_map.start(len(maps), maps)
        for frame in reversed(range(maps.shape[1])):
            state = cell.step(state, maps[:, frame], seconds[:, frame], None if given is None else given[:, frame])
        z: Tensor = cell.out(state.hidden)
        return z

    def start(self, count: int, like: Tensor) -> FilterState:
        """Streams before their first frame, for `step`."""
        return self.causal_map.start(count, like)

    def step(self, state: FilterState, frames: Tensor, seconds: Tensor) -> tuple[Tensor, FilterState]:
        """One frame (B, 3, 128, 128) of each stream at (B,) seconds -> (z_d (B, S, 8, 8), the new state)."""
        return self.correct(state, self.frames(frames), seconds)

    def correct(self, state: FilterState, maps: Tensor, seconds: Tensor) -> tuple[Tensor, FilterState]:
        """As `step`, of frames that were encoded already: (B, C, 8, 8)."""
        after = self.causal_map.step(state, maps, seconds)
        return self.causal_map.out(after.hidden), after
