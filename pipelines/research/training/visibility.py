"""Train V on real frames: `dynstream train visibility`.

The middle of three frames is to be composed of the outer two, warped onto it (RIGID, arXiv 2308.06097, sec. 3.3: L1).
Frames further apart hide more of each other, so the three are one to four frames apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ....models.arrays import FlowField
from ....models.encoders.visibility import Visibility, compose_between
from ....stream.frame import Pixels
from ...common.flow import Flow
from ...common.tensors import to_tensor
from ..common.flow_cache import enlarge
from .clips import FaceClip
from .composition import warp_tensor
from .loop import LoopConfig, train

CONFIG: Final = LoopConfig(steps=600, lr=2e-3, warmup=50, ema=0.99)
FURTHEST: Final = 4
BATCH: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Triples:
    """B times three frames: before, now, after: (B, 3, 256, 256);

    Attributes:
        back, ahead: (B, 2, 256, 256) from the middle one.
    """

    before: Tensor
    now: Tensor
    after: Tensor
    back: Tensor
    ahead: Tensor


def read_triples(clips: Sequence[FaceClip], flow: Flow, count: int, random: np.random.Generator) -> Triples:
    """Triples of equally likely clips; the flow of neighbours is the clip's own, the rest is computed."""
    rows: list[tuple[list[Pixels], list[FlowField]]] = []
    for _ in range(count):
        clip = clips[int(random.integers(len(clips)))]
        gap = int(random.integers(1, min(FURTHEST, (len(clip) - 1) // 2) + 1))
        middle = int(random.integers(gap, len(clip) - gap))
        faces = [np.asarray(clip.faces[row]) for row in (middle - gap, middle, middle + gap)]
        if gap == 1:
            fields = [enlarge(clip.flows.back[middle - 1]), enlarge(clip.flows.ahead[middle])]
        else:
            looks = [flow.prepare(face) for face in faces]
            fields = [flow.pair(looks[1], looks[0]).forward, flow.pair(looks[1], looks[2]).forward]
        if random.random() < 0.5:
            faces = [np.ascontiguousarray(face[:, ::-1]) for face in faces]
            fields = [np.ascontiguousarray(field[:, ::-1]) * np.array([-1, 1], np.float32) for field in fields]
        rows.append((faces, fields))
    before, now, after = (to_tensor(np.stack([faces[i] for faces, _ in rows])) for i in range(3))
    back, ahead = (torch.from_numpy(np.stack([fields[i] for _, fields in rows])).permute(0, 3, 1, 2) for i in range(2))
    return Triples(before, now, after, back, ahead)


def score_visibility(network: nn.Module, triples: Triples) -> dict[str, float]:
    """Mean absolute errors in [-1, 1]: of V's composition, and of the plain mean of both neighbours."""
    before, after = warp_tensor(triples.before, triples.back), warp_tensor(triples.after, triples.ahead)
    with torch.no_grad():
        share = network(before, after)
        composed = share * before + (1 - share) * after
    return {
        "composed": (composed - triples.now).abs().mean().item(),
        "mean": ((before + after) / 2 - triples.now).abs().mean().item(),
    }


def train_visibility(
    clips: Sequence[FaceClip],
    flow: Flow,
    run: Path,
    *,
    config: LoopConfig = CONFIG,
    batch: int = BATCH,
    device: torch.device | None = None,
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
) -> Visibility:
    """Train, or go on training, V; returns it with the averaged weights, in evaluation mode. run: see `train`."""
    cv2.setNumThreads(1)
    torch.manual_seed(config.seed)
    network = Visibility().to(device)

    def step(_number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        seed = int(torch.randint(2**31, (1,), generator=random))
        given = read_triples(clips, flow, batch, np.random.default_rng(seed))
        before = warp_tensor(given.before, given.back).to(device)
        after = warp_tensor(given.after, given.ahead).to(device)
        loss = (compose_between(network, before, after) - given.now.to(device)).abs().mean()
        return loss, {}

    train(network, step, config, run, evaluate=evaluate, evaluate_steps=max(1, config.steps // 4))
    return network.eval().requires_grad_(False)
