"""The loop that every training of the project shares: schedule, averaged weights, log, checkpoint, resume.

A step's random numbers depend on the seed and on the step alone, so that a training that was killed and started again
sees what it would have seen.
"""

import io
import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ....models.allocator import keep_freed_memory
from ....stream.atomic import write_whole
from ....stream.errors import SinkError
from ...common.errors import TrainingError
from ..common.extra import need_research
from .workers import ALONE, Workers

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CHECKPOINT = "checkpoint.pt"

Loss = tuple[Tensor, dict[str, float]]
Step = Callable[[int, torch.Generator], Loss]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of a training.

    Attributes:
        steps: optimizer steps in all.
        lr: peak learning rate of Adam, reached after `warmup` steps, then a cosine to zero.
        ema: decay per step of the averaged weights, which are the result.
        clip: largest gradient norm.
        save_seconds: seconds between checkpoints.
        log_steps: steps between log lines.
        seed: of every random choice.
    """

    steps: int
    lr: float
    warmup: int = 100
    ema: float = 0.998
    clip: float = 1.0
    save_seconds: float = 120.0
    log_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.lr <= 0:
            raise TrainingError(f"expected steps of 1 or more and lr above 0, got steps={self.steps}, lr={self.lr}")

    def changed(self, steps: int | None, lr: float | None) -> Self:
        """With other steps or another learning rate, where they are given."""
        return replace(self, steps=steps or self.steps, lr=lr or self.lr)

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The random numbers of one step of one process."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step + rank * 1_000_000_007)


def train(
    model: nn.Module,
    step: Step,
    config: LoopConfig,
    run: Path,
    *,
    evaluate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    evaluate_steps: int = 500,
    workers: Workers = ALONE,
    clock: Callable[[], float] = time.monotonic,
    echo: Callable[[str], None] = print,
) -> nn.Module:
    """Train `model` in place, or go on with what `run` holds; returns it with the averaged weights.

    step: (step number, random generator) -> (loss, values to log). evaluate: called with the averaged model.
    workers: processes that take each step together, every one with random numbers of its own; the first one writes.
    In `run`: `checkpoint.pt` (replaced as a whole), `log.jsonl`, TensorBoard events.
    Raises TrainingError where the checkpoint is of another model.
    """
    need_research("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    keep_freed_memory()
    run.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=config.lr, betas=(0.9, 0.99))
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    first = _resume(run / CHECKPOINT, model, optimizer, average)
    if first and workers.writes:
        echo(f"resuming at step {first} of {config.steps}")
    workers.wait()  # until all have read the checkpoint that the first one will replace
    saved = started = clock()
    with SummaryWriter(str(run / "tensorboard")) if workers.writes else nullcontext() as writer:
        for number in range(first, config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.rate(number)
            loss, values = step(number, step_generator(config.seed, number, workers.rank))
            _check_finite("loss", loss, number)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            workers.average_gradients(model)
            _check_finite("gradient", nn.utils.clip_grad_norm_(model.parameters(), config.clip), number)
            optimizer.step()
            _move_average(average, model, min(config.ema, (1 + number) / (10 + number)))
            done = number + 1
            if writer is None:
                continue
            if done % config.log_steps == 0 or done == config.steps:
                rate = (done - first) / max(1e-9, clock() - started)
                _log(run, writer, done, {"loss": loss.item(), **values, "steps_per_second": rate}, echo)
            if evaluate and (done % evaluate_steps == 0 or done == config.steps):
                _log(run, writer, done, _evaluate(model, average, evaluate, done), echo)
            if clock() - saved > config.save_seconds or done == config.steps:
                _save(run / CHECKPOINT, model, optimizer, average, done, config)
                saved = clock()
    workers.wait()
    model.load_state_dict(average)
    return model


def _check_finite(what: str, value: Tensor, step: int) -> None:
    if not torch.isfinite(value):
        raise TrainingError(f"the {what} is {value.item()} at step {step}; run again with a smaller --lr")


def _move_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


def _evaluate(
    model: nn.Module, weights: dict[str, Tensor], call: Callable[[nn.Module, int], dict[str, float]], step: int
) -> dict[str, float]:
    own = {name: value.detach().clone() for name, value in model.state_dict().items()}
    training = model.training
    model.load_state_dict(weights)
    model.eval()
    try:
        with torch.no_grad():
            return call(model, step)
    finally:
        model.load_state_dict(own)
        model.train(training)


def _log(run: Path, writer: "SummaryWriter", step: int, values: dict[str, float], echo: Callable[[str], None]) -> None:
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, **values}) + "\n")
    for name, value in values.items():
        writer.add_scalar(name, value, step)
    echo(f"step {step}  " + "  ".join(f"{name} {value:.4g}" for name, value in values.items()))


def _save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    step: int,
    config: LoopConfig,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
        "step": step,
        "config": asdict(config),
    }
    # Written from memory: a full disk then is an error that torch would hide.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        write_whole(path, buffer.getbuffer())
    except SinkError as error:
        raise TrainingError(f"the checkpoint was not saved, the last one is kept: {error}") from error


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")  # `load_state_dict` moves it
        state["model"], state["optimizer"], state["average"], state["step"]
    except Exception as error:  # torch.load has no error class of its own for a damaged or foreign file
        raise TrainingError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}); remove it, or name another --run folder"
        ) from error
    expected = model.state_dict()
    for name in [*expected, *state["model"]]:
        ours, theirs = expected.get(name), state["model"].get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            raise TrainingError(
                f"{path} is of another model: {name} is {_shape(theirs)} there and {_shape(ours)} here; "
                "name another --run folder"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    average.update({name: value.to(average[name].device) for name, value in state["average"].items()})
    step: int = state["step"]
    return step


def _shape(value: Tensor | None) -> str:
    return "missing" if value is None else str(tuple(value.shape))


def save_weights(model: nn.Module, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a model's weights as safetensors: the file is whole or not there. Raises SinkError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.detach().to(dtype) if value.is_floating_point() else value.detach()).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    write_whole(path, save(state))
