"""Stage (b) of `dynstream train vidstyleode`: f_G learns to draw the motion that stage (a) reads.

It is trained through the generator. A drawn person, whose content z_C is free, follows frames of a clip. The face mesh
judges the pictures: landmarks, lids and lips, and blendshapes are to change from the person's face at rest as the
driver's change from its reference. Beside it stand ArcFace (who it is), and the latent norm of the published code, a
hinge. Half of the steps see drawn clips, whose codes are known: there the change of codes itself is the truth, and the
person is the driver's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.dynamics.vidstyleode import LANDMARKS, VidStyleODE, content_code
from ....models.faces.mesh_graph import MeshFaces, MeshGraph
from ....models.faces.mesh_measures import FINE, openings
from ....models.generator.generator import Generator
from ...animation.landmark_motion import Basis
from ...common.errors import TrainingError
from ...inversion.code_sampling import sample_codes
from .expression import FINE_WEIGHT, shape_weights
from .loop import LoopConfig, train
from .motion_data import MovingFace
from .vidstyleode import HINGE, OPENED, PIXELS, motion_of

DRAWING: Final = LoopConfig(steps=2000, lr=3e-4, warmup=50, ema=0.99, log_steps=10, save_seconds=120)
LEAST_PRESENCE: Final = 0.5


class Who(Protocol):
    """The part of ArcFace that is used here."""

    def embed_ffhq(self, x: Tensor) -> Tensor:
        """(B, 3, 256, 256) in [-1, 1] -> (B, D) of unit length."""
        ...


@dataclass(frozen=True, kw_only=True)
class DrawingConfig:
    """Settings of stage (b).

    Attributes:
        frames: of one clip in a step, beside the reference.
        truth: share of the steps that see drawn clips, where there are any.
        landmarks, openings, blendshapes, identity, norm, codes: weights of the losses.
    """

    loop: LoopConfig = DRAWING
    frames: int = 3
    truth: float = 0.5
    landmarks: float = 1.0
    openings: float = 0.5
    blendshapes: float = 8.0
    identity: float = 0.5
    norm: float = 1.0
    codes: float = 5.0


@dataclass(frozen=True, eq=False)
class Judges:
    """What pictures are drawn and judged by; all of it is frozen."""

    generator: Generator
    mesh: MeshGraph
    who: Who


def take_basis(model: VidStyleODE, basis: Basis) -> None:
    """Give f_G the known moves. Raises TrainingError for another number of them."""
    if len(basis.moves) != model.config.basis:
        raise TrainingError(f"expected {model.config.basis} known moves, got {len(basis.moves)}")
    model.generator.basis.copy_(basis.moves)
    model.generator.bounds.copy_(torch.from_numpy(basis.bounds))


def norm_loss(moved: Tensor) -> Tensor:
    """The latent norm as published: changes of codes cost nothing while they are small. moved: (B, codes, 512)."""
    mean = moved.square().mean()
    return torch.stack([(mean - limit).clamp_min(0) for limit in HINGE]).sum()


def motion_losses(drawn: MeshFaces, rest: MeshFaces, clip: MovingFace, rows: Tensor, first: int) -> dict[str, Tensor]:
    """How drawn faces (B) have moved from one at rest, beside how a clip has moved from a frame; () each."""
    weights = drawn.points.new_ones(LANDMARKS)
    weights[list(FINE)] = FINE_WEIGHT
    weights = weights / weights.sum()
    found = (drawn.presence > LEAST_PRESENCE).float()

    def far(own: Tensor, wanted: Tensor, unit: float) -> Tensor:
        return F.smooth_l1_loss(own / unit, wanted / unit, reduction="none")

    moved, wanted = drawn.points - rest.points, clip.points[rows] - clip.points[first]
    opened, own_rest = openings(drawn.points), openings(rest.points)
    change = clip.openings[rows] - clip.openings[first]
    lids = (clip.openings[rows, :2] / clip.openings[first, :2].clamp_min(0.05)).clamp(0, 1.4) - 1
    change = torch.cat([own_rest[:, :2] * lids, change[:, 2:]], 1)
    shapes = drawn.blendshapes - rest.blendshapes - (clip.blendshapes[rows] - clip.blendshapes[first])
    parts = {
        "landmarks": far(moved, wanted, PIXELS).sum(-1) @ weights,
        "openings": far(opened - own_rest, change, OPENED).mean(1),
        "blendshapes": shapes.abs() @ shape_weights().to(shapes),
    }
    return {name: (value * found).sum() / found.sum().clamp_min(1) for name, value in parts.items()}


def train_drawing(
    model: VidStyleODE,
    clips: Sequence[MovingFace],
    judges: Judges,
    run: Path,
    *,
    config: DrawingConfig = DrawingConfig(),
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    evaluate_steps: int = 200,
    echo: Callable[[str], None] = print,
) -> VidStyleODE:
    """Train f_G, or go on. The rest of the model stays as stage (a) left it. Raises TrainingError without clips."""
    if not clips:
        raise TrainingError("expected a clip or more to learn motion from")
    model.requires_grad_(False)
    model.generator.requires_grad_(True)
    real = [clip for clip in clips if clip.codes is None]
    known = [clip for clip in clips if clip.codes is not None]
    maps: dict[str, Tensor] = {}

    def motions(clip: MovingFace) -> Tensor:
        if clip.name not in maps:
            maps[clip.name] = motion_of(model, clip)
        return maps[clip.name]

    def step(_number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chance = np.random.default_rng(int(torch.randint(2**31, (1,), generator=random)))
        truth = bool(known) and (not real or chance.random() < config.truth)
        pool = known if truth else real
        clip = pool[int(chance.integers(len(pool)))]
        rows = torch.from_numpy(chance.integers(len(clip), size=config.frames + 1))
        motion, first = motions(clip)[rows], int(rows[0])
        if clip.codes is not None:
            content = content_code(clip.codes)
        else:
            with torch.no_grad():
                content = sample_codes(judges.generator, 1, random, low=0.6, high=0.9, mix=0.0)[0]
        codes, _ = model.draw_codes(content.expand(len(rows), -1, -1), motion)
        moved = codes[1:] - codes[:1]
        values = {"norm": norm_loss(moved)}
        if clip.codes is not None:
            wanted = clip.codes[rows[1:]] - clip.codes[first]
            values["codes"] = F.smooth_l1_loss(10 * moved, 10 * wanted, beta=0.1)
        else:
            values |= drawn_losses(judges, content, moved, clip, rows[1:], first)
        loss = torch.stack([getattr(config, name) * value for name, value in values.items()]).sum()
        return loss, {name: value.item() for name, value in values.items()}

    train(model.generator, step, config.loop, run, evaluate=evaluate, evaluate_steps=evaluate_steps, echo=echo)
    return model.eval().requires_grad_(False)


def drawn_losses(
    judges: Judges, content: Tensor, moved: Tensor, clip: MovingFace, rows: Tensor, first: int
) -> dict[str, Tensor]:
    """The losses on pictures: motion, and who is seen in the first of them. moved: (B, codes, 512)."""
    with torch.no_grad():
        still = judges.generator.synthesize(content[None], size=256).float()
        rest, own = judges.mesh(still), judges.who.embed_ffhq(still)
    pictures = judges.generator.synthesize(content + moved, size=256).float()
    values = motion_losses(judges.mesh(pictures), rest, clip, rows, first)
    values["identity"] = 1 - F.cosine_similarity(judges.who.embed_ffhq(pictures[:1]), own).mean()
    return values


def score_drawing(
    model: VidStyleODE, clips: Sequence[MovingFace], judges: Judges, *, people: int = 2, frames: int = 6
) -> dict[str, float]:
    """The losses on clips that were not learned from, frames spread over each, with people of fixed seeds."""
    sums: dict[str, list[float]] = {}
    with torch.no_grad():
        for clip in clips:
            motion = motion_of(model, clip)
            rows = torch.linspace(0, len(clip) - 1, frames + 1).long()
            for seed in range(people):
                random = torch.Generator().manual_seed(seed)
                content = sample_codes(judges.generator, 1, random, low=0.7, high=0.7, mix=0.0)[0]
                codes, _ = model.draw_codes(content.expand(len(rows), -1, -1), motion[rows])
                found = drawn_losses(judges, content, codes[1:] - codes[:1], clip, rows[1:], int(rows[0]))
                still = drawn_losses(judges, content, torch.zeros_like(codes[1:]), clip, rows[1:], int(rows[0]))
                for name, value in found.items():
                    sums.setdefault(name, []).append(float(value))
                sums.setdefault("still", []).append(float(still["landmarks"]))
    return {name: float(np.mean(values)) for name, values in sums.items()}
