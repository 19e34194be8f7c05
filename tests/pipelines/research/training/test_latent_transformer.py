"""Training a nonlinear edit in a world where scores are levels, and reading scores from pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.directions.directions import Direction, unit
from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.directions.face_scores import NAMES
from dynstream.pipelines.research.directions.labels import Labelled
from dynstream.pipelines.research.training.latent_transformer import (
    DifferentiableScorer,
    NonlinearDirectionConfig,
    fit_scorer,
    make_scorer,
    train_nonlinear_direction,
    untrained,
)
from dynstream.pipelines.research.training.loop import LoopConfig
from dynstream.pipelines.research.training.score_reader import fit_reader

from ...fakes import LevelGenerator
from ...linear_world import LinearGenerator


class Levels:
    """Five levels of features: the picture, coarser and coarser."""

    def features(self, x: Tensor) -> list[Tensor]:
        return [torch.nn.functional.avg_pool2d(x, 2**level) for level in range(1, 6)]


class Constant:
    def of_ffhq(self, faces: Tensor) -> Tensor:
        return faces.mean((1, 2, 3)) * 0 + 0.5


class Same:
    def embed_ffhq(self, x: Tensor) -> Tensor:
        return torch.nn.functional.normalize(torch.ones(len(x), 2) + x.mean() * 0, dim=1)


def test_scores_are_read_from_pictures() -> None:
    world = LinearGenerator()
    codes = torch.randn(300, 512, generator=torch.Generator().manual_seed(0))
    scores = codes @ world.weights
    scores = (scores - scores.mean(0)) / scores.std(0)
    done: list[int] = []

    def face(code: Tensor) -> Tensor:
        return world.synthesize(code.expand(1, 18, -1))

    reader = fit_reader(Levels(), [lambda code=code: face(code) for code in codes], scores, done.append)
    assert done[-1] == 300
    assert float(reader.explained.mean()) > 0.5
    found = reader(torch.cat([face(code) for code in codes[:4]]))
    assert found.shape == (4, len(NAMES))
    assert float((found - scores[:4]).square().mean()) < 0.5
    with pytest.raises(TrainingError, match="expected ten labelled faces or more, got 3 with 3 scores"):
        fit_reader(Levels(), [lambda: face(codes[0])] * 3, scores[:3], done.append)


def test_the_reader_is_kept(tmp_path: Path) -> None:
    world = LinearGenerator()
    codes = np.random.default_rng(0).normal(size=(40, 512))
    labelled = Labelled(codes, codes @ world.truth)
    kept = tmp_path / "reader.npz"
    weights = []
    for _ in range(2):
        found = fit_scorer(labelled, world, Levels(), Constant(), Constant(), Same(), faces=30, cache=kept)  # type: ignore[arg-type]
        weights.append(found.reader.weight)
    assert world.drawn == 30
    assert torch.equal(weights[0], weights[1])
    faces = world.synthesize(torch.zeros(2, 18, 512))
    assert found.scores(faces).shape == (2, len(NAMES))


class BrightnessReader:
    """Every score but the first stays; the first is the brightness."""

    def __call__(self, faces: Tensor) -> Tensor:
        level = faces.mean((1, 2, 3)) * 5
        return torch.cat([level[:, None], torch.zeros(len(faces), len(NAMES) - 1)], dim=1)


def brightness_judges(ends: tuple[float, float] = (-9.0, 9.0)) -> DifferentiableScorer:
    found = make_scorer(BrightnessReader(), Constant(), Constant(), Same(), torch.randn(50, len(NAMES)))  # type: ignore[arg-type]
    low, high = found.low.clone(), found.high.clone()
    low[0], high[0] = ends
    spread, mean = torch.ones(len(NAMES)), torch.zeros(len(NAMES))
    return DifferentiableScorer(found.reader, found.age, found.gender, found.identity, mean, spread, low, high)


def wrong_direction() -> Direction:
    """Moves every score of the level world a little, in codes 3 to 8."""
    vector = torch.zeros(18, 512)
    vector[3:9] = 1.0
    return Direction("smile", unit(vector, "smile"), scale=3.0, effect={"smile": 0.1})


def config(steps: int) -> NonlinearDirectionConfig:
    return NonlinearDirectionConfig(
        length=0.0, loop=LoopConfig(steps=steps, lr=1e-2, warmup=2, ema=0.5, log_steps=100, save_seconds=0.0)
    )


def test_untrained_it_is_the_direction() -> None:
    network = untrained(wrong_direction(), LevelGenerator())
    codes = torch.randn(2, 18, 512)
    torch.testing.assert_close(network(codes), wrong_direction().offset(1.0).expand(2, -1, -1))
    assert (network.first, network.end) == (3, 9)


def test_training_brings_the_score_where_it_shall_be(tmp_path: Path) -> None:
    generator = LevelGenerator()
    scorer = brightness_judges()
    said: list[str] = []
    network = train_nonlinear_direction(
        wrong_direction(), "smile", 0.5, generator, scorer, tmp_path, config=config(60), echo=said.append
    )
    codes = torch.zeros(1, 18, 512)

    def change(of: torch.nn.Module) -> float:
        with torch.no_grad():
            moved = generator.synthesize(codes + of(codes))
        return float((scorer.scores(moved) - scorer.scores(generator.synthesize(codes)))[0, 0])

    before = change(untrained(wrong_direction(), generator))
    assert abs(change(network) - 0.5) < 0.5 * abs(before - 0.5)
    assert not any(value.requires_grad for value in network.parameters())
    assert any("own" in line and "identity" in line for line in said)


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def trained(run: Path, steps: int) -> Tensor:
        network = train_nonlinear_direction(
            wrong_direction(), "smile", 0.5, LevelGenerator(), brightness_judges(), run, config=config(steps),
            echo=lambda _line: None,
        )  # fmt: skip
        return network.up.weight.clone()

    class StoppedError(Exception):
        pass

    class Tired(LevelGenerator):
        def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
            if len(self.asked) > 16:
                raise StoppedError
            return super().synthesize(w_plus, size=size)

    whole = trained(tmp_path / "whole", 8)
    with pytest.raises(StoppedError):
        train_nonlinear_direction(
            wrong_direction(), "smile", 0.5, Tired(), brightness_judges(), tmp_path / "torn", config=config(8),
            echo=lambda _line: None,
        )  # fmt: skip
    torch.testing.assert_close(trained(tmp_path / "torn", 8), whole)


def test_a_direction_that_moves_nothing() -> None:
    weak = torch.full((18, 512), 1.0)
    direction = Direction("x", unit(weak, "x"))
    assert untrained(direction, LevelGenerator()).end == 18


def test_a_sure_gender_has_a_gradient() -> None:
    class Sure:
        def of_ffhq(self, faces: Tensor) -> Tensor:
            return torch.sigmoid(20 * faces.mean((1, 2, 3)) + 7)

    base = brightness_judges()
    scorer = DifferentiableScorer(
        base.reader, base.age, Sure(), base.identity, base.mean, base.spread, base.low, base.high
    )  # type: ignore[arg-type]
    faces = torch.zeros(1, 3, 256, 256, requires_grad=True)
    scorer.scores(faces)[0, NAMES.index("gender")].backward()
    assert faces.grad is not None
    assert float(faces.grad.abs().sum()) > 0.1
