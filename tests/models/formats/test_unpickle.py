"""The restricted unpickler reads arrays and containers, and runs nothing."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynstream.models.errors import WeightsError
from dynstream.models.formats.unpickle import read_arrays


def write(folder: Path, value: object, protocol: int = 3) -> Path:
    path = folder / "file.ckpt"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


class Calls:
    """A pickle of this calls a function with the given arguments when it is read."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_and_containers(tmp_path: Path, protocol: int) -> None:
    value = OrderedDict(
        a={"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4)},
        b=[np.array(3, np.int64), np.float64(2.5), ("x", b"y", None, True)],
        c=np.asfortranarray(np.eye(3, dtype=">f8")),
    )
    read = read_arrays(write(tmp_path, value, protocol))
    np.testing.assert_array_equal(read["a"]["kernel"], value["a"]["kernel"])
    assert read["a"]["kernel"].dtype == np.float32
    assert read["b"] == value["b"]
    np.testing.assert_array_equal(read["c"], value["c"])
    assert read["c"].flags.f_contiguous


def test_a_malicious_pickle_is_refused_and_executes_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    for value in (
        Calls(os.system, f"touch {trap}"),
        Calls(eval, f"open({str(trap)!r}, 'w')"),
        {"weights": [np.zeros(2), Calls(os.mkdir, str(trap))]},
        Calls(pickle.loads, pickle.dumps(Calls(os.mkdir, str(trap)))),
    ):
        with pytest.raises(WeightsError, match=r"not a pickle of NumPy arrays alone .it names .*not plain data"):
            read_arrays(write(tmp_path, value))
        assert not trap.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([{"a": 1}], dtype=object),
        Calls(np.ndarray, (10**12,)),
        Calls(np.dtype, "O"),
        Path("x"),
    ],
    ids=["objects", "huge", "object-dtype", "class"],
)
def test_other_than_plain_arrays_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(WeightsError, match=r"file\.ckpt is not a pickle of NumPy arrays alone"):
        read_arrays(write(tmp_path, value))


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_cut_pickle_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path, {"a": np.arange(100)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError, match="not a pickle"):
        read_arrays(path)


def test_bytes_that_are_no_pickle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(WeightsError, match="not a pickle"):
        read_arrays(path)
