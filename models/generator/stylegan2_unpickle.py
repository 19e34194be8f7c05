"""Reading NVIDIA's network pickles as data: no code of the file, and none that it names, is run.

A pickle is a program that may call whatever it can name. Here the names that such files use lead to small classes of
this module which only keep what they are given; every other name ends the reading. Arrays and tensors are made from
their raw bytes with a dtype out of a short list, not by NumPy's or torch's own unpickling: these files come from
anywhere, and their own state could ask those for impossible dtypes or for memory beyond the file's.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import WeightsError
from ..formats.unpickle import RestrictedUnpickler

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class Record:
    """The values of a pickled object. `kind`: its class as the file names it."""

    kind = "object"

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise WeightsError(f"a {self.kind} has a {type(state).__name__} as its state, expected a dict")
        self.values = dict(state)


class NetworkRecord(Record):
    """A `dnnlib.tflib.network.Network` (TensorFlow): version, static_kwargs, components, variables and others."""

    kind = "dnnlib.tflib.network.Network"


class PersistentRecord(Record):
    """A `torch_utils.persistence` object (PyTorch): the attributes of the module. `class_name`: as the file says."""

    kind = "persistent object"

    def __init__(self, class_name: str, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.class_name = class_name
        self.values = dict(values)


class AttributeDict(dict[str, Any]):
    """A `dnnlib.EasyDict`, as a plain dict."""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise WeightsError(f"an EasyDict has a {type(state).__name__} as its state, expected a dict")
        self.update(state)


class DtypeRecord:
    """A NumPy dtype out of DTYPES; its byte order comes with its state."""

    def __init__(self, code: str) -> None:
        if code not in DTYPES:
            raise WeightsError(f"an array of dtype {code!r} is not read, only {', '.join(DTYPES)}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise WeightsError(f"a dtype has the byte order {order!r}, expected one of < > | =")
        self.dtype = self.dtype.newbyteorder(order)

    def read(self, raw: object) -> npt.NDArray[Any]:
        """The values in `raw`, in the machine's own byte order, one-dimensional."""
        if not isinstance(raw, bytes | bytearray) or len(raw) % self.dtype.itemsize:
            raise WeightsError(f"expected whole items of {self.dtype} as bytes, got {type(raw).__name__}")
        return np.frombuffer(raw, self.dtype).astype(self.dtype.newbyteorder("="))


class ArrayRecord:
    """A NumPy array; empty until its state comes."""

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] = np.zeros(0, np.float32)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise WeightsError("an array's state is not (version, shape, dtype, order, bytes)")
        _, shape, dtype, fortran, raw = state
        self.fill(raw, dtype, shape, fortran=bool(fortran))

    def fill(self, raw: object, dtype: object, shape: object, *, fortran: bool) -> None:
        """Take the values; WeightsError where raw bytes, dtype and shape are not what an array is made of."""
        if not isinstance(dtype, DtypeRecord):
            raise WeightsError("an array has no dtype")
        values = dtype.read(raw)
        if not isinstance(shape, tuple) or not _are_counts(shape) or math.prod(shape) != values.size:
            raise WeightsError(f"an array of shape {shape} has {values.size} values")
        self.array = values.reshape(shape, order="F" if fortran else "C")


class _Function:
    """A function that a pickle may call. Slots and a refusing __setstate__ keep the pickle from altering it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise WeightsError("the file tries to alter a function")


def read_pickle(path: Path) -> object:
    """The content of a pickle: builtin containers and numbers, tensors, `Record`s and `ArrayRecord`s.

    Raises WeightsError if the file is damaged, or names anything that a network pickle has no use for.
    """
    with path.open("rb") as file:
        try:
            return RestrictedUnpickler(file, _ADMITTED).load()
        except (WeightsError, pickle.UnpicklingError) as error:
            raise WeightsError(f"{path} was not read: {error}; nothing of it was run") from error
        except Exception as error:  # a damaged pickle can raise almost anything
            raise WeightsError(f"{path} is not a whole pickle ({type(error).__name__}: {error})") from error


def to_tensor(value: object, name: str, source: str) -> Tensor:
    """An array, a number or a tensor of a read pickle as a tensor; WeightsError for anything else."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, ArrayRecord):
        return torch.from_numpy(value.array)
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    raise WeightsError(f"'{name}' of {source} is a {type(value).__name__}, expected an array or a number")


def _are_counts(values: object) -> bool:
    return isinstance(values, tuple) and all(type(value) is int and value >= 0 for value in values)


def _persistent(meta: object) -> PersistentRecord:
    if not isinstance(meta, dict) or not isinstance(meta.get("state"), dict) or meta.get("type") != "class":
        raise WeightsError("a persistent object does not have the fields type='class', class_name and state")
    return PersistentRecord(str(meta.get("class_name")), meta["state"])


def _dtype(code: object, *_: object) -> DtypeRecord:
    return DtypeRecord(str(code))


def _array(*_: object) -> ArrayRecord:
    return ArrayRecord()


def _buffer_array(raw: object, dtype: object, shape: object, order: object, axes: object = None) -> ArrayRecord:
    """How protocol 5 spells an array; `axes`: recent versions keep an array in its own order of axes."""
    record = ArrayRecord()
    record.fill(raw, dtype, shape, fortran=order == "F")
    if order == "K" and axes is not None:
        if not isinstance(axes, tuple) or not _are_counts(axes):
            raise WeightsError(f"an array's order of axes is {axes!r}")
        record.array = record.array.transpose(axes)
    return record


def _scalar(dtype: object, raw: object) -> float | int:
    if not isinstance(dtype, DtypeRecord):
        raise WeightsError("a NumPy number has no dtype")
    value: float | int = dtype.read(raw).reshape(()).item()
    return value


def _bytes(text: object, encoding: object = "latin1") -> bytes:
    """How protocol 2 spells bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise WeightsError(f"bytes in the encoding {encoding!r}, expected latin1")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    """How protocol 2 spells no bytes."""
    return b""


def _storage(raw: object) -> torch.TypedStorage:
    """A tensor's memory, which torch pickles as a checkpoint of its own."""
    if not isinstance(raw, bytes):
        raise WeightsError("a tensor's memory is not given as bytes")
    storage = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.TypedStorage):
        raise WeightsError(f"a tensor's memory is a {type(storage).__name__}")
    return storage


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    if not isinstance(storage, torch.TypedStorage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise WeightsError("a tensor is not made of memory, offset, size and stride")
    if not _are_counts((offset,)) or not _are_counts(size) or not _are_counts(stride) or len(size) != len(stride):
        raise WeightsError(f"a tensor has the impossible size {size}, stride {stride} or offset {offset}")
    assert isinstance(offset, int)
    memory = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if 0 in size:
        return memory.new_empty(size)
    if last >= memory.numel():
        raise WeightsError(f"a tensor of size {size} reaches beyond its memory of {memory.numel()} items")
    return memory.as_strided(size, stride, offset)


def _parameter(tensor: object, *_: object) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise WeightsError("a parameter is not made of a tensor")
    return tensor


_ADMITTED: dict[tuple[str, str], object] = {
    ("dnnlib.tflib.network", "Network"): NetworkRecord,
    ("dnnlib.util", "EasyDict"): AttributeDict,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Function(_persistent),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("torch.storage", "_load_from_bytes"): _Function(_storage),
    ("numpy", "ndarray"): ArrayRecord,
    ("numpy", "dtype"): _Function(_dtype),
    ("numpy.core.multiarray", "_reconstruct"): _Function(_array),
    ("numpy._core.multiarray", "_reconstruct"): _Function(_array),
    ("numpy.core.multiarray", "scalar"): _Function(_scalar),
    ("numpy._core.multiarray", "scalar"): _Function(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Function(_buffer_array),
    ("numpy._core.numeric", "_frombuffer"): _Function(_buffer_array),
    ("_codecs", "encode"): _Function(_bytes),
    ("__builtin__", "bytes"): _Function(_empty_bytes),
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
