"""Motion by landmarks: the edit directions and principal moves whose effect on this very face is the driver's motion.

Each face moves by its own amount along a direction, and the more closely it was fitted, the less. So the effect of
every move on the features of `face_motion` is measured once for each portrait, by drawing it (a Jacobian), and every
frame then is a small bounded least-squares problem. What the drawn face still lacks is measured on it and corrected in
the frames that follow, as a controller does: the problem is linear, faces are not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.optimize import lsq_linear
from torch import Tensor

from ...models.arrays import Float64Array, Points
from ...models.directions.directions import Direction
from ...models.dynamics.motion_model import MotionModel
from ...models.generator.generator import Generator
from ...stream.frame import Pixels
from ..common.errors import PipelineError
from ..common.tensors import to_levels
from ..inversion.code_sampling import EXPRESSIONS
from .face_motion import MeasuredFace, feature_weights, features

SHAPED_BY: Final = 8
"""Codes from this one on hold colours and texture; principal moves leave them alone."""
MOVES: Final = 24
REACH: Final = 2.0
"""Factor of a direction's measured range, within which strengths stay."""
RIDGE: Final = 0.05
"""Weight of a strength of 1 (a move of its usual size) beside a crop pixel of every landmark."""
GAIN: Final = 0.5
FORGET: Final = 0.9

Look = Callable[[Pixels], MeasuredFace | None]
"""(256, 256, 3) drawn face -> what is measured on it; None where no face is found."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Known moves.

    Attributes:
        moves: (K, codes, 512), what a strength of 1 adds.
        bounds: (K,), strengths stay within.
        usual: (K,), strengths that are usual, and at which effects are measured.
    """

    moves: Tensor
    bounds: Float64Array
    usual: Float64Array

    def first(self, count: int) -> "Basis":
        """The first moves alone."""
        return Basis(self.moves[:count], self.bounds[:count], self.usual[:count])


def make_basis(directions: Mapping[str, Direction], motion: MotionModel, count: int = MOVES) -> Basis:
    """Directions that move a face, then the principal moves of real clips, of their usual size each."""
    chosen = [directions[name] for name in EXPRESSIONS if name in directions]
    if not chosen:
        raise PipelineError("none of the directions that move a face is there; reinstall the package")
    rows = [one.offset(1.0) for one in chosen]
    bounds = [REACH * max(abs(one.low), abs(one.high)) for one in chosen]
    usual = [1.0] * len(rows)
    codes = len(rows[0])
    principal = motion.basis[:count].unflatten(1, (motion.codes, motion.size)).clone()[:, :codes]
    principal[:, SHAPED_BY:] = 0
    spread = motion.log_scale[:count].detach().exp().clamp(0.3, 3.0)
    rows += list(principal * spread[:, None, None])
    bounds += [3.0] * len(principal)
    usual += [1.0] * len(principal)
    return Basis(torch.stack(rows), np.array(bounds), np.array(usual))


@dataclass(frozen=True, slots=True, eq=False)
class MovedState:
    """Of one animated face.

    Attributes:
        strengths: (K,) of the last frame, and what was asked of it, (F,); None before the first.
        correction: (K,) that drawn faces asked for so far.
    """

    correction: Float64Array
    strengths: Float64Array | None = None
    asked: Float64Array | None = None


class LandmarkMotion:
    """Moves one face, whose code is z. It holds what was measured about it, and no state."""

    def __init__(self, basis: Basis, own: MeasuredFace, effects: Float64Array) -> None:
        """effects: (F, K), of a strength of 1 on the features of `own`, the drawn face."""
        self.basis, self.own = basis, own
        self._weights = feature_weights()
        self._landmarks = effects[: 2 * 478]
        weighted = self._weights[:, None] * effects
        ridge = np.sqrt(RIDGE) * np.diag(1 / basis.usual)
        self._system = np.concatenate([weighted, ridge])
        left, size, right = np.linalg.svd(self._system, full_matrices=False)
        self._reduce = left.T
        self._reduced = size[:, None] * right

    def start(self) -> MovedState:
        """Before the first frame."""
        return MovedState(np.zeros(len(self.basis.bounds)))

    def step(self, state: MovedState, asked: Float64Array) -> tuple[Tensor, MovedState]:
        """(what is added to z (codes, 512), the new state). asked: (F,), a `change`."""
        strengths = np.clip(self._solve(asked) + state.correction, -self.basis.bounds, self.basis.bounds)
        moved = torch.einsum("k,kcd->cd", torch.from_numpy(strengths).float(), self.basis.moves)
        return moved, MovedState(state.correction, strengths, asked)

    def change(self, asked: Float64Array) -> Points:
        """(478, 2) crop pixels by which landmarks are expected to move. asked: as in `step`."""
        strengths = np.clip(self._solve(asked), -self.basis.bounds, self.basis.bounds)
        return np.asarray((self._landmarks @ strengths).reshape(478, 2))

    def correct(self, state: MovedState, drawn: MeasuredFace | None) -> MovedState:
        """The state after the frame was drawn, and measured."""
        if drawn is None or state.asked is None:
            return MovedState(FORGET * state.correction, state.strengths, state.asked)
        missed = state.asked - (features(drawn) - features(self.own))
        correction = FORGET * state.correction + GAIN * self._solve(missed)
        limit = self.basis.bounds / 2
        return MovedState(np.clip(correction, -limit, limit), state.strengths, state.asked)

    def _solve(self, asked: Float64Array) -> Float64Array:
        wanted = self._reduce @ np.concatenate([self._weights * asked, np.zeros(len(self.basis.bounds))])
        found = np.linalg.solve(self._reduced, wanted)
        if (np.abs(found) <= self.basis.bounds).all():
            return np.asarray(found)
        return np.asarray(lsq_linear(self._reduced, wanted, (-self.basis.bounds, self.basis.bounds)).x)


def measure_effects(
    code: Tensor,
    generator: Generator,
    basis: Basis,
    look: Look,
    progress: Callable[[int], None] = lambda _moves: None,
) -> tuple[MeasuredFace, Float64Array]:
    """(the drawn face, (F, K) effect of a strength of 1 of every move). code: (codes, 512).

    Directions are measured to both sides, since lids and lips go further one way than the other. Raises PipelineError
    where no face is found in the drawing.
    """

    def drawn(codes: Tensor) -> MeasuredFace | None:
        with torch.inference_mode():
            return look(to_levels(generator.synthesize(codes[None], size=256))[0].round().astype(np.uint8))

    own = drawn(code)
    if own is None:
        raise PipelineError("no face is found in the drawing of the portrait; take a picture with a clearer face")
    at_rest = features(own)
    columns: list[Float64Array] = []
    for number, (move, usual) in enumerate(zip(basis.moves, basis.usual, strict=True)):
        sides = (usual, -usual) if number < len(EXPRESSIONS) else (usual,)
        effects = []
        for strength in sides:
            seen = drawn(code + strength * move)
            if seen is not None:
                effects.append((features(seen) - at_rest) / strength)
        columns.append(np.mean(effects, axis=0) if effects else np.zeros_like(at_rest))
        progress(number + 1)
    return own, np.stack(columns, 1) if columns else np.zeros((len(at_rest), 0))
