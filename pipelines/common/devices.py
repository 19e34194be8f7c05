"""The device that networks run on: the one place where anything is moved to it or back.

A frame goes up once and comes back once. Everything between the two stays on the device and asks for no value, since
each value that the host asks for (`.item()`, `bool()`, `.cpu()`) waits until all queued work is done.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .errors import PipelineError


class Device:
    """A device by its name: cpu, cuda, cuda:1, ...

    Attributes:
        where: what torch calls it.
    """

    def __init__(self, name: str = "cpu") -> None:
        """Raises PipelineError for an unknown or missing device."""
        try:
            self.where = torch.device(name)
            torch.empty(1, device=self.where)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise PipelineError(
                f"device {name!r} cannot be used ({reason}); take cpu, or see `dynstream doctor`"
            ) from error

    @property
    def is_host(self) -> bool:
        """Whether it is the CPU, where arrays and tensors share memory and OpenCV does what is not a network."""
        return self.where.type == "cpu"

    def upload(self, array: npt.NDArray[Any]) -> Tensor:
        """The array on the device. On CUDA it goes through pinned memory, and the host does not wait for it."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.where.type == "cuda":
            return tensor.pin_memory().to(self.where, non_blocking=True)
        return tensor.to(self.where)

    def download(self, tensor: Tensor) -> npt.NDArray[Any]:
        """The tensor as an array. On CUDA the host waits for what was queued before it, not for what comes later."""
        if self.where.type != "cuda":
            return tensor.contiguous().cpu().numpy()
        kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        kept.copy_(tensor, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        done.synchronize()
        return kept.numpy()

    def move(self, network: nn.Module) -> None:
        """Put a network's weights on the device, in the memory order that its convolutions take."""
        network.to(self.where, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def to(self, tensor: Tensor) -> Tensor:
        """A tensor on the device, once: for constants, not for frames."""
        return tensor.to(self.where)


HOST = Device("cpu")
