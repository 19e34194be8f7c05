"""Training V: triples whose flow fits, and a training that learns which neighbour to believe."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dynstream.pipelines.common.flow import DisFlow
from dynstream.pipelines.research.training.composition import warp_tensor
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.visibility import Triples, read_triples, score_visibility, train_visibility

from .moving import clip

LOOP = LoopConfig(steps=2, lr=1e-3, warmup=1, log_steps=1)


def test_warped_neighbours_fit_the_middle_frame() -> None:
    given = read_triples([clip(step=2), clip(2, step=1)], DisFlow(), 6, np.random.default_rng(1))
    assert given.now.shape == (6, 3, 256, 256)
    assert given.back.shape == (6, 2, 256, 256)
    middle = (..., slice(60, -60), slice(60, -60))
    for neighbour, field in ((given.before, given.back), (given.after, given.ahead)):
        error = (warp_tensor(neighbour, field) - given.now)[middle].abs().mean((1, 2, 3))
        still = (neighbour - given.now)[middle].abs().mean((1, 2, 3))
        assert (error < 0.4 * still).all()


def test_it_runs_and_resumes(tmp_path: Path) -> None:
    made = train_visibility([clip()], DisFlow(), tmp_path, config=LOOP, batch=1)
    assert not made.training
    assert not any(parameter.requires_grad for parameter in made.parameters())
    train_visibility([clip()], DisFlow(), tmp_path, config=replace(LOOP, steps=3), batch=1)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_scores_say_what_the_plain_mean_would_give(tmp_path: Path) -> None:
    """One neighbour is grey: the mean is off by half of what is lost, and V by as much as it believes it."""

    class Believer(torch.nn.Module):
        def forward(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
            return torch.ones_like(before[:, :1])

    picture = torch.full((1, 3, 32, 32), 0.8)
    still = torch.zeros(1, 2, 32, 32)
    scores = score_visibility(Believer(), Triples(picture, picture, torch.zeros_like(picture), still, still))
    assert scores["composed"] < 1e-6
    assert abs(scores["mean"] - 0.4) < 1e-5
