"""Training the head matte: targets that follow what is pasted, a loss that falls, a run that goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dynstream.models.faces.bisenet import CLASSES, BiSeNet
from dynstream.models.faces.matte import CELLS, REGIONS
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.matte import (
    MatteConfig,
    intersection_over_union,
    matte_loss,
    train_matte,
)
from dynstream.pipelines.research.training.matte_data import (
    BACKGROUND,
    FRONT,
    Parsed,
    beside,
    enlarged,
    parsed,
    prepare,
    with_front,
)

LOOP = LoopConfig(steps=2, lr=1e-3, warmup=1, log_steps=1)
SKIN = REGIONS.index("skin")


def discs(count: int = 3) -> Parsed:
    row, column = np.mgrid[:256, :256]
    inside = (row - 128) ** 2 + (column - 128) ** 2 < 80**2
    face = np.where(inside[..., None], np.uint8(200), np.uint8(30)) * np.ones(3, np.uint8)
    shares = np.zeros((len(REGIONS), 64, 64), np.uint8)
    shares[SKIN] = 255 * inside[::4, ::4]
    shares[BACKGROUND] = 255 - shares[SKIN]
    return Parsed(np.stack([face] * count), np.stack([shares] * count))


class Labels(BiSeNet):
    """Sees skin where a picture is bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 8) > 0
        logits = torch.full((len(x), len(CLASSES), *bright.shape[2:]), -20.0)
        logits[:, CLASSES.index("skin")] = torch.where(bright[:, 0], 20.0, -20.0)
        logits[:, CLASSES.index("background")] = torch.where(bright[:, 0], -20.0, 20.0)
        return logits


def test_the_parsers_answer_is_kept(tmp_path: Path) -> None:
    data = discs()
    found = parsed(data.faces, Labels().eval(), tmp_path, size=256)
    assert np.abs(found.shares.astype(int) - data.shares).mean() < 8
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    parsed(data.faces, Labels().eval(), tmp_path, size=256)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_what_is_pasted_in_front_is_front_in_the_target() -> None:
    data = discs(1)
    face = torch.from_numpy(data.faces[0]).permute(2, 0, 1).float() / 127.5 - 1
    shares = enlarged(torch.from_numpy(data.shares))[0]
    opacity = np.zeros((256, 256), np.float32)
    opacity[100:140] = 1
    picture, target = with_front(face, shares, (np.full((256, 256, 3), 255, np.uint8), opacity))
    assert (picture[:, 120] == 1).all()
    assert (target[FRONT, 60] == 1).all()
    assert target[SKIN, 60].max() == 0
    torch.testing.assert_close(target[:, 20], shares[:, 20])


def test_a_second_head_is_in_front_or_behind_and_targets_still_sum_to_one() -> None:
    data = discs(1)
    face = torch.from_numpy(data.faces[0]).permute(2, 0, 1).float() / 127.5 - 1
    shares = enlarged(torch.from_numpy(data.shares))[0]
    fronts = []
    for seed in range(8):
        picture, target = beside(face, shares, face, shares, np.random.default_rng(seed))
        assert torch.isfinite(picture).all()
        torch.testing.assert_close(target.sum(0), torch.ones(CELLS, CELLS), atol=1e-3, rtol=0)
        fronts.append(float(target[FRONT].sum()))
    assert min(fronts) == 0 < max(fronts)


def test_a_batch_depends_on_its_seed_alone() -> None:
    one, other = (prepare([discs()], 4, torch.Generator().manual_seed(3)) for _ in range(2))
    torch.testing.assert_close(one, other)
    pictures, shares = one
    assert pictures.shape == (4, 3, 256, 256)
    assert pictures.abs().max() <= 1
    torch.testing.assert_close(shares.sum(1), torch.ones(4, CELLS, CELLS), atol=1e-3, rtol=0)


def test_the_loss_is_small_for_the_right_answer() -> None:
    target = enlarged(torch.from_numpy(discs(1).shares))
    right, wrong = matte_loss(40 * target - 20, target), matte_loss(20 - 40 * target, target)
    assert right < 0.45 < wrong


def test_it_runs_resumes_and_is_scored(tmp_path: Path) -> None:
    config = MatteConfig(batch=2, loop=LOOP)
    made = train_matte([discs()], tmp_path, config=config)
    assert not made.training
    train_matte([discs()], tmp_path, config=replace(config, loop=replace(LOOP, steps=3)))
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    scores = intersection_over_union(made, discs())
    assert {"background", "skin", "head"} <= set(scores)
    assert all(0 <= score <= 1 for score in scores.values())
