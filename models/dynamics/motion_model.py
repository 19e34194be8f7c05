"""The motion model of face codes, learned across clips: a mixture of linear equations of motion.

Every channel of a code is the sum of a constant (the content code of VidStyleODE, arXiv 2304.06020), motions of
different time constants, and the encoder's jitter:

    y(t) = m + sum_j x_j(t) + noise,    dx_j/dt = A_j x_j + white noise

Each x_j is a critically damped spring of time constant tau_j: a Matern 3/2 process (Hartikainen & Sarkka, "Kalman
filtering and smoothing solutions to temporal Gaussian process regression models", 2010). Channels are the leading
directions in which codes of any face move, each with strengths of its own, and what is left of each of the codes.

Faces differ in liveliness, and encoders in jitter. So each equation exists in several motion models, the components of
a mixture: slower or faster, with less or more noise. Their weights follow from how well each has predicted the stream
so far.
"""

import math
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..formats.checkpoint import load_state, read_safetensors

WEIGHTS = Path(__file__).parents[1] / "weights" / "dynamics.safetensors"

TAUS: Final = (0.05, 0.15, 0.5, 1.6)
"""Seconds: from a blink and a syllable to a turn of the head."""
STATE: Final = 1 + 2 * len(TAUS)
"""Numbers remembered of a channel: its constant, and place and scaled speed of each motion."""
CONTENT_SPREAD: Final = 30.0
"""Variance of the constants between people, in units of the variance of motion; large, so that it is soon forgotten."""
CONTENT_DRIFT: Final = 0.01
"""By how much of the motion's variance the constant may drift in a second."""

COMPONENTS: Final = tuple((stretch, noise) for stretch in (0.5, 1.0, 2.0, 4.0, 8.0) for noise in (0.1, 1.0, 4.0))
"""Of the leading channels: (factor of every tau, factor of the noise); (1, 1) are the learned constants themselves."""
REST_COMPONENTS: Final = ((2.0, 0.1), (1.0, 1.0), (4.0, 1.0))


class MotionModel(nn.Module):
    """Learned constants of the motion of codes: `codes` of `size` numbers each, of which `leading` channels stand out.

    Groups of channels share their constants: first each leading channel by itself, then the rest of each code.
    """

    basis: Tensor
    rates: Tensor
    components: Tensor
    rest_tempers: Tensor

    def __init__(self, codes: int = 18, size: int = 512, leading: int = 48) -> None:
        super().__init__()
        self.codes, self.size, self.leading = codes, size, leading
        self.groups = leading + codes
        self.register_buffer("basis", torch.zeros(leading, codes * size))
        self.register_buffer("rates", math.sqrt(3) / torch.tensor(TAUS), persistent=False)
        self.register_buffer("components", torch.tensor(COMPONENTS), persistent=False)
        self.register_buffer("rest_tempers", torch.tensor(REST_COMPONENTS), persistent=False)
        self.log_shares = nn.Parameter(torch.zeros(self.groups, len(TAUS)))
        self.log_noise = nn.Parameter(torch.full((self.groups,), -2.0))
        self.log_scale = nn.Parameter(torch.zeros(self.groups))

    def shares(self) -> Tensor:
        """(groups, J): variance of each motion; they add up to one."""
        return self.log_shares.softmax(-1)

    def noise(self) -> Tensor:
        """(groups,): variance of the encoder's jitter, in units of the variance of the motion."""
        return self.log_noise.clamp(-8, 3).exp()

    def stationary(self) -> Tensor:
        """(groups, STATE): variance of each number long after the last observation, that of the constant left zero."""
        shares = self.shares()
        return torch.cat([torch.zeros_like(shares[:, :1]), shares.repeat_interleave(2, 1)], 1)

    def transition(self, elapsed: Tensor, stretches: Tensor) -> Tensor:
        """elapsed: (...,) seconds, stretches: (M,) -> (..., M, STATE, STATE), the equations solved over that time."""
        angle = elapsed[..., None, None] * self.rates.to(elapsed) / stretches.to(elapsed)[:, None]
        decay = (-angle).exp()
        out = elapsed.new_zeros(*angle.shape[:-1], STATE, STATE)
        out[..., 0, 0] = 1.0
        place = torch.arange(1, STATE, 2, device=elapsed.device)
        out[..., place, place] = decay * (1 + angle)
        out[..., place, place + 1] = decay * angle
        out[..., place + 1, place] = -decay * angle
        out[..., place + 1, place + 1] = decay * (1 - angle)
        return out

    def prior(self) -> Tensor:
        """(groups, STATE, STATE): covariance before anything is observed."""
        variance = self.stationary().clone()
        variance[:, 0] = CONTENT_SPREAD
        return torch.diag_embed(variance)

    def project(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """codes (..., codes, size) -> leading channels (..., D), and what is left of the codes."""
        flat = codes.flatten(-2)
        leading = flat @ self.basis.T
        return leading, (flat - leading @ self.basis).unflatten(-1, (self.codes, self.size))

    def restore(self, leading: Tensor, rest: Tensor) -> Tensor:
        """The codes of both parts, (..., codes, size)."""
        stands_out: Tensor = (leading @ self.basis).unflatten(-1, (self.codes, self.size))
        return rest + stands_out


def load_motion(path: Path = WEIGHTS) -> MotionModel:
    """The shipped model, or another; its sizes are read from the file. Raises WeightsError."""
    state = read_safetensors(path)
    try:
        leading = state["basis"].shape[0]
        codes = state["log_noise"].shape[0] - leading
        size = state["basis"].shape[1] // codes
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise WeightsError(
            f"{path} is not a model of motion ({error}); `dynstream train dynamics` makes one"
        ) from error
    return load_state(MotionModel(codes, size, leading), {k: v.float() for k, v in state.items()}, str(path))
