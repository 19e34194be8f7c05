"""The state of a face's codes in a stream, and its update by a new frame.

There are two ways: an average of E0's codes (`steady`), and RIGID's recurrent encoder (arXiv 2308.06097, eq. 1-5). For
the latter this file has the parts around the network. Codes of motion follow E0 and are compensated, codes of texture
are shared over frames, and a state that is no longer valid is reset.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import FloatImage
from ...models.encoders.recurrent_encoder import RecurrentState
from ...stream.frame import Pixels
from ..motion.keyframes import MotionMemory

SHARED_FROM: Final = 10
"""Index of the first code of texture, not motion (RIGID, eq. 3-5): the last eight of 18, the last four of 14."""
FINE_SECONDS = 1.0
COARSE_SECONDS = 0.25

BASE_SECONDS: Final = 0.08
"""Seconds of the average of E0's codes under the recurrent encoder, which needs less smoothing than E0 alone."""
GAP_SECONDS: Final = 0.4
"""Longest gap, in seconds, over which motion is predicted: about ten frames at 30 a second."""
REMEMBERED_SECONDS: Final = 1.5
"""A face that was not drawn for so many seconds starts again. Live on two cores a face is drawn about four times a
second, and a start takes three drawings. A correction is mostly about identity, which does not change meanwhile."""
FADE_SECONDS: Final = 0.5
OTHER_PERSON: Final = 0.9
"""E0's codes this far from their average, as a share of the average's own distance from the mean face, belong to
another person. In twelve clips no frame was further than 0.73 from its clip's mean, and 95 of 100 pairs of people were
further than 0.98 apart."""

Sharing = Literal["slow", "first", "none"]
Step = Literal["new", "held", "next"]


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentMemory:
    """State of the recurrent encoder from the frames before.

    Attributes:
        base: (codes, 512), E0's codes lightly averaged.
        shared: (codes - 10, 512), its texture, see `Parts.sharing`.
        fading: (codes - 10, 512) texture as drawn before a reset; the new one replaces it over FADE_SECONDS from the
            time `since`. None without a fade.
        state: of the network, a batch of one.
        face: (256, 256, 3) uint8, the aligned face of the last frame.
        inverted, edited: (256, 256, 3) float32 in 0..255, drawn for it. They are not rounded: a rounding that
            differs in a batch would feed back through the network.
    """

    base: Tensor
    shared: Tensor
    fading: Tensor | None
    since: float
    state: RecurrentState
    face: Pixels
    inverted: FloatImage
    edited: FloatImage

    def finite(self) -> bool:
        """Whether every number in it is finite."""
        kept = [self.base, self.shared] + ([] if self.fading is None else [self.fading])
        return self.state.finite() and all(bool(torch.isfinite(codes).all()) for codes in kept)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceMemory:
    """What `RecurrentMemory` holds, of a face that stays on a device, and what is drawn of it.

    Attributes:
        codes: (codes, 512) to draw.
        noise: (1, 1, 32, 32) to draw them with, None without that part.
        base, shared, fading, since, state: as of `RecurrentMemory`.
        face: (3, 256, 256) in [-1, 1], of the last frame.
        drawn: (6, 256, 256), the inversion and the edit of it.
    """

    codes: Tensor
    noise: Tensor | None
    base: Tensor
    shared: Tensor
    fading: Tensor | None
    since: float
    state: RecurrentState
    face: Tensor
    drawn: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LatentState:
    """State of a face's codes.

    Attributes:
        codes: (codes, 512) drawn for the last frame.
        seconds: its time.
        recurrent: state of the recurrent encoder, None with E0 alone.
        motion: state of the codes' motion, None if each frame is encoded.
        device: state of the recurrent encoder where pictures stay on a device, None elsewhere.
    """

    codes: Tensor
    seconds: float
    recurrent: RecurrentMemory | None = None
    motion: MotionMemory | None = None
    device: DeviceMemory | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The active parts of the recurrent method; all by default, fewer for an ablation.

    Attributes:
        compensation: the code w'_t.
        noise: the map n_t.
        sharing: of E0's codes from index 10 on: "slow", an average over FINE_SECONDS from the first frame on, to
            which w'_t is added; "first", the first frame's codes with its correction for all frames, as in RIGID;
            "none".
    """

    compensation: bool = True
    noise: bool = True
    sharing: Sharing = "slow"


def steady(state: LatentState | None, codes: Tensor, seconds: float) -> LatentState:
    """The next frame's codes, (codes, 512), averaged with what came before: for E0 alone.

    Codes of motion are averaged over about a frame, which removes the encoder's jitter. Those from index 10 on are
    averaged over a second, since texture does not move: RIGID's latent frequency sharing with a slow mean.
    """
    if state is None:
        return LatentState(codes, seconds)
    elapsed = max(0.0, seconds - state.seconds)
    shares = torch.full((codes.shape[0], 1), share(elapsed, COARSE_SECONDS), dtype=codes.dtype)
    shares[SHARED_FROM:] = share(elapsed, FINE_SECONDS)
    return LatentState(torch.lerp(state.codes, codes, shares.to(codes.device)), seconds)


def share(elapsed: float, seconds: float) -> float:
    """Weight of a new value in an exponential average over `seconds`, after `elapsed`; both in seconds."""
    return 1 - math.exp(-max(0.0, elapsed) / seconds)


def sharing_share(elapsed: float, sharing: Sharing) -> float:
    """Weight of a frame's own texture in the shared one, 0..1."""
    return {"slow": share(elapsed, FINE_SECONDS), "first": 0.0, "none": 1.0}[sharing]


def combine(base: Tensor, shared: Tensor, compensation: Tensor | None, *, everywhere: bool = True) -> Tensor:
    """(..., codes, 512) to draw: w_t + w'_t for codes of motion, the shared ones elsewhere (RIGID eq. 2 and 5).

    everywhere: whether w'_t is added to the shared codes, too.
    """
    codes = torch.cat([base[..., :SHARED_FROM, :], shared], -2)
    if compensation is None:
        return codes
    if everywhere:
        return codes + compensation
    return torch.cat([codes[..., :SHARED_FROM, :] + compensation[..., :SHARED_FROM, :], shared], -2)


def judge(memory: LatentState | None, face: Pixels, codes: Tensor, seconds: float, mean: Tensor | None) -> Step:
    """How a frame relates to a face's state.

    face: (256, 256, 3) uint8. codes: (codes, 512) of E0. mean: (512,), of W; None leaves the person unchecked.

    "held": no new information: the same picture again, or one from before the last, out of order. The codes stay.
    "new": the state does not apply: it is missing, the gap is too long in either direction, another person is in the
    face's place, or a number in the state is not finite.
    "next": any other frame.
    """
    kept = None if memory is None else memory.recurrent
    if memory is None or kept is None or abs(seconds - memory.seconds) > REMEMBERED_SECONDS or not kept.finite():
        return "new"
    if seconds <= memory.seconds or np.array_equal(face, kept.face):
        return "held"
    return "new" if mean is not None and is_another(kept.base, codes, mean) else "next"


def is_another(base: Tensor, codes: Tensor, mean: Tensor) -> bool:
    """Whether E0's codes, (codes, 512), are so far from their average that they are another person's."""
    size = (base - mean).square().mean().clamp_min(1e-6)
    return bool(((codes - base).square().mean() / size).sqrt() > OTHER_PERSON)


def cross_fade(fading: Tensor | None, since: float, codes: Tensor, seconds: float) -> tuple[Tensor, Tensor | None]:
    """(codes to draw, the texture from before the reset until its fade ends). codes: (codes, 512) after the reset."""
    weight = (seconds - since) / FADE_SECONDS
    if fading is None or weight >= 1:
        return codes, None
    texture = torch.lerp(fading, codes[SHARED_FROM:], max(0.0, weight))
    return torch.cat([codes[:SHARED_FROM], texture]), fading
