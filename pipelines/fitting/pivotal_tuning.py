"""Fit an inversion to a person: one code offset first, then the generator's late layers around it.

After Roich, Mokady, Bermano, Cohen-Or, "Pivotal Tuning for Latent-based Editing of Real Images", TOG 2022: the codes
of the encoder and the offset are the pivots, and the generator is fine-tuned until they draw the person. An encoder's
error on a person is the same in every frame, so one offset and one set of weights serve all frames and cannot flicker.
Two losses keep the weights near the generator's own, so that edits still work: a penalty on their change, and the
paper's locality regularization, which keeps other faces as before.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.generator.generator import Generator
from ..common.errors import PipelineError
from ..inversion.code_sampling import sample_codes

LATE: Final[Mapping[str, tuple[str, ...]]] = {
    "MobileStyleGAN": ("blocks.2.", "blocks.3.", "blocks.4.", "tail."),
    "StyleGAN2": tuple(
        f"{part}.{level}." for part, first in (("layers", 7), ("to_rgbs", 4)) for level in range(first, 17)
    ),
}
"""Layers from 64x64 up by the generator's class; for another generator only the offset is fitted. Lower layers would
change the shape of the face, and edits with it."""
OFFSET_RATE: Final = 0.02
WEIGHT_RATE: Final = 0.004  # of a tensor's own root mean square, a step
PULL: Final = 2e-3
STIFFNESS: Final = 0.02
LOCALITY_EVERY: Final = 4
UNHURRIED: Final = 600.0
"""Time limit, in seconds, of a fit for a measurement: long enough for all its steps on a slow machine."""


class Perceptual(Protocol):
    """The part of LPIPS that is used here."""

    def features(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> what `distance` compares."""
        ...

    def distance(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """(B,)."""
        ...


class Identity(Protocol):
    """The part of ArcFace that is used here."""

    def embed_ffhq(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, D) of unit length."""
        ...


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of a fit.

    Attributes:
        steps: optimizer steps in all.
        offset_share: share of the steps for the offset alone; 0 for faces of several people, since one offset would
            pull them together.
        batch: faces per step.
        seconds: wall time after which no further step begins; the offset gets its share of it, too.
    """

    steps: int = 120
    offset_share: float = 0.35
    batch: int = 2
    seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 <= self.offset_share <= 1 or not self.seconds > 0:
            raise PipelineError(f"expected steps, batch and seconds above 0 and a share in 0..1, got {self}")


@dataclass(frozen=True, eq=False)
class Fit:
    """The result of a fit: offset (codes, 512), and name -> change of the generator's parameters, float16."""

    offset: Tensor
    weights: Mapping[str, Tensor] = field(default_factory=dict)

    def at(self, share: float) -> "Fit":
        """The fit scaled by 0..1, for a live stream that fades it in."""
        return Fit(self.offset * share, {name: change * share for name, change in self.weights.items()})


def bent(generator: Generator, fit: Fit) -> Generator:
    """A copy of the generator with the fitted weights; the generator itself if the fit has no weights."""
    if not fit.weights:
        return generator
    network = _copy(generator)
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, change in fit.weights.items():
            if name not in own or own[name].shape != change.shape:
                raise PipelineError(f"a fit of another generator: {name} of shape {tuple(change.shape)} is not in it")
            own[name].add_(change.to(own[name]))
    return network.requires_grad_(False)  # type: ignore[return-value]


def fit_person(
    encode: Callable[[Tensor], Tensor],
    generator: Generator,
    perceptual: Perceptual,
    identity: Identity,
    faces: Tensor,
    settings: FitSettings,
    *,
    progress: Callable[[int], None] = lambda _steps: None,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Fit to faces (N, 3, 256, 256) in [-1, 1] of one person.

    encode: faces -> codes (N, codes, 512). progress: called with the steps done. stop: called before each step.
    """
    target = _Target(perceptual, identity, faces)
    with torch.no_grad():
        codes = encode(faces)
    started = clock()
    late = late_parameters(generator)
    first = round(settings.steps * settings.offset_share) if late else settings.steps
    runs = _Runs(settings, clock, stop, progress)

    offset = torch.zeros_like(codes[0], requires_grad=True)

    def offset_loss(rows: list[int], _step: int) -> Tensor:
        drawn = generator.synthesize(codes[rows] + offset, size=256)
        return target.loss(drawn, rows) + PULL * offset.square().sum() / 512

    groups = [{"params": [offset], "lr": OFFSET_RATE}]
    until = started + settings.seconds * (settings.offset_share if late else 1.0)
    runs.go(groups, offset_loss, range(first), until, len(faces))
    shift = offset.detach()
    if first >= settings.steps:
        return Fit(shift)
    network = _copy(generator)
    tuned = {name: value for name, value in network.named_parameters() if name in late}
    before = {name: value.detach().clone() for name, value in tuned.items()}
    scales = {name: float(value.square().mean().sqrt()) for name, value in before.items()}
    for name, value in list(tuned.items()):
        if scales[name] > 0:
            value.requires_grad_()
        else:
            del tuned[name]

    def weight_loss(rows: list[int], step: int) -> Tensor:
        loss = target.loss(network.synthesize(codes[rows] + shift, size=256), rows)  # type: ignore[operator]
        for name, value in tuned.items():
            loss = loss + STIFFNESS * ((value - before[name]) / scales[name]).square().mean()
        if step % LOCALITY_EVERY == 0:
            loss = loss + _locality(network, generator, codes[rows[:1]] + shift, step)
        return loss

    groups = [{"params": [value], "lr": WEIGHT_RATE * scales[name]} for name, value in tuned.items()]
    runs.go(groups, weight_loss, range(first, settings.steps), started + settings.seconds, len(faces))
    return Fit(shift, {name: (value.detach() - before[name]).half() for name, value in tuned.items()})


def late_parameters(generator: Generator) -> set[str]:
    """Names of the parameters to fit: kernels and biases of the late layers, not the layers that read the codes."""
    prefixes = LATE.get(type(generator).__name__, ())
    if not prefixes or not isinstance(generator, nn.Module):
        return set()
    names = [name for name, _ in generator.named_parameters() if name.startswith(prefixes)]
    return {name for name in names if "modulation" not in name and ".up." not in name and ".low." not in name}


class _Target:
    """The distance to the faces: L2 + 0.8 LPIPS + 0.5 (1 - cosine of the identity)."""

    def __init__(self, perceptual: Perceptual, identity: Identity, faces: Tensor) -> None:
        self._perceptual, self._identity, self._faces = perceptual, identity, faces
        with torch.no_grad():
            self._who = identity.embed_ffhq(faces)
            self._features = [perceptual.features(face[None]) for face in faces]

    def loss(self, drawn: Tensor, rows: list[int]) -> Tensor:
        """drawn: (B, 3, 256, 256) of the faces with these numbers."""
        wanted = [torch.cat(level) for level in zip(*(self._features[row] for row in rows), strict=True)]
        looks = self._perceptual.distance(self._perceptual.features(drawn), wanted).mean()
        same = (self._identity.embed_ffhq(drawn) * self._who[rows]).sum(1).mean()
        return F.mse_loss(drawn, self._faces[rows]) + 0.8 * looks + 0.5 * (1 - same)


@dataclass(frozen=True)
class _Runs:
    settings: FitSettings
    clock: Callable[[], float]
    stop: Callable[[], bool]
    progress: Callable[[int], None]

    def go(
        self,
        groups: list[dict[str, object]],
        loss_of: Callable[[list[int], int], Tensor],
        steps: range,
        until: float,
        faces: int,
    ) -> None:
        """Adam over `steps`, each on the next faces in turn, with warm-up and decay to zero."""
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        peaks = [group["lr"] for group in optimizer.param_groups]
        begun = self.clock()
        for number, step in enumerate(steps):
            if self.stop() or self.clock() >= until:
                return
            # Decayed by the steps or the time, whichever ends first.
            done = max(number / len(steps), (self.clock() - begun) / max(1e-9, until - begun))
            share = min(1.0, (number + 1) / 5) * max(0.05, 1 - done**2)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * share
            batch = min(self.settings.batch, faces)
            rows = [(step * batch + item) % faces for item in range(batch)]
            loss = loss_of(rows, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            self.progress(step + 1)


def _locality(network: nn.Module, generator: Generator, pivot: Tensor, step: int) -> Tensor:
    """The change, by the fit, of the picture at a code between the pivot and another face."""
    random = torch.Generator().manual_seed(step)
    other = sample_codes(generator, 1, random, low=0.7, high=1.0, mix=0.0)
    direction = other - pivot
    near = pivot + direction * (8.0 / direction.norm().clamp_min(8.0))
    with torch.no_grad():
        wanted = generator.synthesize(near, size=256)
    drawn: Tensor = network.synthesize(near, size=256)  # type: ignore[operator]
    return F.mse_loss(drawn, wanted)


def _copy(generator: Generator) -> nn.Module:
    assert isinstance(generator, nn.Module)
    return copy.deepcopy(generator)
