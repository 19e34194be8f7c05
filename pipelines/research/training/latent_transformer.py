"""Train a nonlinear edit: the network that says which way a code has to go for an attribute.

After Yao et al. (ICCV 2021), with scores of pictures in the place of a classifier of codes: a code is moved by a random
strength, both faces are drawn, and the loss is how far the attribute is from where the strength should have taken it,
how far the other scores and the identity have moved, and how long the step is. A score has an end (a full smile cannot
grow), and the target stops there: the network may move faces less that have little way to go.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....models.arrays import AnyArray
from ....models.directions.directions import Direction
from ....models.directions.latent_transformer import LatentTransformer
from ....models.generator.generator import Generator
from ....models.metrics.age_gender import AgeModel, GenderModel
from ...common.errors import TrainingError
from ...inversion.code_sampling import sample_codes
from ..common.array_cache import cached
from ..directions.face_scores import NAMES
from ..directions.labels import Labelled
from .loop import LoopConfig, train
from .score_reader import Features, ScoreReader, fit_reader

ATTRIBUTES: Final = ("age", "gender", "smile")
STRONGEST: Final = 3.0
EDGE: Final = 0.03  # quantile of a score over faces beyond which no target goes
LOGIT: Final = 6.0  # of the gender network, at which its answer is taken for sure


class Identity(Protocol):
    """ArcFace, as far as it is used here."""

    def embed_ffhq(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, D) of unit length."""
        ...


@dataclass(frozen=True, kw_only=True)
class NonlinearDirectionConfig:
    """Settings of the training of a nonlinear direction.

    Attributes:
        own, others, identity, length: weights of the losses.
        batch: faces a step.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=400, lr=1e-3, warmup=20, ema=0.99, log_steps=20, save_seconds=60)
    )
    batch: int = 2
    own: float = 1.0
    others: float = 0.3
    identity: float = 0.5
    length: float = 0.02


@dataclass(frozen=True, eq=False)
class DifferentiableScorer:
    """What scores a drawn face with a gradient.

    Attributes:
        mean, spread: (scores,) over labelled faces.
        low, high: (scores,) quantiles beyond which a score hardly goes, in standard deviations from the mean.
    """

    reader: ScoreReader
    age: AgeModel
    gender: GenderModel
    identity: Identity
    mean: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def scores(self, faces: Tensor) -> Tensor:
        """(B, 3, 256, 256) in [-1, 1] -> (B, scores), in standard deviations from the mean."""
        found = self.reader(faces)
        own = {"age": self.age.of_ffhq(faces), "gender": _unsure(self.gender.of_ffhq(faces))}
        columns = [
            (own[name] - self.mean[index]) / self.spread[index] if name in own else found[:, index]
            for index, name in enumerate(NAMES)
        ]
        return torch.stack(columns, dim=1)


def _unsure(probability: Tensor) -> Tensor:
    """0..1 still, but with a gradient where the network is sure of its answer."""
    return torch.logit(probability.clamp(1e-5, 1 - 1e-5)) / (2 * LOGIT) + 0.5


def make_scorer(
    reader: ScoreReader, age: AgeModel, gender: GenderModel, identity: Identity, scores: Tensor
) -> DifferentiableScorer:
    """scores: (N, scores) of labelled faces in their own units, for the means and ends."""
    mean, spread = scores.mean(0), scores.std(0)
    ends = torch.quantile((scores - mean) / spread, torch.tensor([EDGE, 1 - EDGE]).to(scores), dim=0)
    return DifferentiableScorer(reader, age, gender, identity, mean, spread, ends[0], ends[1])


def untrained(direction: Direction, generator: Generator, seed: int = 0) -> LatentTransformer:
    """A network that does what the direction does, in the codes that the direction moves."""
    live = direction.vector.norm(dim=1) > 0.02
    if not bool(live.any()):
        raise TrainingError(f"the direction {direction.name!r} moves no code")
    places = live.nonzero().flatten().tolist()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LatentTransformer(generator.codes, places[0], places[-1] + 1)
    network.direction.copy_(direction.offset(1.0))
    network.mean.copy_(generator.mean_w().cpu())
    return network


def train_nonlinear_direction(
    direction: Direction,
    score: str,
    step: float,
    generator: Generator,
    scorer: DifferentiableScorer,
    run: Path,
    *,
    config: NonlinearDirectionConfig | None = None,
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    echo: Callable[[str], None] = print,
) -> LatentTransformer:
    """Train on from a direction, or go on with what `run` holds.

    score: of NAMES. step: change of it, in its own unit, that a strength of 1 shall make.
    """
    config = config or NonlinearDirectionConfig()
    own = NAMES.index(score)
    network = untrained(direction, generator, config.loop.seed)
    device = generator.mean_w().device
    network.to(device)
    wanted = float(step / scorer.spread[own])

    def one(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        w_plus = sample_codes(generator, config.batch, random, low=0.5, high=1.0, mix=0.3)
        strengths = ((torch.rand(config.batch, generator=random) * 2 - 1) * STRONGEST).to(device)
        with torch.no_grad():
            before = generator.synthesize(w_plus, size=256)
            old = scorer.scores(before)
            who = scorer.identity.embed_ffhq(before)
        added = network(w_plus)
        after = generator.synthesize(w_plus + strengths[:, None, None] * added, size=256)
        new = scorer.scores(after)
        low, high = torch.minimum(old[:, own], scorer.low[own]), torch.maximum(old[:, own], scorer.high[own])
        target = (old[:, own] + strengths * wanted).clamp(low, high)
        losses = {
            "own": F.smooth_l1_loss(new[:, own], target),
            "others": _others(new - old, own),
            "identity": (1 - (scorer.identity.embed_ffhq(after) * who).sum(1)).mean(),
            "length": added.square().sum((1, 2)).mean() / network.direction.square().sum().clamp_min(1e-6),
        }
        weights = {"own": config.own, "others": config.others, "identity": config.identity, "length": config.length}
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        return total, {name: float(value.detach()) for name, value in losses.items()}

    trained = train(network, one, config.loop, run, evaluate=evaluate, echo=echo)
    assert isinstance(trained, LatentTransformer)
    return trained.cpu().eval().requires_grad_(False)


def _others(moved: Tensor, own: int) -> Tensor:
    held = [index for index in range(moved.shape[1]) if index != own]
    return moved[:, held].square().mean()


def fit_scorer(
    labelled: Labelled,
    generator: Generator,
    features: Features,
    age: AgeModel,
    gender: GenderModel,
    identity: Identity,
    *,
    faces: int,
    cache: Path | None = None,
    progress: Callable[[int], None] = lambda _faces: None,
) -> DifferentiableScorer:
    """Draw labelled faces again and learn to read their scores. cache: a file that spares this the next time."""
    device = generator.mean_w().device
    scores = torch.from_numpy(labelled.scores).float()
    wanted = ((scores - scores.mean(0)) / scores.std(0))[:faces].to(device)

    def face(code: Tensor) -> Tensor:
        with torch.inference_mode():
            return generator.synthesize(code.expand(1, generator.codes, -1), size=256).clamp(-1, 1)

    codes = torch.from_numpy(labelled.codes[:faces]).float().to(device)

    def compute() -> dict[str, AnyArray]:
        reader = fit_reader(features, [partial(face, code) for code in codes], wanted, progress)
        return {name: getattr(reader, name).cpu().numpy() for name in ("mean", "weight", "explained")}

    arrays = {name: torch.from_numpy(value).to(device) for name, value in cached(cache, compute).items()}
    reader = ScoreReader(features, arrays["mean"], arrays["weight"], arrays["explained"])
    return make_scorer(reader, age, gender, identity, scores.to(device))
