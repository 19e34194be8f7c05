"""RIGID's recurrent inversion for faces that stay on a device: `recurrent_inverter.py` without a question to it.

Whether a picture came twice, a number is not finite or another person came into a face's place is known on the device
alone. There the answer chooses between two results, in place of two ways: the state as it was, or one that starts
again. A face that is new to the host (its track, or too long a gap) is met with three drawings, as there.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState, stack_states
from ...models.generator.generator import Generator
from . import latent_memory as latent
from .latent_memory import DeviceMemory, LatentState, Parts, Step
from .recurrent_inverter import ALL_PARTS, FIRST_PASSES


class DeviceInverter:
    """The recurrent encoder and the parts around it; it has no state."""

    def __init__(self, network: RecurrentEncoder, generator: Generator, *, parts: Parts = ALL_PARTS) -> None:
        self.network = network
        self.generator = generator
        self.parts = parts
        self._mean = generator.mean_w()

    def invert(
        self, faces: Tensor, codes: Tensor, seconds: Sequence[float], memories: Sequence[LatentState | None]
    ) -> list[DeviceMemory]:
        """The state of each face, whose `codes` and `noise` are to be drawn.

        faces: (B, 3, 256, 256) in [-1, 1]. codes: (B, codes, 512) of E0. seconds: of each face's frame.
        """
        steps = [_step(memory, time) for memory, time in zip(memories, seconds, strict=True)]
        found = {row: _kept(memories[row])[1] for row, step in enumerate(steps) if step == "held"}
        new = [row for row, step in enumerate(steps) if step == "new"]
        going = [row for row, step in enumerate(steps) if step == "next"]
        if new:
            states = self._meet(torch.stack([faces[row] for row in new]), torch.stack([codes[row] for row in new]))
            for row, state in zip(new, states.rows(), strict=True):
                found[row] = self._begin(faces[row], codes[row], seconds[row], memories[row], state)
        if going:
            kept = [_kept(memories[row]) for row in going]
            pairs = zip(going, kept, strict=True)
            inputs = [torch.cat([memory.face, faces[row], memory.drawn]) for row, (_, memory) in pairs]
            state = self.network(torch.stack(inputs), stack_states([memory.state for _, memory in kept]))
            for row, (before, memory), own in zip(going, kept, state.rows(), strict=True):
                found[row] = self._next(before, memory, faces[row], codes[row], seconds[row], own)
        return [found[row] for row in range(len(seconds))]

    def go_on(self, face: Tensor, codes: Tensor, seconds: float, before: LatentState) -> DeviceMemory:
        """The state for a face in a frame without a network pass, as `RecurrentInverter.go_on`."""
        before, memory = _kept(before)
        if seconds <= before.seconds:
            return memory
        return self._next(before, memory, face, codes, seconds, memory.state)

    def _meet(self, faces: Tensor, codes: Tensor) -> RecurrentState:
        state, w_plus, noise = RecurrentState.start(len(faces), like=codes), codes, None
        for _pass in range(FIRST_PASSES):
            drawn = self.generator.synthesize(w_plus, noise=noise, size=256).float().clamp(-1, 1)
            state = self.network(torch.cat([faces, faces, drawn, drawn], 1), state)
            if self.parts.compensation:
                w_plus = codes + state.compensation
            noise = self._noise(state)
        return state

    def _begin(
        self, face: Tensor, codes: Tensor, seconds: float, before: LatentState | None, state: RecurrentState
    ) -> DeviceMemory:
        state = _where(_finite(state), state, RecurrentState.start(1, like=codes))
        shared = codes[latent.SHARED_FROM :]
        if self.parts.sharing == "first" and self.parts.compensation:
            shared = shared + state.compensation[0, latent.SHARED_FROM :]
        fading = None if before is None or before.device is None else before.device.codes[latent.SHARED_FROM :]
        if fading is not None:
            fading = torch.where(torch.isfinite(fading).all(), fading, shared)
        return self._drawn(codes, shared, fading, seconds, state, face, seconds)

    def _next(
        self, before: LatentState, memory: DeviceMemory, face: Tensor, codes: Tensor, seconds: float,
        state: RecurrentState,
    ) -> DeviceMemory:  # fmt: skip
        """A later frame: follow, hold where the picture is the same, start again where the state does not apply."""
        elapsed = seconds - before.seconds
        sound = _finite(state) & torch.isfinite(memory.base).all() & torch.isfinite(memory.shared).all()
        size = (memory.base - self._mean).square().mean().clamp_min(1e-6)
        same = sound & (((codes - memory.base).square().mean() / size).sqrt() <= latent.OTHER_PERSON)
        state = _where(same, state, RecurrentState.start(1, like=codes))
        base = torch.lerp(memory.base, codes, latent.share(elapsed, latent.BASE_SECONDS))
        weight = latent.sharing_share(elapsed, self.parts.sharing)
        shared = torch.lerp(memory.shared, codes[latent.SHARED_FROM :], weight)
        base = torch.where(same, base, codes)
        shared = torch.where(same, shared, codes[latent.SHARED_FROM :])
        now = self._drawn(base, shared, memory.fading, memory.since, state, face, seconds)
        held = sound & (face == memory.face).all()
        kept = replace(memory, fading=now.fading)
        if now.fading is None:
            kept = replace(kept, fading=None)
        return _choose(held, kept, now)

    def _drawn(
        self, base: Tensor, shared: Tensor, fading: Tensor | None, since: float, state: RecurrentState, face: Tensor,
        seconds: float,
    ) -> DeviceMemory:  # fmt: skip
        added = state.compensation[0] if self.parts.compensation else None
        codes = latent.combine(base, shared, added, everywhere=self.parts.sharing != "first")
        codes, fading = latent.cross_fade(fading, since, codes, seconds)
        return DeviceMemory(codes, self._noise(state), base, shared, fading, since, state, face, face.repeat(2, 1, 1))

    def _noise(self, state: RecurrentState) -> Tensor | None:
        return state.noise if self.parts.noise else None


def _step(memory: LatentState | None, seconds: float) -> Step:
    """`latent_memory.judge` as far as the host can answer it, by times alone."""
    if memory is None or memory.device is None or abs(seconds - memory.seconds) > latent.REMEMBERED_SECONDS:
        return "new"
    return "held" if seconds <= memory.seconds else "next"


def _kept(memory: LatentState | None) -> tuple[LatentState, DeviceMemory]:
    """The state that `_step` has checked."""
    assert memory is not None
    assert memory.device is not None
    return memory, memory.device


def _finite(state: RecurrentState) -> Tensor:
    """() whether every value is a number."""
    return torch.stack([torch.isfinite(tensor).all() for tensor in state.tensors()]).all()


def _where(condition: Tensor, first: RecurrentState, second: RecurrentState) -> RecurrentState:
    pairs = zip(first.tensors(), second.tensors(), strict=True)
    return RecurrentState(*(torch.where(condition, one, other) for one, other in pairs))


def _choose(condition: Tensor, first: DeviceMemory, second: DeviceMemory) -> DeviceMemory:
    """The first where the condition holds; both have the same parts, and their times are the second's."""

    def pick(one: Tensor | None, other: Tensor | None) -> Tensor | None:
        return other if one is None or other is None else torch.where(condition, one, other)

    return replace(
        second,
        codes=torch.where(condition, first.codes, second.codes),
        noise=pick(first.noise, second.noise),
        base=torch.where(condition, first.base, second.base),
        shared=torch.where(condition, first.shared, second.shared),
        state=_where(condition, first.state, second.state),
    )
