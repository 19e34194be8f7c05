"""Learn how codes move, across clips: `dynstream train dynamics`.

The equations are linear, so the probability of codes at any times has a closed form (`likelihood`), and the constants
that make real motion most probable are found by gradient steps on it: in each, a stretch of one clip is observed at
random gaps of 0.02 to 0.5 s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ....models.arrays import Float64Array
from ....models.directions.directions import Direction
from ....models.dynamics.motion_model import MotionModel
from ....models.generator.generator import Generator
from ...common.errors import TrainingError
from ...motion.code_series import CodeSeries
from ...motion.likelihood import Parts, begin_constants, negative_log_likelihood, to_parts
from ..synth.script import make_script
from ..synth.settings import ClipSettings
from ..training.loop import LoopConfig, train
from .leading_directions import leading_directions

CONFIG = LoopConfig(steps=300, lr=0.05, warmup=10, ema=0.95, clip=10.0, log_steps=20, save_seconds=60)
LEAST_FRAMES = 40
PULL = 0.1
"""Weight of `apart`."""


@dataclass(frozen=True, kw_only=True)
class DynamicsConfig:
    """Settings of the training.

    Attributes:
        leading: directions with constants of their own.
        columns: numbers of each code of whose rest is learned.
        observations: of a clip in a step; the cost grows with their cube.
        gaps: seconds between two, least and most.
        generated: share of the steps that see a generated clip: its movements are known, but smoother than real ones.
    """

    loop: LoopConfig = CONFIG
    leading: int = 48
    columns: int = 16
    observations: int = 100
    gaps: tuple[float, float] = (0.02, 0.5)
    generated: float = 0.1


def generated_codes(
    generator: Generator, directions: Mapping[str, Direction], count: int, *, seconds: float = 8.0, shiver: float = 0.2
) -> list[CodeSeries]:
    """Codes of drawn people along the paths of `dynstream synth`, without drawing them.

    shiver: standard deviation of the noise that an encoder would add, in units of the motion's own. A direction that
    is missing is a movement less.
    """
    series = []
    for seed in range(count):
        settings = ClipSettings(seed=1000 + seed, seconds=seconds, rate=Fraction(25))
        script, _ = make_script(settings, generator, directions)
        times = np.array([float(pts * settings.time_base) for pts in settings.times()])
        codes = torch.stack([script.codes(script.strengths(float(time))) for time in times])
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(seed))
        codes = codes + noise * shiver * codes.std(0).square().mean().sqrt()
        series.append(CodeSeries(times, codes))
    return series


def train_dynamics(
    real: Sequence[CodeSeries],
    generated: Sequence[CodeSeries],
    run: Path,
    *,
    config: DynamicsConfig = DynamicsConfig(),
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    echo: Callable[[str], None] = print,
) -> MotionModel:
    """Train a model of motion, or go on training it.

    real, generated: codes of clips. run: folder of checkpoint and log. Raises TrainingError where no real clip has 40
    frames with a face, or the clips have codes of several shapes.
    """
    real = [part for one in real if len(part := one.longest_part()) >= LEAST_FRAMES]
    if not real:
        raise TrainingError(f"no clip has {LEAST_FRAMES} frames with a face; training needs one or more")
    shapes = {one.shape for one in (*real, *generated)}
    if len(shapes) > 1 or len(real[0].shape) != 2:
        raise TrainingError(f"expected codes (codes, size) of one shape in every clip, got {sorted(shapes)}")
    every = [*real, *generated]
    leading = min(config.leading, real[0].shape[0] * real[0].shape[1] // 2)
    model = MotionModel(*real[0].shape, leading)
    model.basis.copy_(leading_directions(every, leading))
    columns = np.random.default_rng(config.loop.seed).permutation(model.size)[: config.columns]
    clips = [to_parts(model, one, columns) for one in every]
    begin_constants(model, clips)

    def step(_number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        chance = np.random.default_rng(int(torch.randint(2**31, (1,), generator=random)))
        drawn = bool(generated) and chance.random() < config.generated
        pool = clips[len(real) :] if drawn else clips[: len(real)]
        clip = pool[int(chance.integers(len(pool)))]
        rows = torch.from_numpy(draw_rows(clip.seconds.numpy(), config, chance))
        loss = negative_log_likelihood(model, Parts(clip.seconds[rows], clip.leading[rows], clip.rest[rows]))
        pulled: Tensor = loss + PULL * apart(model)
        return pulled, {"noise": model.noise()[: model.leading].mean().item()}

    train(model, step, config.loop, run, evaluate=evaluate, evaluate_steps=config.loop.steps, echo=echo)
    # From units of the clips' own spread to those of codes, so that a new stream's first guess at its errors is right.
    usual = float(np.exp(np.mean([np.log(_spread(one)) for one in real])))
    with torch.no_grad():
        model.log_scale.add_(float(np.log(usual)))
    return model.eval()


def apart(model: MotionModel) -> Tensor:
    """(): mean square by which leading channels differ in their constants; a few people say little about each."""
    shares = (model.log_shares - model.log_shares.mean(1, keepdim=True))[: model.leading]
    noise = model.log_noise[: model.leading]
    return (shares - shares.mean(0)).square().mean() + (noise - noise.mean()).square().mean()


def draw_rows(seconds: Float64Array, config: DynamicsConfig, chance: np.random.Generator) -> npt.NDArray[np.int64]:
    """Ascending rows of a clip, at gaps about a size of their own between `config.gaps`."""
    low, high = np.log(config.gaps)
    steps = np.exp(np.clip(chance.uniform(low, high) + chance.normal(0, 0.4, config.observations), low, high))
    times = np.concatenate([[0.0], np.cumsum(steps)])
    length = seconds[-1] - seconds[0]
    times = times[times < length]
    begin = seconds[0] + chance.uniform(0, length - times[-1])
    return np.unique(np.searchsorted(seconds, begin + times).clip(0, len(seconds) - 1))[: config.observations]


def _spread(series: CodeSeries) -> float:
    return max(1e-6, float((series.codes - series.codes.mean(0)).square().mean().sqrt()))
