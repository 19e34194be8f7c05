"""Several processes that train one model together, as `torchrun` starts them; alone, everything here does nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes that train together.

    Attributes:
        rank: of this process, 0 is the one that writes.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process keeps the log, the checkpoints and the result."""
        return self.rank == 0

    def average_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its mean over the processes, so that all take the same step."""
        if self.count == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        torch._foreach_copy_(
            gradients,
            [
                part.view_as(own)
                for part, own in zip(flat.split([g.numel() for g in gradients]), gradients, strict=True)
            ],
        )

    def wait(self) -> None:
        """Until all are here: what the first wrote can then be read by the others."""
        if self.count > 1:
            dist.barrier()


ALONE = Workers()


@contextmanager
def join_workers(device: torch.device) -> Iterator[Workers]:
    """The processes of this `torchrun`, one alone without it."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def training_device(name: str) -> torch.device:
    """`auto`: the GPU of this process where there is one, the CPU otherwise; or any name that torch knows."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    device = torch.device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device
