"""The loop that all trainings share: schedule, resume to the bit, checkpoints that survive, errors that say why."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.research.training.loop import CHECKPOINT, LoopConfig, save_weights, step_generator, train
from dynstream.stream.errors import SinkError

CONFIG = LoopConfig(steps=12, lr=0.05, warmup=3, ema=0.9, save_seconds=0.0, log_steps=5)


class KilledError(Exception):
    """What stops a training in these tests."""


def model(width: int = 3) -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 1))


def problem(network: nn.Module, kill_at: int | None = None):
    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        if number == kill_at:
            raise KilledError
        x = torch.randn(16, 4, generator=random)
        loss = (network(x)[:, 0] - x.sum(1).tanh()).square().mean()
        return loss, {"again": loss.item()}

    return step


def seconds() -> Iterator[float]:
    now = 0.0
    while True:
        now += 1.0
        yield now


def go(
    run: Path, config: LoopConfig = CONFIG, kill_at: int | None = None, network: nn.Module | None = None
) -> nn.Module:
    network = network or model()
    clock = seconds()
    return train(network, problem(network, kill_at), config, run, clock=lambda: next(clock), echo=lambda _text: None)


def same(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_rate_rises_and_falls() -> None:
    config = LoopConfig(steps=110, lr=0.2, warmup=10)
    assert config.rate(0) == pytest.approx(0.02)
    assert config.rate(9) == pytest.approx(0.2)
    assert config.rate(10) == pytest.approx(0.2)
    assert config.rate(60) == pytest.approx(0.1)
    assert config.rate(110) == pytest.approx(0.0, abs=1e-12)
    rates = [config.rate(step) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)
    assert LoopConfig(steps=1, lr=0.1, warmup=0).rate(0) == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"lr": 0.0}, {"lr": -1.0}])
def test_settings_that_are_none(bad: dict[str, float]) -> None:
    with pytest.raises(TrainingError, match="expected steps of 1 or more and lr above 0"):
        LoopConfig(**{"steps": 5, "lr": 0.1} | bad)  # type: ignore[arg-type]


def test_random_numbers_of_a_step_are_its_own() -> None:
    draws = {(seed, step): torch.rand(4, generator=step_generator(seed, step)) for seed in (0, 1) for step in range(3)}
    again = torch.rand(4, generator=step_generator(1, 2))
    assert torch.equal(draws[1, 2], again)
    values = [tuple(value.tolist()) for value in draws.values()]
    assert len(set(values)) == len(values)


def test_it_learns_and_returns_the_average(tmp_path: Path) -> None:
    config = LoopConfig(steps=150, lr=0.05, warmup=5, ema=0.9, log_steps=50)
    network = go(tmp_path / "run", config, network=model(16))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [50, 100, 150]
    assert lines[-1]["loss"] < 0.1
    assert set(lines[0]) == {"step", "loss", "again", "steps_per_second"}
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert state["step"] == 150
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state["average"].items())
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize("kills", [[0], [1], [5], [11], [2, 3, 9]])
def test_a_killed_training_ends_with_the_very_same_weights(kills: list[int], tmp_path: Path) -> None:
    whole = go(tmp_path / "whole")
    for kill in kills:
        with pytest.raises(KilledError):
            go(tmp_path / "cut", kill_at=kill)
    assert same(go(tmp_path / "cut"), whole)


def test_steps_since_the_last_checkpoint_are_done_again(tmp_path: Path) -> None:
    """With checkpoints far apart a kill costs steps, not the result."""
    rare = LoopConfig(**{**CONFIG.__dict__, "save_seconds": 7.5})
    whole = go(tmp_path / "whole", rare)
    with pytest.raises(KilledError):
        go(tmp_path / "cut", rare, kill_at=11)
    step = torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)["step"]
    assert 0 < step < 11
    assert same(go(tmp_path / "cut", rare), whole)


def test_a_finished_training_returns_what_it_made(tmp_path: Path) -> None:
    first = go(tmp_path)
    said: list[str] = []
    network = model()
    train(network, problem(network, kill_at=0), CONFIG, tmp_path, echo=said.append)
    assert same(network, first)
    assert said == ["resuming at step 12 of 12"]


def test_more_steps_go_on(tmp_path: Path) -> None:
    go(tmp_path)
    longer = LoopConfig(**{**CONFIG.__dict__, "steps": 15})
    go(tmp_path, longer)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 15


def test_evaluation_sees_the_average_and_leaves_no_trace(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def evaluate(network: nn.Module, step: int) -> dict[str, float]:
        seen.append((step, network.training))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        return {"score": float(step)}

    plain = go(tmp_path / "plain")
    network = model()
    train(
        network, problem(network), CONFIG, tmp_path / "seen", evaluate=evaluate, evaluate_steps=4,
        echo=lambda _text: None,
    )  # fmt: skip
    assert seen == [(4, False), (8, False), (12, False)]
    assert same(network, plain)
    log = (tmp_path / "seen" / "log.jsonl").read_text()
    assert '"score": 8.0' in log


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: model(5), r"checkpoint\.pt is of another model: 0\.weight is \(3, 4\) there and \(5, 4\) here"),
        (lambda: nn.Sequential(*model(), nn.Linear(1, 1)), r"4\.weight is missing there and \(1, 1\) here"),
        (lambda: nn.Sequential(*list(model())[:3]), r"3\.weight is \(1, 3\) there and missing here"),
    ],
)
def test_a_checkpoint_of_another_model(other: object, message: str, tmp_path: Path) -> None:
    go(tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match=message + "; name another --run folder"):
        go(tmp_path, network=other())  # type: ignore[operator]
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 broken"])
def test_a_checkpoint_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read as a checkpoint .*--run folder"):
        go(tmp_path)
    torch.save({"model": {}}, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        go(tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        go(tmp_path, kill_at=4)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match=r"the last one is kept: cannot write .*free space"), file_size_limit(2000):
        go(tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
    assert same(go(tmp_path), go(tmp_path / "whole"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number(value: float, tmp_path: Path) -> None:
    network = model()

    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss, values = problem(network)(number, random)
        return (loss * value if number == 5 else loss), values

    with pytest.raises(TrainingError, match=f"the loss is {value} at step 5; run again with a smaller --lr"):
        train(network, step, CONFIG, tmp_path, clock=seconds().__next__, echo=lambda _text: None)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 5
    assert same(go(tmp_path), go(tmp_path / "whole"))


def test_a_gradient_that_is_no_number_never_reaches_a_checkpoint(tmp_path: Path) -> None:
    network = model()

    def step(number: int, random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        loss, values = problem(network)(number, random)
        zero = network[0].weight.square().sum() * 0  # type: ignore[index, union-attr, operator]
        return (loss + zero.sqrt() if number == 5 else loss), values

    with pytest.raises(TrainingError, match="the gradient is nan at step 5"):
        train(network, step, CONFIG, tmp_path, clock=seconds().__next__, echo=lambda _text: None)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert all(value.isfinite().all() for value in state["model"].values())


def test_saved_weights(tmp_path: Path) -> None:
    network = model()
    save_weights(network, tmp_path / "new" / "w.safetensors")
    half = load_file(tmp_path / "new" / "w.safetensors")
    assert half.keys() == network.state_dict().keys()
    assert half["0.weight"].dtype == torch.float16
    assert half["1.num_batches_tracked"].dtype == torch.int64
    torch.testing.assert_close(half["0.weight"].float(), network.state_dict()["0.weight"], atol=1e-3, rtol=1e-3)
    save_weights(network, tmp_path / "w.safetensors", dtype=torch.float32)
    assert torch.equal(load_file(tmp_path / "w.safetensors")["3.bias"], network.state_dict()["3.bias"])


def test_saving_weights_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(model(), path)
    before = path.read_bytes()
    with pytest.raises(SinkError, match=r"cannot write .*free space"), file_size_limit(100):
        save_weights(model(8), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
