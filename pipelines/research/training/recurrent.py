"""Train RIGID's recurrent encoder: `dynstream train recurrent` (arXiv 2308.06097, sec. 3.4, eq. 10-16).

    L = L2(O, I) + 0.8 LPIPS(O, I) + 2 |O_t - W(O_{t-1})| + 5 |E_t - (V W(E_{t-1}) + (1 - V) W(E_{t+1}))|

and, not in the paper, 0.8 LPIPS over eyes, nose and mouth, 0.5 (1 - cos) of ArcFace, and small squares of w' and n:
without them a generator of this size explains a face by smears, which score well and cannot be edited. Last, an edit
is to move the corrected face as far as it moves E0's own (`edit_loss`): the better a face is explained, the less the
same direction moves it; and the edited face is to stay one person as much as the source's does (`steadiness_loss`).

In episodes of six frames, with random directions and strengths as the edit, so that one network serves every edit.
Streams go on where their last episode ended, from the state that the network itself has reached: what it sees in
training is what it will see in the thousandth frame.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.directions.directions import Direction
from ....models.encoders.encoder import Encoder
from ....models.encoders.recurrent_encoder import RecurrentEncoder, RecurrentState
from ....models.encoders.visibility import Visibility
from ....models.generator.generator import Generator
from ....models.metrics.arcface import ArcFace
from ....models.metrics.lpips import LPIPS
from ...inversion import latent_memory as latent
from ...inversion.recurrent_inverter import FIRST_PASSES
from .clips import FaceClip
from .composition import composition_loss, consistency_loss, paste, seen
from .encoder import FEATURES
from .episodes import CaptureStyle, Episode, Moving, MovingClip, MovingPicture
from .loop import LoopConfig, train
from .morph import Morphs
from .score_reader import pooled

CONFIG: Final = LoopConfig(steps=1200, lr=6e-4, warmup=40, ema=0.99, log_steps=10)
PERSON_SHARE: Final = 0.3
"""Of an episode's frame in the average of who a stream has shown."""
LEAST_MOVED: Final = 5.0
"""Of squared features, about what half a unit of smile moves: less is too little to be judged."""


@dataclass(frozen=True, kw_only=True)
class RecurrentLossWeights:
    """Weight of each loss term; at zero a term is not computed.

    Attributes:
        codes: of generated clips, whose codes are known.
        features: LPIPS over eyes, nose and mouth.
        identity: 1 - cosine of ArcFace, on one frame.
        compensation, noise: mean squares of w'_t and n_t, which keep a face one that can be edited.
        edit: see `edit_loss`, on one frame.
        steadiness: see `steadiness_loss`, on one frame.
    """

    l2: float = 1.0
    lpips: float = 0.8
    consistency: float = 2.0
    composition: float = 5.0
    codes: float = 0.5
    features: float = 0.8
    identity: float = 0.5
    compensation: float = 0.3
    noise: float = 0.1
    edit: float = 0.3
    steadiness: float = 1.0


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Settings of the recurrent encoder's training.

    Attributes:
        frames: T, of an episode.
        streams: faces a step, that begin and end together.
        groups: of such streams, taken in turn.
        renew: probability that a group makes way for a new one after an episode.
        pictures: share of streams that are pictures set in motion, the others are clips.
        unedited: share of streams without an edit.
        noise_from: the step from which the noise map is drawn; it learns fastest, and what it explains the codes no
            longer learn.
        bfloat16: mixed precision.
    """

    loop: LoopConfig = CONFIG
    weights: RecurrentLossWeights = RecurrentLossWeights()
    frames: int = 6
    streams: int = 1
    groups: int = 8
    renew: float = 0.15
    pictures: float = 0.5
    unedited: float = 0.15
    noise_from: int = 0
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if self.frames < 3 or self.streams < 1 or self.groups < 1:
            raise ValueError(f"expected 3 frames, a stream and a group at least, got {self}")


@dataclass(frozen=True, slots=True, eq=False)
class FrozenNetworks:
    """What is trained against; all of it is frozen."""

    encoder: Encoder
    generator: Generator
    lpips: LPIPS
    visibility: Visibility
    arcface: ArcFace
    device: torch.device


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeMemory:
    """What B streams carry over to their next episode; as `latent.RecurrentMemory`, in batches and as floats."""

    base: Tensor
    shared: Tensor
    state: RecurrentState
    face: Tensor
    inverted: Tensor
    edited: Tensor
    seconds: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Who B streams have shown so far, averages of ArcFace's embeddings.

    Attributes:
        source, edited: (B, 512).
    """

    source: Tensor
    edited: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """B streams.

    Attributes:
        place: the next frame.
        offset: (B, codes, 512) of the edits.
        memory: None before the first frame.
        persons: None before the first episode.
    """

    sources: tuple[Moving, ...]
    offset: Tensor
    place: int
    memory: EpisodeMemory | None
    persons: Persons | None


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """An episode drawn.

    Attributes:
        inverted, edited: (B, T, 3, 256, 256).
        codes, plain: (B, T, codes, 512) without the edit, and without w'_t.
        compensation, noise: mean squares of what was added.
    """

    inverted: Tensor
    edited: Tensor
    codes: Tensor
    plain: Tensor
    compensation: Tensor
    noise: Tensor
    memory: EpisodeMemory


class Sources:
    """Streams to train on, without end."""

    def __init__(
        self,
        clips: Sequence[FaceClip],
        people: Morphs | None,
        directions: Mapping[str, Direction],
        config: RecurrentConfig,
    ) -> None:
        self._clips = [clip for clip in clips if len(clip) >= 2 * config.frames]
        if not self._clips:
            raise ValueError(f"expected a clip of {2 * config.frames} frames or more")
        self._people = people
        self._directions = list(directions.values())
        self._config = config

    def group(self, random: np.random.Generator, codes: int) -> Group:
        """New streams."""
        sources = tuple(self._source(random) for _ in range(self._config.streams))
        offsets = torch.stack([self._offset(random, codes) for _ in sources])
        return Group(sources, offsets, 0, None, None)

    def _source(self, random: np.random.Generator) -> Moving:
        clip = self._clips[int(random.integers(len(self._clips)))]
        if self._people is not None and random.random() < self._config.pictures:
            return MovingPicture(self._people, clip, random)
        first = int(random.integers(len(clip) - 2 * self._config.frames + 1))
        return MovingClip(clip, first, CaptureStyle.draw(random))

    def _offset(self, random: np.random.Generator, codes: int) -> Tensor:
        if not self._directions or random.random() < self._config.unedited:
            return torch.zeros(codes, 512)
        direction = self._directions[int(random.integers(len(self._directions)))]
        return direction.offset(float(random.uniform(direction.low, direction.high)))


def _meet(
    network: nn.Module, networks: FrozenNetworks, own: Tensor, face: Tensor, seconds: Tensor, noisy: bool
) -> EpisodeMemory:
    """Streams just before the last pass over their first frame (`recurrent.FIRST_PASSES`).

    own: (B, codes, 512) of E0. face: (B, 3, 256, 256). seconds: (B,).
    """
    state, w_plus, noise = RecurrentState.start(len(own), like=own), own, None
    for remaining in reversed(range(FIRST_PASSES)):
        with torch.no_grad():
            drawn = networks.generator.synthesize(w_plus, noise=noise, size=256).float().clamp(-1, 1)
        if not remaining:
            break
        state = network(torch.cat([face, face, drawn, drawn], 1), state)
        w_plus, noise = own + state.compensation, state.noise if noisy else None
    return EpisodeMemory(own, own[:, latent.SHARED_FROM :], state, face, drawn, drawn, seconds)


def roll(
    network: nn.Module,
    networks: FrozenNetworks,
    own: Tensor,
    inputs: Tensor,
    seconds: Tensor,
    offset: Tensor,
    memory: EpisodeMemory | None,
    edited_with_gradient: range = range(0),
    noisy: bool = True,
) -> Rolled:
    """Draw T frames one after the other, as the pipeline does, with gradients over all of them.

    The faces fed back are cut off from their history: the state carries the gradient through time, and the way through
    the generator and back into the encoder would cost as much again.

    own: (B, T, codes, 512) of E0. inputs: (B, T, 3, 256, 256). seconds: (B, T). offset: (B, codes, 512). memory: None
    where the first frame is the streams' first. edited_with_gradient: frames whose edited face gets one.
    noisy: whether the noise map is drawn.
    """
    draw = networks.generator.synthesize
    if memory is None:
        memory = _meet(network, networks, own[:, 0], inputs[:, 0], seconds[:, 0], noisy)
    edits = bool(offset.any())
    inverted, edited, codes, plain, added, noises = [], [], [], [], [], []
    for frame in range(own.shape[1]):
        now, face = own[:, frame], inputs[:, frame]
        state = network(torch.cat([memory.face, face, memory.inverted, memory.edited], 1), memory.state)
        elapsed = (seconds[:, frame] - memory.seconds).clamp_min(0)[:, None, None].to(now)
        base = _follow(memory.base, now, elapsed, latent.BASE_SECONDS)
        shared = _follow(memory.shared, now[:, latent.SHARED_FROM :], elapsed, latent.FINE_SECONDS)
        w_plus = latent.combine(base, shared, state.compensation)
        noise = state.noise if noisy else None
        drawn = draw(w_plus, noise=noise, size=256).float()
        changed = drawn
        if edits:
            with torch.set_grad_enabled(torch.is_grad_enabled() and frame in edited_with_gradient):
                changed = draw(w_plus + offset, noise=noise, size=256).float()
        inverted.append(drawn)
        edited.append(changed)
        codes.append(w_plus)
        plain.append(latent.combine(base, shared, None))
        added.append(state.compensation.square().mean())
        noises.append(state.noise.square().mean())
        fed = [image.detach().clamp(-1, 1) for image in (drawn, changed)]
        memory = EpisodeMemory(base, shared, state, face, fed[0], fed[1], seconds[:, frame])
    return Rolled(
        inverted=torch.stack(inverted, 1),
        edited=torch.stack(edited, 1),
        codes=torch.stack(codes, 1),
        plain=torch.stack(plain, 1),
        compensation=torch.stack(added).mean(),
        noise=torch.stack(noises).mean(),
        memory=memory,
    )


def _follow(before: Tensor, now: Tensor, elapsed: Tensor, seconds: float) -> Tensor:
    return torch.lerp(before, now, 1 - torch.exp(-elapsed / seconds))


def encode(networks: FrozenNetworks, inputs: Tensor) -> Tensor:
    """(B, T, 3, 256, 256) -> (B, T, codes, 512): E0's own codes, without gradient."""
    with torch.no_grad():
        codes: Tensor = networks.encoder(inputs.flatten(0, 1)).float()
    return codes.view(*inputs.shape[:2], *codes.shape[1:])


def edit_loss(rolled: Rolled, networks: FrozenNetworks, offset: Tensor, frame: int) -> Tensor:
    """What an edit lacks of the strength that it has on E0's own codes, squared; (), 0 where it lacks nothing.

    Both are measured in features that are pooled over cells, since the two faces do not lie alike to the pixel: with m
    the difference between the edited and the inverted face's features and m0 that of E0's, max(0, m0 (m0 - m) / m0^2),
    which is 1 where the edit does nothing. Squared, because any correction of a face costs a little of an edit: not
    squared it brought the network back to E0's own codes within a hundred steps. offset: (B, codes, 512).
    """
    with torch.no_grad():
        plain = rolled.plain[:, frame]
        before, after = (networks.generator.synthesize(codes, size=256).float() for codes in (plain, plain + offset))
        expected = pooled(networks.lpips, after).float() - pooled(networks.lpips, before).float()
    moved = pooled(networks.lpips, rolled.edited[:, frame]) - pooled(networks.lpips, rolled.inverted[:, frame])
    lacking = (expected * (expected - moved.float())).sum(1).clamp_min(0)
    return (lacking / expected.square().sum(1).clamp_min(LEAST_MOVED)).square().mean()


def look_at_persons(rolled: Rolled, batch: Episode, networks: FrozenNetworks, frame: int) -> Persons:
    """Who a frame shows; the edited face's has a gradient."""
    with torch.no_grad():
        source = networks.arcface.embed_ffhq(batch.faces[:, frame]).float()
    return Persons(source, networks.arcface.embed_ffhq(rolled.edited[:, frame]).float())


def steadiness_loss(now: Persons, before: Persons) -> Tensor:
    """How much less the edited face is the one of before than the source's is: what TL-ID and TG-ID count; ()."""
    own, edited = (F.cosine_similarity(a, b, 1) for a, b in ((now.source, before.source), (now.edited, before.edited)))
    return (own - edited).clamp_min(0).mean()


def _remember(before: Persons | None, now: Persons) -> Persons:
    """The average with another frame's."""
    if before is None:
        return Persons(now.source, now.edited.detach())
    return Persons(
        torch.lerp(before.source, now.source, PERSON_SHARE),
        torch.lerp(before.edited, now.edited.detach(), PERSON_SHARE),
    )


def losses(
    rolled: Rolled,
    batch: Episode,
    networks: FrozenNetworks,
    weights: RecurrentLossWeights,
    middle: int,
    offset: Tensor,
    shown: Persons | None,
    shown_before: Persons | None,
) -> dict[str, tuple[float, Tensor]]:
    """Each term of the loss with its weight; terms of weight zero are left out.

    batch: an episode whose tensors begin with B. middle: of the three edited frames that are composed. offset: (B,
    codes, 512) of the edits. shown, shown_before: who is on the middle frame, and was in the episodes before; None
    where that is not known.
    """
    faces, drawn = batch.faces, rolled.inverted
    terms = {"l2": (weights.l2, F.mse_loss(drawn, faces))}
    if weights.lpips:
        terms["lpips"] = weights.lpips, networks.lpips(drawn.flatten(0, 1), faces.flatten(0, 1)).float().mean()
    if weights.features:
        rows, columns = FEATURES
        eyes_to_mouth = drawn[..., rows, columns].flatten(0, 1), faces[..., rows, columns].flatten(0, 1)
        terms["features"] = weights.features, networks.lpips(*eyes_to_mouth).float().mean()
    if weights.identity and shown is not None:
        person = networks.arcface.embed_ffhq(drawn[:, middle]).float()
        terms["identity"] = weights.identity, 1 - (person * shown.source).sum(1).mean()
    terms["compensation"] = weights.compensation, rolled.compensation
    terms["noise"] = weights.noise, rolled.noise
    if weights.consistency:
        parts = []
        for i in range(1, faces.shape[1]):
            back = batch.back[:, i]
            counts = batch.masks[:, i] * seen(faces[:, i], faces[:, i - 1], back)
            parts.append(consistency_loss(drawn[:, i], drawn[:, i - 1], back, counts))
        terms["consistency"] = weights.consistency, torch.stack(parts).mean()
    if weights.composition:
        before, now, after = (
            paste(rolled.edited[:, i], faces[:, i], batch.masks[:, i]) for i in (middle - 1, middle, middle + 1)
        )
        back, ahead = batch.back[:, middle], batch.ahead[:, middle]
        counts = batch.masks[:, middle]
        terms["composition"] = (
            weights.composition,
            composition_loss(networks.visibility, (before, now, after), back, ahead, counts),
        )
    if weights.edit and bool(offset.any()):
        terms["edit"] = weights.edit, edit_loss(rolled, networks, offset, middle)
    if weights.codes and batch.codes is not None:
        terms["codes"] = weights.codes, F.mse_loss(rolled.codes, batch.codes)
    if weights.steadiness and shown is not None and shown_before is not None:
        terms["steadiness"] = weights.steadiness, steadiness_loss(shown, shown_before)
    return terms


def train_recurrent(
    networks: FrozenNetworks,
    sources: Sources,
    run: Path,
    *,
    config: RecurrentConfig = RecurrentConfig(),
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    evaluate_steps: int = 300,
) -> RecurrentEncoder:
    """Train, or go on training, the recurrent encoder; returns it with the averaged weights, in evaluation mode.

    run: folder of the checkpoint and the log. A training that goes on begins new streams.
    """
    cv2.setNumThreads(1)
    torch.manual_seed(config.loop.seed)
    network = RecurrentEncoder().to(networks.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups: list[Group | None] = [None] * config.groups
    number_of_codes = networks.generator.codes

    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        own_random = np.random.default_rng(int(torch.randint(2**31, (1,), generator=random)))
        slot = number % config.groups
        group = groups[slot]
        if group is None or own_random.random() < config.renew or not _lasts(group, config.frames):
            group = sources.group(own_random, number_of_codes)
        batch = _read(group, config.frames, networks.device)
        middle = int(own_random.integers(1, config.frames - 1))
        around = 1 if config.weights.composition else 0
        graded = range(middle - around, middle + around + 1)
        with torch.autocast(networks.device.type, torch.bfloat16, enabled=config.bfloat16):
            own = encode(networks, batch.inputs)
            offset = group.offset.to(networks.device)
            noisy = number >= config.noise_from
            rolled = roll(network, networks, own, batch.inputs, batch.seconds, offset, group.memory, graded, noisy)
            by_person = config.weights.identity or config.weights.steadiness
            shown = look_at_persons(rolled, batch, networks, middle) if by_person else None
            terms = losses(rolled, batch, networks, config.weights, middle, offset, shown, group.persons)
            persons = None if shown is None else _remember(group.persons, shown)
        place = group.place + config.frames
        groups[slot] = Group(group.sources, group.offset, place, _cut(rolled.memory), persons)
        loss = torch.stack([weight * value for weight, value in terms.values()]).sum()
        return loss, {name: value.item() for name, (_, value) in terms.items()}

    train(network, step, config.loop, run, evaluate=evaluate, evaluate_steps=evaluate_steps)
    return network.eval().requires_grad_(False)


def _lasts(group: Group, frames: int) -> bool:
    return all(len(source) >= group.place + frames for source in group.sources)


def _cut(memory: EpisodeMemory) -> EpisodeMemory:
    """The same values without their history."""
    return replace(memory, base=memory.base.detach(), shared=memory.shared.detach(), state=memory.state.detach())


def _read(group: Group, frames: int, device: torch.device) -> Episode:
    """The next episode of a group: tensors that begin with B."""
    read = [source.read(group.place, frames) for source in group.sources]

    def stack(name: str) -> Tensor:
        return torch.stack([getattr(episode, name) for episode in read]).to(device)

    known = all(episode.codes is not None for episode in read)
    parts = {name: stack(name) for name in ("faces", "inputs", "back", "ahead", "masks", "seconds")}
    return Episode(**parts, codes=stack("codes") if known else None)


def score_refinement(network: nn.Module, networks: FrozenNetworks, faces: Tensor, frames: int = 8) -> dict[str, float]:
    """MSE (range [-1, 1]) and LPIPS of still pictures: by E0, and after so many frames of the recurrent encoder.

    faces: (N, 3, 256, 256) uint8.
    """
    sums = {"mse_e0": 0.0, "lpips_e0": 0.0, "mse": 0.0, "lpips": 0.0}
    with torch.no_grad():
        for face in faces.split(1):
            still = face.to(networks.device).float().div(127.5).sub(1)
            inputs = still[:, None].expand(-1, frames, -1, -1, -1)
            own = encode(networks, inputs[:, :1]).expand(-1, frames, -1, -1)
            seconds = torch.arange(frames, device=still.device)[None] / 25
            rolled = roll(network, networks, own, inputs, seconds, torch.zeros_like(own[:, 0]), None)
            first = networks.generator.synthesize(own[:, 0], size=256)
            for name, image in (("_e0", first), ("", rolled.inverted[:, -1])):
                sums[f"mse{name}"] += F.mse_loss(image.clamp(-1, 1), still).item()
                sums[f"lpips{name}"] += networks.lpips(image.clamp(-1, 1), still).mean().item()
    return {name: total / max(1, len(faces)) for name, total in sums.items()}
