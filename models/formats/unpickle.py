"""Reads pickles of NumPy arrays and builtin containers, and refuses every other: no code of a pickle ever runs."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import WeightsError


class _ArrayKind:
    """Stands for numpy.ndarray where a pickle names it; a pickle has no other use for it than to name it."""


def _empty_array(kind: object, _shape: object, _dtype: object) -> npt.NDArray[Any]:
    """Stands for NumPy's own `_reconstruct`: the array's state follows in the pickle, so its start is always empty."""
    if kind is not _ArrayKind:
        raise pickle.UnpicklingError(f"an array of the kind {kind!r}")
    return np.ndarray((0,), np.int8)


def _dtype(name: str, align: bool = False, copy: bool = False) -> np.dtype[Any]:
    found = np.dtype(name, align=align, copy=copy)
    if found.hasobject:
        raise pickle.UnpicklingError(f"an array of Python objects ({name})")
    return found


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    return np.frombuffer(data, dtype, count=1)[0]


ARRAYS: Mapping[tuple[str, str], Any] = MappingProxyType(
    {
        ("numpy", "ndarray"): _ArrayKind,
        ("numpy", "dtype"): _dtype,
        ("collections", "OrderedDict"): OrderedDict,
    }
    | {
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _empty_array), ("scalar", _scalar))
    }
)
"""(module, name) in a pickle -> what stands for it. Nothing is imported because a pickle names it."""


# What a damaged or hostile pickle can make the standard unpickler raise.
_UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
)


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows the globals of `admitted` and no others.

    Raises pickle.UnpicklingError at the first other one, before it is called.
    """

    def __init__(self, file: BinaryIO, admitted: Mapping[tuple[str, str], Any] = ARRAYS) -> None:
        super().__init__(file)
        self._admitted = admitted

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data") from None


def read_arrays(path: Path) -> Any:
    """The containers and NumPy arrays of a pickle file.

    Raises WeightsError if it holds anything else, or is no whole pickle.
    """
    with path.open("rb") as file:
        try:
            return RestrictedUnpickler(file).load()
        except _UNREADABLE as error:
            raise WeightsError(
                f"{path.name} is not a pickle of NumPy arrays alone ({error}); nothing of it was run"
            ) from error
