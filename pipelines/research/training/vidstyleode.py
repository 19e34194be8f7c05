"""Stage (a) of `dynstream train vidstyleode`: the dynamics encoder, its filter and the ODE, without the generator.

From windows of irregular frames, of which some are hidden, they say of every frame what the face mesh says of it:
how far landmarks have moved since the first frame, how open lids and lips are, and the blendshapes. The structure loss
of the paper (DINO-ViT, eq. 9) has no stand-in in other features: see the card.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.dynamics.vidstyleode import LANDMARKS, Reading, VidStyleODE
from ....models.faces.blendshapes import INDEX
from ....models.faces.mesh_measures import FINE
from ...common.tensors import to_tensor
from .expression import FINE_WEIGHT, shape_weights
from .loop import LoopConfig, train
from .motion_data import MotionData, MovingFace, Windows

MOTION: Final = LoopConfig(steps=2000, lr=1e-3, warmup=50, ema=0.99, log_steps=20, save_seconds=120)
PIXELS: Final = 4.0
"""Crop pixels, and below the same for openings: about what they move by."""
OPENED: Final = 0.08
HINGE: Final = (0.01, 0.02)
"""Of the latent norm: mean squares of changes of codes that cost nothing."""

SCORES: Final = ("mouthSmile", "jawOpen", "eyeBlink", "browInnerUp", "eyeLook")


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Settings of stage (a).

    Attributes:
        windows: in a step.
        landmarks, openings, blendshapes: weights of the losses.
        place: weight of where landmarks are, beside how they have moved.
        causal: weight of the filter beside the window.
    """

    loop: LoopConfig = MOTION
    windows: int = 4
    landmarks: float = 1.0
    openings: float = 0.5
    blendshapes: float = 8.0
    place: float = 0.05
    causal: float = 1.0


def reading_losses(read: Reading, batch: Windows) -> dict[str, Tensor]:
    """Each loss of what was read of B x T maps, flat."""
    shape = batch.seconds.shape
    weights = read.landmarks.new_ones(LANDMARKS)
    weights[list(FINE)] = FINE_WEIGHT
    weights = weights / weights.sum()
    own = read.landmarks.unflatten(0, shape)
    moved, wanted = own - own[:, :1], batch.points - batch.points[:, :1]
    there = batch.points - batch.points.mean((0, 1))

    def far(a: Tensor, b: Tensor, unit: float) -> Tensor:
        return F.smooth_l1_loss(a / unit, b / unit, reduction="none")

    shapes = read.blendshapes.unflatten(0, shape)
    return {
        "landmarks": (far(moved, wanted, PIXELS).sum(-1) @ weights).mean(),
        "place": (far(own, there, PIXELS).sum(-1) @ weights).mean(),
        "openings": far(read.openings.unflatten(0, shape), batch.openings, OPENED).mean(),
        "blendshapes": ((shapes - batch.blendshapes).abs() @ shape_weights().to(shapes)).mean(),
    }


def train_motion(
    model: VidStyleODE,
    data: MotionData,
    run: Path,
    *,
    config: MotionConfig = MotionConfig(),
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    evaluate_steps: int = 200,
    echo: Callable[[str], None] = print,
) -> VidStyleODE:
    """Train encoder, filter, ODE and readout, or go on. The generator f_G is left as it is."""
    model.train()
    model.generator.requires_grad_(False)

    def step(_number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chance = np.random.default_rng(int(torch.randint(2**31, (1,), generator=random)))
        batch = data.windows(config.windows, chance)
        frames = batch.frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        maps = model.encoder.frames(frames).unflatten(0, batch.seconds.shape)
        initial = model.encoder.window(maps, batch.seconds, batch.given)
        along = model.at(initial, batch.seconds).flatten(0, 1)
        followed = filtered(model, maps, batch.seconds).flatten(0, 1)
        values, loss = {}, maps.new_zeros(())
        for name, motion, share in (("ode", along, 1.0), ("filter", followed, config.causal)):
            for part, value in reading_losses(model.readout(motion), batch).items():
                loss = loss + share * getattr(config, part) * value
                values[f"{name}/{part}"] = value.item()
        return loss, values

    train(model, step, config.loop, run, evaluate=evaluate, evaluate_steps=evaluate_steps, echo=echo)
    return model.eval().requires_grad_(False)


def filtered(model: VidStyleODE, maps: Tensor, seconds: Tensor) -> Tensor:
    """z_d (B, T, C, 8, 8) of the causal filter. maps: (B, T, C, 8, 8) of frames. seconds: (B, T)."""
    state, found = model.encoder.start(len(maps), maps), []
    for frame in range(maps.shape[1]):
        motion, state = model.encoder.correct(state, maps[:, frame], seconds[:, frame])
        found.append(motion)
    return torch.stack(found, 1)


def motion_of(model: VidStyleODE, clip: MovingFace) -> Tensor:
    """(N, C, 8, 8): the filter over a whole clip, without gradient."""
    with torch.no_grad():
        maps = torch.cat(
            [model.encoder.frames(to_tensor(part)) for part in np.array_split(clip.faces, len(clip) // 16 + 1)]
        )
        return filtered(model, maps[None], torch.from_numpy(clip.seconds - clip.seconds[0]).float()[None])[0]


def read_scores(blendshapes: Tensor) -> dict[str, Tensor]:
    """Name -> (N,) of (N, 52) blendshapes: the mean of those whose names begin so; of gaze right less left."""
    found = {
        name: blendshapes[:, [index for one, index in INDEX.items() if one.startswith(name)]].mean(1)
        for name in SCORES
        if name != "eyeLook"
    }
    right = blendshapes[:, INDEX["eyeLookInRight"]] + blendshapes[:, INDEX["eyeLookOutLeft"]]
    left = blendshapes[:, INDEX["eyeLookOutRight"]] + blendshapes[:, INDEX["eyeLookInLeft"]]
    return found | {"gaze": right - left}


def score_motion(model: VidStyleODE, clips: Sequence[MovingFace]) -> dict[str, float]:
    """How well the filter reads clips that it has not seen.

    `moved`: error of landmark motion over that of standing still. Others: correlation over time, mean over clips.
    """
    rows: dict[str, list[float]] = {}
    for clip in clips:
        with torch.no_grad():
            read = model.readout(motion_of(model, clip))
        still = clip.points - clip.points.mean(0)
        missed = read.landmarks - read.landmarks.mean(0) - still
        rows.setdefault("moved", []).append(float(missed.norm(dim=2).mean() / still.norm(dim=2).mean()))
        own, true = read_scores(read.blendshapes), read_scores(clip.blendshapes)
        for name, value in true.items():
            rows.setdefault(name, []).append(correlation(own[name], value))
    moving = {name: [one for one in values if np.isfinite(one)] for name, values in rows.items()}
    return {name: float(np.mean(values)) if values else 0.0 for name, values in moving.items()}


def correlation(a: Tensor, b: Tensor) -> float:
    """Of two series; not a number where one does not move."""
    both = torch.stack([a, b]).double()
    if float(both.std(1).min()) < 1e-6:
        return float("nan")
    return float(torch.corrcoef(both)[0, 1])
