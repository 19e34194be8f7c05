"""A CUDA device that is not there: networks and pictures whose shapes and devices are computed, and no values.

`FakeTensorMode` knows the shape, type and device of every result. It raises where devices mix, where a value is asked
for (`.item()`, `bool()`, `.tolist()`, `.numpy()`) and where a shape depends on values. `_Watch` adds what a real device
does without a word: a tensor that is copied from one device to the other in the middle of a computation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dynstream.pipelines.common.devices import Device
from dynstream.pipelines.common.graphs import Results

CUDA = torch.device("cuda", 0)


class HiddenTransferError(AssertionError):
    """A tensor went to another device elsewhere than in `Device.upload` and `Device.download`."""


class _Watch(TorchDispatchMode):
    """Raises where an operation's result lies on another device than its large inputs do; keeps the shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, FakeTensor) for leaf in tree_leaves(out)):
            self.shapes.add((str(func), tuple(_shape(leaf) for leaf in tree_leaves((args, kwargs)))))
        given = {leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        large = {leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.ndim}
        if len(large) > 1:
            raise HiddenTransferError(f"{func} mixes {sorted(large)}")
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and given and leaf.device.type not in given:
                raise HiddenTransferError(f"{func} took {sorted(given)} and gave {leaf.device.type}")
        return out


def _shape(value: Any) -> Any:
    """What of an operand a recorded graph depends on. Numbers of the host are a frame's place and time."""
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


class _Python(TorchFunctionMode):
    """New tensors on the device are fake; indexing goes by operations that need no CUDA build; constants that are
    copied to the device with each call are refused.
    """

    def __init__(self, mode: FakeTensorMode) -> None:
        super().__init__()
        self.mode = mode

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        on_device = torch.device(kwargs.get("device") or "cpu").type == "cuda"
        name = getattr(func, "__name__", "")  # indexing comes as one of several objects of the same name
        if name == "__getitem__" and isinstance(args[0], FakeTensor):
            return _get(args[0], args[1])
        if name == "__setitem__" and isinstance(args[0], FakeTensor):
            target, value = _get(args[0], args[1]), args[2]
            if isinstance(value, Tensor):  # a broadcast of one device's numbers into the same shape
                assert (target + value).shape == target.shape
            return None
        if name == "contiguous" and isinstance(args[0], FakeTensor):
            order = kwargs.get("memory_format", torch.contiguous_format)
            return torch.ops.aten.clone(args[0], memory_format=order)
        if name == "grid_sample" and isinstance(args[0], FakeTensor):
            picture, grid = args[:2]
            assert (picture.device, picture.dtype) == (grid.device, grid.dtype)
            return picture.new_empty(*picture.shape[:2], *grid.shape[1:3])
        if name == "to" and isinstance(args[0], Tensor):
            return _to(*args, **kwargs)
        if name == "copy_":
            if not all(isinstance(each, FakeTensor) and each.fake_device.type == "cuda" for each in args[:2]):
                raise HiddenTransferError("copy_ between devices: upload, or compute the value there")
            assert args[0].shape == args[1].shape
            return args[0]
        if (func in (torch.tensor, torch.as_tensor) and on_device) or (
            func is Tensor.new_tensor and args[0].device.type == "cuda"
        ):
            raise HiddenTransferError(f"{func} copies a constant to the device, each time that it is called")
        if on_device and not any(isinstance(value, Tensor) for value in tree_leaves(args)):
            with self.mode:
                return func(*args, **kwargs)
        return func(*args, **kwargs)


def _to(x: Tensor, *targets: Any, **options: Any) -> Tensor:
    """Another type on the same device; a move to another one is refused."""
    dtype, devices = x.dtype, [torch.device(options["device"])] if options.get("device") is not None else []
    for target in (*targets, options.get("dtype")):
        if isinstance(target, Tensor):
            dtype, devices = target.dtype, [*devices, target.device]
        elif isinstance(target, torch.dtype):
            dtype = target
        elif isinstance(target, str | torch.device):
            devices.append(torch.device(target))
    if any(device.type != x.device.type for device in devices):
        raise HiddenTransferError(f"a tensor of {tuple(x.shape)} on {x.device} is moved to {devices[-1]}")
    order = options.get("memory_format", torch.preserve_format)
    return torch.ops.aten._to_copy(x, dtype=dtype, memory_format=order)


def _get(x: Tensor, index: Any) -> Tensor:
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        given = sum(part is not None and part is not Ellipsis for part in parts)
        parts[at : at + 1] = [slice(None)] * (x.ndim - given)
    axis, chosen = 0, {}
    for part in parts:
        if part is None:
            x = x.unsqueeze(axis)
        elif isinstance(part, int):
            x = x.select(axis, part)
            continue
        elif isinstance(part, slice):
            if part != slice(None):
                start, stop, step = part.indices(x.shape[axis])
                x = torch.ops.aten.slice(x, axis, start, stop, step)
        else:
            chosen[axis] = part if isinstance(part, Tensor) else torch.as_tensor(part)
        axis += 1
    return torch.ops.aten.index(x, [chosen.get(i) for i in range(max(chosen) + 1)]) if chosen else x


class FakeCuda(Device):
    """A `Device` of fake CUDA tensors, which counts what is moved; downloads are zeros of the right shape."""

    def __init__(self, mode: FakeTensorMode, watch: _Watch) -> None:
        self.where = CUDA
        self.mode = mode
        self.watch = watch
        self.uploads: list[tuple[int, ...]] = []
        self.downloads: list[tuple[int, ...]] = []

    def upload(self, array: npt.NDArray[Any]) -> Tensor:
        self.uploads.append(array.shape)
        return self.fake(torch.from_numpy(np.empty(array.shape, array.dtype)))

    def download(self, tensor: Tensor) -> npt.NDArray[Any]:
        assert isinstance(tensor, FakeTensor), "a tensor that was never on the device"
        assert tensor.fake_device.type == "cuda", f"a tensor on {tensor.fake_device} was to be downloaded"
        self.downloads.append(tuple(tensor.shape))
        return np.zeros(tuple(tensor.shape), torch.empty(0, dtype=tensor.dtype).numpy().dtype)

    def move(self, network: nn.Module) -> None:
        for module in network.modules():
            for kept in (module._parameters, module._buffers):
                for name, value in kept.items():
                    if value is not None:
                        kept[name] = self.fake(value)  # type: ignore[assignment]

    def to(self, tensor: Tensor) -> Tensor:
        return tensor if isinstance(tensor, FakeTensor) else self.fake(tensor)

    def fake(self, value: Tensor) -> Tensor:
        """A fake tensor on CUDA with the value's shape, type and strides; a parameter stays one."""
        meta = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        parameter = isinstance(value, nn.Parameter)
        fake = FakeTensor(self.mode, nn.Parameter(meta, value.requires_grad) if parameter else meta, CUDA)
        return nn.Parameter(fake, value.requires_grad) if parameter else fake

    def randn(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor that stands for numbers on the device."""
        return self.fake(torch.empty(shape, dtype=dtype))


def record(function: Callable[[], Results]) -> tuple[Callable[[], object], Results]:
    """Stands for the capture of a CUDA graph: shapes are computed once."""
    return (lambda: None), function()


@contextmanager
def fake_cuda(mode: FakeTensorMode | None = None) -> Iterator[FakeCuda]:
    """The device; inside, what is made on it is fake, and tensors of the host are real.

    mode: of an earlier device whose tensors are used again.
    """
    mode = mode or FakeTensorMode()
    with _Watch() as watch, _Python(mode):
        yield FakeCuda(mode, watch)


class MetaDevice(FakeCuda):
    """A device of meta tensors, for what needs gradients: autograd does not take fake CUDA tensors without CUDA."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__(FakeTensorMode(), watch)
        self.where = torch.device("meta")

    def fake(self, value: Tensor) -> Tensor:
        meta = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        return nn.Parameter(meta, value.requires_grad) if isinstance(value, nn.Parameter) else meta


@contextmanager
def meta_device() -> Iterator[MetaDevice]:
    """As `fake_cuda`, with gradients."""
    with _Watch() as watch:
        yield MetaDevice(watch)
