"""Keyframed encoding: when the encoder is due, and prediction of the codes between its frames from landmarks.

The landmarks are found in every frame anyway. Motion of head, mouth and lids moves both the landmarks and the coarse
codes. A linear map from the motion of landmarks to that of codes is learned from the encoded frames while the stream
runs, and applied between them. Its output is an observation like the encoder's, with a larger variance.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from ..common.errors import OptionError
from .online_predictor import DynamicsState, OnlineDynamics

POINTS: Final = (0, 13, 14, 17, 33, 61, 65, 105, 133, 145, 152, 159, 263, 291, 295, 334, 362, 374, 386, 4)
"""Mesh points: lips, chin, lids, brows, nose; in the aligned crop, without the head's place and size."""
FEATURES: Final = 2 * len(POINTS) + 1
FORGET_SECONDS: Final = 20.0
RIDGE: Final = 3.0
"""Ridge weight of the map, in units of the landmarks' own mean square: a smaller one would follow their jitter."""
LEAST: Final = 12
"""Encoded frames before the map is used."""
DOUBT: Final = 6.0
"""Least noise of a code from landmarks, in units of the encoder's."""

MOST_EVERY: Final = 8
Every = int | Literal["auto"]


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkMap:
    """Recursive least squares from landmark features to leading channels, with its past error.

    Attributes:
        mean: (F,) and mean_leading: (D,) running means.
        gram: (F, F), cross: (F, D) sums about them.
        missed: () share of the motion that it did not explain, 0..1 and more.
        seen: () number of frames.
        seconds: () time of the last.
    """

    mean: Tensor
    mean_leading: Tensor
    gram: Tensor
    cross: Tensor
    missed: Tensor
    seen: Tensor
    seconds: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MotionMemory:
    """State of the motion of a face's codes, on the CPU.

    Attributes:
        landmarks: None if no mesh was found.
        key: (codes, size) of the last encoded frame.
        since: frames after it.
        usual: uncertainty right after it.
        held, foretold: mean squared errors of holding the key and of predicting, against frames that were then
            encoded, summed with less weight for older ones.
    """

    dynamics: DynamicsState
    landmarks: LandmarkMap | None
    key: Tensor
    since: int
    usual: float
    held: float = 0.0
    foretold: float = 0.0

    @property
    def predicts(self) -> bool:
        """Whether predicting has had a smaller error than holding."""
        return self.foretold < self.held


def features(landmarks: Tensor) -> Tensor:
    """(478, 2) mesh landmarks in crop pixels -> (F,): the chosen points about the crop's middle, in its size, and 1."""
    chosen = landmarks[list(POINTS)].flatten().float() / 256 - 0.5
    return torch.cat([chosen, torch.ones(1)])


def begin_map(updater: OnlineDynamics, seconds: float, landmarks: Tensor, codes: Tensor) -> LandmarkMap:
    """The map after the first encoded frame."""
    x, (leading, _) = features(landmarks), updater.model.project(codes)
    return LandmarkMap(
        x, leading, torch.zeros(FEATURES, FEATURES), torch.zeros(FEATURES, len(leading)), torch.ones(()),
        torch.ones(()), torch.tensor(seconds, dtype=torch.float64),
    )  # fmt: skip


def learn(known: LandmarkMap, updater: OnlineDynamics, seconds: float, landmarks: Tensor, codes: Tensor) -> LandmarkMap:
    """The map after one more encoded frame; its own prediction of that frame is scored first."""
    if not torch.isfinite(codes).all():
        return known
    x, (leading, _) = features(landmarks), updater.model.project(codes)
    keep = math.exp(-max(0.0, seconds - float(known.seconds)) / FORGET_SECONDS)
    share = torch.clamp(1 / (known.seen + 1), min=1 - keep)
    away, moved = x - known.mean, leading - known.mean_leading
    missed = known.missed
    if float(known.seen) >= LEAST / 2:
        wrong = (read(known, landmarks) - leading).square().sum() / moved.square().sum().clamp_min(1e-9)
        missed = torch.lerp(missed, wrong.clamp(max=2.0), torch.tensor(0.1))
    return replace(
        known,
        mean=known.mean + share * away,
        mean_leading=known.mean_leading + share * moved,
        gram=keep * known.gram + torch.outer(away, away),
        cross=keep * known.cross + torch.outer(away, moved),
        missed=missed,
        seen=known.seen + 1,
        seconds=torch.tensor(seconds, dtype=torch.float64),
    )


def read(known: LandmarkMap, landmarks: Tensor) -> Tensor:
    """(D,) leading channels predicted from the landmarks."""
    scale = known.gram.diagonal().mean().clamp_min(1e-9)
    weights = torch.linalg.solve(known.gram + RIDGE * scale * torch.eye(FEATURES), known.cross)
    moved: Tensor = (features(landmarks) - known.mean) @ weights
    return known.mean_leading + moved


def propagate(
    updater: OnlineDynamics, state: DynamicsState, known: LandmarkMap, seconds: float, landmarks: Tensor
) -> DynamicsState:
    """The state after a frame that is not encoded; unchanged until the map is accurate enough.

    The rest of the codes is left to the prediction: landmarks do not determine it.
    """
    if float(known.seen) < LEAST or float(known.missed) > 0.8:
        return state
    elapsed = torch.tensor(max(0.0, seconds - float(state.seconds)))
    _, rest = updater.foresee(state, elapsed)
    doubt = DOUBT * (1 + 4 * float(known.missed))
    leading = read(known, landmarks)
    return updater.see(state, torch.tensor(seconds, dtype=torch.float64), leading, rest, doubt)


def is_due(
    every: Every,
    since: int,
    uncertainty: float,
    usual: float,
    *,
    spent: float = 0.0,
    budget: float = math.inf,
) -> bool:
    """Whether to encode this frame.

    every: frames from one encoded frame to the next, or "auto". since: frames since the last encoded one.
    uncertainty: result of `predict` for this frame. usual: its result right after an encoded frame. spent: seconds
    that this frame has taken. budget: seconds that it may take.

    "auto" encodes when the uncertainty has doubled, waits if the budget is spent, and never waits for more than eight
    frames. Raises ValueError for an `every` below 1.
    """
    if every == "auto":
        if since >= MOST_EVERY:
            return True
        return uncertainty > (2.0 if spent < budget else 4.0) * usual
    if every < 1:
        raise ValueError(f"expected to encode every frame or every K-th, got {every}")
    return since >= every


def parse_every(text: str, name: str) -> Every:
    """`auto` or a number of 1 or more. name: of the option. Raises OptionError."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{name}: expected auto or a number of frames of 1 or more, got {text!r}")
    return int(text)
