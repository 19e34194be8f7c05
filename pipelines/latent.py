"""What a stream remembers of a face's codes, and how it steadies them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SHARED_FROM = 10  # codes from here on carry texture, not motion (RIGID, arXiv 2308.06097, eq. 3-5)
FINE_SECONDS = 1.0
COARSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class LatentState:
    """codes: (codes, 512) steadied codes of the last frame. seconds: its time."""

    codes: Tensor
    seconds: float


def steady(state: LatentState | None, codes: Tensor, seconds: float) -> LatentState:
    """The next frame's codes, (codes, 512), averaged with what came before.

    Codes that carry motion are averaged over a frame or so, which takes the encoder's shiver; those from index 10 on
    over a second, since texture does not move: RIGID's latent frequency sharing with a slow mean.
    """
    if state is None:
        return LatentState(codes, seconds)
    elapsed = max(0.0, seconds - state.seconds)
    shares = torch.full((codes.shape[0], 1), 1 - math.exp(-elapsed / COARSE_SECONDS), dtype=codes.dtype)
    shares[SHARED_FROM:] = 1 - math.exp(-elapsed / FINE_SECONDS)
    return LatentState(torch.lerp(state.codes, codes, shares.to(codes.device)), seconds)
