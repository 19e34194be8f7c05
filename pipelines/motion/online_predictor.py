"""Online prediction of a face's codes: a Kalman-type state that observations correct, readable at any time.

`predict` and `observe` do not change their arguments. A state is a handful of tensors: it can be stacked over streams
(`stack`), moved between devices and saved.

Input that is out of order is not an error in a live stream: an observation of the past counts as one of the present,
and codes that are not finite are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import torch
from torch import Tensor

from ...models.dynamics.motion_model import COMPONENTS, CONTENT_DRIFT, REST_COMPONENTS, STATE, MotionModel

READ: Final = tuple(1.0 if place == 0 or place % 2 else 0.0 for place in range(STATE))
"""The code is the constant plus the position of each motion; speeds are not observed."""
KEPT: Final = 0.98
"""Share of the past errors that is kept at each observation: about the last 50 count."""
GHOST_SECONDS: Final = 0.06
"""Components are scored by their predictions at least this many seconds ahead: one frame ahead they differ too little,
and far ahead chance dominates."""
GHOST_COLUMNS: Final = 8
"""Numbers of the rest of each code by which its components are scored."""

TRUST: Final = 16.0
"""A component whose errors are a tenth larger (in the mean square) counts for 0.9^16, about a fifth."""
TRUST_SHARED: Final = 8.0
TRUST_OWN: Final = 4.0
"""Leading channels weigh components by the errors of all of them, and less so by their own: a mouth is quicker than a
head, but one channel's errors are few."""


@dataclass(frozen=True, slots=True, eq=False)
class DynamicsState:
    """State of one face's codes, or of B faces if every tensor has a leading dimension of B.

    Attributes:
        seconds: () float64, time of the last observation.
        leading: (M, STATE, D) and rest: (R, STATE, codes, size) float32, as in `dynamics.motion_model`, for each
            component; row 0 is the content code.
        covariance: (M, D, STATE, STATE) and rest_covariance: (R, codes, STATE, STATE).
        errors: (M, D) and rest_errors: (R,), mean squared errors of each component's predictions. ghost_*: the
            earlier state that these predictions start from.
        spread: (), mean square of the errors in units of what the covariance expects.
        seen: (), observations so far.
    """

    seconds: Tensor
    leading: Tensor
    rest: Tensor
    covariance: Tensor
    rest_covariance: Tensor
    errors: Tensor
    rest_errors: Tensor
    ghost_seconds: Tensor
    ghost_leading: Tensor
    ghost_rest: Tensor
    spread: Tensor
    seen: Tensor


def stack(states: Sequence[DynamicsState]) -> DynamicsState:
    """One state of a batch from states of single faces."""
    names = [field.name for field in fields(DynamicsState)]
    return DynamicsState(*(torch.stack([getattr(state, name) for state in states]) for name in names))


def split(state: DynamicsState) -> list[DynamicsState]:
    """The states of single faces of a batch."""
    names = [field.name for field in fields(DynamicsState)]
    return [DynamicsState(*(getattr(state, name)[i] for name in names)) for i in range(len(state.seconds))]


class OnlineDynamics:
    """Follows and predicts the codes of a stream by the learned motion, on the model's device.

    It holds a model and no state; its methods do not change their arguments.
    """

    def __init__(self, model: MotionModel) -> None:
        self.model = model
        self._read = torch.tensor(READ, device=model.basis.device)
        self._own = slice(0, model.leading)
        self._others = slice(model.leading, model.groups)
        with torch.no_grad():
            # Constants of the model, computed once and not at each frame.
            self._noise = model.noise().clone()
            self._still = torch.diag_embed(model.stationary())
            self._prior = model.prior()
            self._weight = (2 * model.log_scale).exp()

    def start(self, seconds: float | Tensor, codes: Tensor) -> DynamicsState:
        """The state after a face's first frame: seconds () and codes (codes, 512), or with a batch before both.

        Raises ValueError if the codes are not finite.
        """
        if not torch.isfinite(codes).all():
            raise ValueError("a face cannot start with codes that are not finite")
        return self.begin(_time(seconds, codes), *self.model.project(codes))

    def predict(self, state: DynamicsState, seconds: float | Tensor) -> tuple[Tensor, Tensor]:
        """(codes, uncertainty) at a time: (codes, 512), and their expected root mean square error ().

        A time before the last observation gives the codes at that observation.
        """
        elapsed = _elapsed(state, seconds)
        codes = self.model.restore(*self.foresee(state, elapsed))
        return codes, (self._expected(state, elapsed) * state.spread).sqrt()

    def observe(
        self, state: DynamicsState, seconds: float | Tensor, codes: Tensor, *, doubt: float = 1.0
    ) -> DynamicsState:
        """The state corrected by codes that were observed at a time.

        doubt: 1 for the encoder's own codes, more for less accurate ones.

        In a batch, states whose codes are not finite stay unchanged.
        """
        finite = torch.isfinite(codes).flatten(-2).all(-1)
        if not finite.all():
            codes = torch.where(finite[..., None, None], codes, torch.zeros((), dtype=codes.dtype))
            return _choose(finite, self.observe(state, seconds, codes, doubt=doubt), state)
        return self.see(state, _time(seconds, codes), *self.model.project(codes), doubt)

    def begin(self, seconds: Tensor, leading: Tensor, rest: Tensor) -> DynamicsState:
        """`start` from the parts of the codes (see `MotionModel.project`)."""
        batch = leading.shape[:-1]
        own, others = len(COMPONENTS), len(REST_COMPONENTS)
        values = leading.new_zeros(*batch, own, STATE, leading.shape[-1])
        left = rest.new_zeros(*batch, others, STATE, *rest.shape[-2:])
        still = DynamicsState(
            seconds=seconds,
            leading=values,
            rest=left,
            covariance=self._prior[self._own].expand(*batch, own, -1, -1, -1),
            rest_covariance=self._prior[self._others].expand(*batch, others, -1, -1, -1),
            errors=leading.new_zeros(*batch, own, leading.shape[-1]),
            rest_errors=leading.new_zeros(*batch, others),
            ghost_seconds=seconds,
            ghost_leading=values,
            ghost_rest=left[..., :GHOST_COLUMNS],
            spread=leading.new_ones(batch),
            seen=leading.new_zeros(batch),
        )
        state = self._correct(still, leading, rest, 1.0)
        return replace(state, ghost_leading=state.leading, ghost_rest=state.rest[..., :GHOST_COLUMNS])

    def see(
        self, state: DynamicsState, seconds: Tensor, leading: Tensor, rest: Tensor, doubt: float = 1.0
    ) -> DynamicsState:
        """`observe` in parts."""
        model, elapsed = self.model, _elapsed(state, seconds)
        state = self._judge(state, seconds, leading, rest)
        missed = self._missed(state, elapsed, leading, rest)
        phi = model.transition(elapsed, model.components[:, 0])
        phi_rest = model.transition(elapsed, model.rest_tempers[:, 0])
        moved = replace(
            state,
            seconds=torch.maximum(state.seconds, seconds),
            leading=phi @ state.leading,
            rest=torch.einsum("...rij,...rjcs->...rics", phi_rest, state.rest),
            covariance=_propagate(state.covariance, phi, elapsed, self._still[self._own]),
            rest_covariance=_propagate(state.rest_covariance, phi_rest, elapsed, self._still[self._others]),
            spread=torch.lerp(state.spread, missed, 1 / state.seen.clamp(1, 1 / (1 - KEPT))),
        )
        return self._correct(moved, leading, rest, doubt)

    def foresee(self, state: DynamicsState, elapsed: Tensor) -> tuple[Tensor, Tensor]:
        """`predict` in parts: (leading (..., D), rest (..., codes, size)) after some seconds."""
        model = self.model
        read = self._read @ model.transition(elapsed, model.components[:, 0])
        weights = _weights(state.rest_errors, state.seen)
        read_rest = weights[..., None] * (self._read @ model.transition(elapsed, model.rest_tempers[:, 0]))
        said = (read[..., None, :] @ state.leading).squeeze(-2)
        leading = (_weights_of_each(state.errors, state.seen) * said).sum(-2)
        return leading, torch.einsum("...ri,...rics->...cs", read_rest, state.rest)

    def _correct(self, state: DynamicsState, leading: Tensor, rest: Tensor, doubt: float) -> DynamicsState:
        """The Kalman correction under every component, with one gain for each group of channels."""
        model, read = self.model, self._read
        noise = doubt * self._noise
        seen = state.covariance @ read
        gain = seen / (seen @ read + model.components[:, 1, None] * noise[self._own])[..., None]
        seen_rest = state.rest_covariance @ read
        expected = seen_rest @ read + model.rest_tempers[:, 1, None] * noise[self._others]
        gain_rest = seen_rest / expected[..., None]
        missed = leading[..., None, :] - torch.einsum("i,...mid->...md", read, state.leading)
        missed_rest = rest[..., None, :, :] - torch.einsum("i,...rics->...rcs", read, state.rest)
        return replace(
            state,
            leading=state.leading + gain.transpose(-1, -2) * missed[..., None, :],
            rest=state.rest + gain_rest.transpose(-1, -2)[..., None] * missed_rest[..., None, :, :],
            covariance=state.covariance - gain[..., None] * seen[..., None, :],
            rest_covariance=state.rest_covariance - gain_rest[..., None] * seen_rest[..., None, :],
            seen=state.seen + 1,
        )

    def _judge(self, state: DynamicsState, seconds: Tensor, leading: Tensor, rest: Tensor) -> DynamicsState:
        """Score each component's prediction from its ghost; a ghost that is old enough is replaced."""
        model = self.model
        age = (seconds - state.ghost_seconds).clamp(min=0).float()
        read = self._read @ model.transition(age, model.components[:, 0])
        read_rest = self._read @ model.transition(age, model.rest_tempers[:, 0])
        said = torch.einsum("...mi,...mid->...md", read, state.ghost_leading)
        said_rest = torch.einsum("...ri,...rics->...rcs", read_rest, state.ghost_rest)
        found = (leading[..., None, :] - said).square()
        found_rest = (rest[..., None, :, :GHOST_COLUMNS] - said_rest).square().sum((-2, -1))
        share = (1 / state.seen.clamp(1, 1 / (1 - KEPT)))[..., None]
        late = age >= GHOST_SECONDS

        def pick(after: Tensor, before: Tensor) -> Tensor:
            return torch.where(late.reshape(late.shape + (1,) * (after.ndim - late.ndim)), after, before)

        return replace(
            state,
            errors=torch.lerp(state.errors, found, share[..., None]),
            rest_errors=torch.lerp(state.rest_errors, found_rest, share),
            ghost_seconds=torch.where(late, state.seconds, state.ghost_seconds),
            ghost_leading=pick(state.leading, state.ghost_leading),
            ghost_rest=pick(state.rest[..., :GHOST_COLUMNS], state.ghost_rest),
        )

    def _missed(self, state: DynamicsState, elapsed: Tensor, leading: Tensor, rest: Tensor) -> Tensor:
        """(...,): squared prediction error of an observation, in units of the expected one."""
        model = self.model
        # Some numbers of each code are enough for the rest.
        some = replace(state, rest=state.rest[..., :GHOST_COLUMNS])
        said, said_rest = self.foresee(some, elapsed)
        wrong = (leading - said).square().sum(-1)
        wrong = wrong + (rest[..., :GHOST_COLUMNS] - said_rest).square().mean(-1).sum(-1) * model.size
        return wrong / (model.codes * model.size) / self._expected(state, elapsed)

    def _expected(self, state: DynamicsState, elapsed: Tensor) -> Tensor:
        """(...,): mean square of a number of a code about the prediction, by the covariances of the components."""
        model = self.model
        total: Tensor = torch.zeros(())
        own, others = _weights_of_each(state.errors, state.seen), _weights(state.rest_errors, state.seen)[..., None]
        for components, covariance, weights, groups, each in (
            (model.components, state.covariance, own, self._own, 1),
            (model.rest_tempers, state.rest_covariance, others, self._others, model.size),
        ):
            # Only the variance of the output is needed: r P r' with r the row that reads the prediction.
            phi = model.transition(elapsed, components[:, 0])
            still = self._still[groups]
            row = (self._read @ phi)[..., None, None, :]
            moved = (row @ (covariance - still) @ row.transpose(-1, -2))[..., 0, 0]
            variance = moved + (still @ self._read) @ self._read + components[:, 1, None] * self._noise[groups]
            total = total + each * ((weights * variance).sum(-2) @ self._weight[groups])
        return total / (model.codes * model.size)


def _propagate(covariance: Tensor, phi: Tensor, elapsed: Tensor, still: Tensor) -> Tensor:
    """(..., M, groups, STATE, STATE) after (...,) seconds without an observation. phi: of `MotionModel.transition`."""
    phi = phi[..., None, :, :]
    moved = phi @ (covariance - still) @ phi.transpose(-1, -2) + still
    moved[..., 0, 0] += CONTENT_DRIFT * elapsed[..., None, None]
    return moved


def _weights(errors: Tensor, seen: Tensor) -> Tensor:
    """(..., M): the weight of each component, with sum one; nearly equal after few observations."""
    sure = TRUST * (seen / (seen + 4))[..., None]
    return (-sure * errors.clamp_min(1e-12).log()).softmax(-1)


def _weights_of_each(errors: Tensor, seen: Tensor) -> Tensor:
    """(..., M, D): the same for each channel separately."""
    shared, own = errors.sum(-1, keepdim=True).clamp_min(1e-12).log(), errors.clamp_min(1e-12).log()
    sure = (seen / (seen + 4))[..., None, None]
    return (-sure * (TRUST_SHARED * shared + TRUST_OWN * own)).softmax(-2)


def _time(seconds: float | Tensor, like: Tensor) -> Tensor:
    return torch.as_tensor(seconds, dtype=torch.float64, device=like.device)


def _elapsed(state: DynamicsState, seconds: float | Tensor) -> Tensor:
    return (_time(seconds, state.seconds) - state.seconds).clamp(min=0).float()


def _choose(mask: Tensor, first: DynamicsState, second: DynamicsState) -> DynamicsState:
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    names = [field.name for field in fields(first)]
    return DynamicsState(*(pick(getattr(first, name), getattr(second, name)) for name in names))
