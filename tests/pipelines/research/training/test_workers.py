"""Several processes take the step that one takes on all of their data."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dynstream.pipelines.research.training.loop import LoopConfig, step_generator, train
from dynstream.pipelines.research.training.workers import Workers, join_workers, training_device

CONFIG = LoopConfig(steps=3, lr=0.05, warmup=0, clip=100.0)
COUNT = 2


def model() -> nn.Module:
    torch.manual_seed(7)
    return nn.Linear(4, 1)


def loss_of(network: nn.Module, random: torch.Generator) -> Tensor:
    x = torch.randn(16, 4, generator=random)
    return (network(x)[:, 0] - x.sum(1).tanh()).square().mean()


def work(folder: Path) -> None:
    """What each process does; `torchrun` would set the same variables."""
    network = model()
    with join_workers(torch.device("cpu")) as workers:
        train(
            network, lambda _number, random: (loss_of(network, random), {}), CONFIG, folder / "run",
            workers=workers, echo=lambda _text: None,
        )  # fmt: skip
        torch.save(network.state_dict(), folder / f"{workers.rank}-of-{workers.count}.pt")


def test_two_processes_equal_one_with_both_batches(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": str(COUNT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen([sys.executable, __file__, str(tmp_path)], env={**shared, "RANK": str(rank)})
        for rank in range(COUNT)
    ]
    assert [process.wait() for process in running] == [0] * COUNT
    first, second = (torch.load(tmp_path / f"{rank}-of-{COUNT}.pt", weights_only=True) for rank in range(COUNT))
    network = model()

    def step(number: int, _random: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        randoms = [step_generator(CONFIG.seed, number, rank) for rank in range(COUNT)]
        return torch.stack([loss_of(network, random) for random in randoms]).mean(), {}

    train(network, step, CONFIG, tmp_path / "alone", echo=lambda _text: None)
    for name, value in network.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value)


def test_alone_nothing_is_averaged() -> None:
    network = model()
    loss_of(network, torch.Generator().manual_seed(0)).backward()
    before = network.weight.grad.clone()  # type: ignore[union-attr, operator]
    Workers().average_gradients(network)
    assert torch.equal(network.weight.grad, before)  # type: ignore[arg-type]


def test_the_device_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto") == torch.device("cpu")
    assert training_device("cpu") == torch.device("cpu")


if __name__ == "__main__":
    work(Path(sys.argv[1]))
