"""Inversion with RIGID's recurrent encoder (arXiv 2308.06097, sec. 3.1-3.2), for a batch of faces of any streams."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ...models.arrays import FloatImage
from ...models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState, stack_states
from ...models.generator.generator import Generator
from ...stream.frame import Pixels
from ..common.tensors import to_tensor
from . import latent_memory as latent
from .latent_memory import LatentState, Parts, RecurrentMemory

FIRST_PASSES: Final = 3
"""Passes that draw and correct the first frame of a face before it is shown; later frames need one each."""


ALL_PARTS: Final = Parts()


@dataclass(frozen=True, slots=True, eq=False)
class Inverted:
    """The inversion of a face.

    Attributes:
        codes: (codes, 512) to draw.
        noise: (1, 32, 32) to draw them with, or None.
        memory: the new state; its faces are still those of the last frame, until `remember` replaces them.
        held: whether the frame has no new information, and the faces stay.
    """

    codes: Tensor
    noise: Tensor | None
    seconds: float
    memory: RecurrentMemory
    held: bool = False

    def remember(self, face: Pixels, inverted: FloatImage, edited: FloatImage) -> LatentState:
        """The face's state. face: (256, 256, 3) uint8, of the frame. inverted, edited: float32 in 0..255, as drawn."""
        memory = self.memory
        if not self.held:
            memory = replace(memory, face=face, inverted=inverted, edited=edited)
        return LatentState(self.codes, self.seconds, memory)


class RecurrentInverter:
    """The recurrent encoder and the parts around it; it has no state.

    parts: the active ones, see `Parts`.
    """

    def __init__(self, network: RecurrentEncoder, generator: Generator, *, parts: Parts = ALL_PARTS) -> None:
        self.network = network
        self.generator = generator
        self.parts = parts
        self._mean = generator.mean_w()

    def drawing_with(self, generator: Generator, network: RecurrentEncoder | None = None) -> "RecurrentInverter":
        """The same parts for another generator, one fitted to a person or on another device.

        network: the same one there, or in another precision; None keeps it.
        """
        return RecurrentInverter(network or self.network, generator, parts=self.parts)

    def invert(
        self,
        faces: Sequence[Pixels],
        codes: Tensor,
        seconds: Sequence[float],
        memories: Sequence[LatentState | None],
    ) -> list[Inverted]:
        """The codes and noise to draw for each face.

        faces: (256, 256, 3) uint8 each. codes: (B, codes, 512) of E0. seconds: of each face's frame.
        """
        steps = [
            latent.judge(memory, face, own, time, self._mean)
            for memory, face, own, time in zip(memories, faces, codes, seconds, strict=True)
        ]
        results: dict[int, Inverted] = {}
        new = [row for row, step in enumerate(steps) if step == "new"]
        if new:
            states = self._meet([faces[row] for row in new], codes[new]).rows()
            for row, state in zip(new, states, strict=True):
                results[row] = self._begin(faces[row], codes[row], seconds[row], memories[row], state)
        going = [row for row, step in enumerate(steps) if step == "next"]
        if going:
            kept = [_kept(memories[row]) for row in going]
            states = self._go_on([faces[row] for row in going], [memory for _, memory in kept]).rows()
            for row, (before, memory), state in zip(going, kept, states, strict=True):
                if state.finite():
                    elapsed = seconds[row] - before.seconds
                    results[row] = self._follow(memory, codes[row], seconds[row], elapsed, state)
                else:
                    state = RecurrentState.start(1, like=codes)
                    results[row] = self._begin(faces[row], codes[row], seconds[row], before, state)
        for row, step in enumerate(steps):
            if step == "held":
                results[row] = self._hold(*_kept(memories[row]), seconds[row])
        return [results[row] for row in range(len(faces))]

    def go_on(self, face: Pixels, codes: Tensor, seconds: float, before: LatentState) -> Inverted:
        """The codes to draw for a face in a frame without a network pass: the last correction stays.

        face: (256, 256, 3) uint8. codes: (codes, 512), predicted for E0. before: with a recurrent state.
        """
        before, memory = _kept(before)
        if seconds <= before.seconds or np.array_equal(face, memory.face):
            return self._hold(before, memory, seconds)
        return self._follow(memory, codes, seconds, seconds - before.seconds, memory.state)

    def _meet(self, faces: list[Pixels], codes: Tensor) -> RecurrentState:
        """The state after a few corrections of the first frame, without motion and without an edit."""
        now = to_tensor(np.stack(faces)).to(codes)
        state = RecurrentState.start(len(faces), like=codes)
        w_plus, noise = codes, None
        for _pass in range(FIRST_PASSES):
            drawn = self.generator.synthesize(w_plus, noise=noise, size=256).clamp(-1, 1)
            state = self.network(torch.cat([now, now, drawn, drawn], 1), state)
            if self.parts.compensation:
                w_plus = codes + state.compensation
            noise = self._noise(state)
        return state

    def _go_on(self, faces: list[Pixels], kept: list[RecurrentMemory]) -> RecurrentState:
        aligned = [to_tensor(np.stack(part)) for part in ([memory.face for memory in kept], faces)]
        drawn = [to_tensor(np.stack(part)) for part in ([m.inverted for m in kept], [m.edited for m in kept])]
        inputs = torch.cat([*aligned, *drawn], 1).to(kept[0].base)
        state: RecurrentState = self.network(inputs, stack_states([m.state for m in kept]))
        return state

    def _begin(
        self, face: Pixels, codes: Tensor, seconds: float, memory: LatentState | None, state: RecurrentState
    ) -> Inverted:
        if not state.finite():
            state = RecurrentState.start(1, like=codes)
        shared = codes[latent.SHARED_FROM :]
        if self.parts.sharing == "first" and self.parts.compensation:
            shared = shared + state.compensation[0, latent.SHARED_FROM :]
        fading = None
        if memory is not None and bool(torch.isfinite(memory.codes).all()):
            fading = memory.codes[latent.SHARED_FROM :]
        nothing = face.astype(np.float32)  # until it is drawn
        return self._result(RecurrentMemory(codes, shared, fading, seconds, state, face, nothing, nothing), seconds)

    def _follow(
        self, memory: RecurrentMemory, codes: Tensor, seconds: float, elapsed: float, state: RecurrentState
    ) -> Inverted:
        base = torch.lerp(memory.base, codes, latent.share(elapsed, latent.BASE_SECONDS))
        weight = latent.sharing_share(elapsed, self.parts.sharing)
        shared = torch.lerp(memory.shared, codes[latent.SHARED_FROM :], weight)
        return self._result(replace(memory, base=base, shared=shared, state=state), seconds)

    def _hold(self, before: LatentState, memory: RecurrentMemory, seconds: float) -> Inverted:
        noise = self._noise(memory.state)
        later = max(seconds, before.seconds)
        return Inverted(before.codes, None if noise is None else noise[0], later, memory, held=True)

    def _result(self, memory: RecurrentMemory, seconds: float) -> Inverted:
        added = memory.state.compensation[0] if self.parts.compensation else None
        noise = self._noise(memory.state)
        codes = latent.combine(memory.base, memory.shared, added, everywhere=self.parts.sharing != "first")
        codes, fading = latent.cross_fade(memory.fading, memory.since, codes, seconds)
        return Inverted(codes, None if noise is None else noise[0], seconds, replace(memory, fading=fading))

    def _noise(self, state: RecurrentState) -> Tensor | None:
        return state.noise if self.parts.noise else None


def _kept(memory: LatentState | None) -> tuple[LatentState, RecurrentMemory]:
    """The state that `judge` has checked."""
    if memory is None or memory.recurrent is None:
        raise ValueError("expected a face with a recurrent memory")
    return memory, memory.recurrent
