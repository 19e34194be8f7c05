"""Pickles that try to run something, or to reach beyond their own data, end with an error and nothing run."""

import functools
import io
import operator
import os
import pickle
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynstream.models.errors import WeightsError
from dynstream.models.generator import stylegan2_unpickle
from dynstream.models.generator.stylegan2_unpickle import ArrayRecord, NetworkRecord, read_pickle, to_tensor


class Call:
    """Pickles as a call of `function`, followed by `state`."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def write(content: bytes, folder: Path) -> Path:
    path = folder / "bad.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        Call(os.system, "touch ran"),
        Call(eval, "open('ran', 'w')"),
        Call(exec, "open('ran', 'w')"),
        Call(getattr, Call(__import__, "os"), "system"),
        Call(subprocess.check_output, ["touch", "ran"]),
        Call(open, "ran", "w"),
        Call(operator.attrgetter, "system"),
        Call(functools.partial, print),
        Call(torch.load, "ran"),
        Call(torch.hub.load, "someone/something", "model"),
        Call(np.load, "ran"),
    ],
)
def test_code_does_not_run(call: Call, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(pickle.dumps({"G_ema": [call]}, protocol), tmp_path)
    with pytest.raises(WeightsError, match=r"bad\.pkl was not read: it names .* nothing of it was run"):
        read_pickle(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"(S'touch ran'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch ran'\no.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x0bcollections\x8c\x1cOrderedDict.__class__.__base__\x93.",
        b"\x80\x04\x8c\x10stylegan2_unpickle\x8c\x02io\x93.",
        b"ctorch_utils.persistence\nos\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"Pos.system\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_programs_written_by_hand(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"bad\.pkl"):
        read_pickle(write(program, tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target",
    [b"cdnnlib.tflib.network\nNetwork\n", b"cdnnlib.util\nEasyDict\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n",
     b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"c__builtin__\nset\n"],
)  # fmt: skip
@pytest.mark.parametrize("state", [b"}S'kind'\nS'altered'\ns", b"(N}S'kind'\nS'altered'\nst", b"(S'a'\nS'b'\nt"])
def test_what_the_names_lead_to_cannot_be_altered(target: bytes, state: bytes, tmp_path: Path) -> None:
    before = {name: dict(vars(thing)) for name, thing in vars(stylegan2_unpickle).items() if isinstance(thing, type)}
    with pytest.raises(WeightsError):
        read_pickle(write(target + state + b"b.", tmp_path))
    after = {name: dict(vars(thing)) for name, thing in vars(stylegan2_unpickle).items() if isinstance(thing, type)}
    assert after == before
    assert not hasattr(OrderedDict, "kind")


def test_a_network_keeps_its_state_and_no_more(tmp_path: Path) -> None:
    program = b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81}X\x03\x00\x00\x00abcK\x07sb."
    record = read_pickle(write(program, tmp_path))
    assert isinstance(record, NetworkRecord)
    assert record.values == {"abc": 7}


def restored(content: object, folder: Path, protocol: int = 4) -> Any:
    return read_pickle(write(pickle.dumps(content, protocol), folder))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f2", "f8", "i8", "u1", "?"])
def test_arrays_arrive(dtype: str, protocol: int, tmp_path: Path) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype)
    cube = values.reshape(3, 2, 2)
    for array in (
        values,
        np.asfortranarray(values),
        values[:, 1:2],
        cube.transpose(1, 0, 2),
        np.zeros((0, 3), dtype),
        np.array(1, dtype),
    ):
        record = restored(array, tmp_path, protocol)
        assert isinstance(record, ArrayRecord)
        np.testing.assert_array_equal(record.array, array)
        assert record.array.dtype == array.dtype.newbyteorder("=")
    assert restored(np.float64(0.25), tmp_path, protocol) == 0.25


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_arrive(protocol: int, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    for tensor in (base, base.transpose(0, 2), base[1, 1:], torch.tensor(5.0), torch.zeros(0, 2), base.half()):
        got = restored(tensor, tmp_path, protocol)
        assert torch.equal(got, tensor)
        assert got.dtype == tensor.dtype
    assert torch.equal(restored(torch.nn.Parameter(base), tmp_path, protocol), base)


@pytest.mark.parametrize("array", [np.array([None]), np.array(["a"]), np.zeros(2, "c8"), np.zeros(2, [("a", "f4")])])
def test_other_dtypes_are_refused(array: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="of dtype"):
        restored(array, tmp_path)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "message"),
    [
        (0, (5,), (1,), "beyond its memory of 4 items"),
        (3, (2,), (1,), "beyond its memory"),
        (0, (2, 2), (10**12, 1), "beyond its memory"),
        (-1, (2,), (1,), "impossible size"),
        (0, (-2,), (1,), "impossible size"),
        (0, (2,), (-1,), "impossible size"),
        (0, (2, 2), (1,), "impossible size"),
        (0, (2.0,), (1,), "impossible size"),
    ],
)
def test_tensors_stay_within_their_memory(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    memory = torch.TypedStorage(wrap_storage=torch.zeros(4).untyped_storage(), dtype=torch.float32, _internal=True)
    call = Call(torch._utils._rebuild_tensor_v2, memory, offset, size, stride, False, OrderedDict())
    with pytest.raises(WeightsError, match=message):
        restored(call, tmp_path)


def test_memory_is_read_as_tensors_only(tmp_path: Path) -> None:
    for content in (Call(os.system, "touch ran"), {"a": 1}):
        inner = io.BytesIO()
        torch.save(content, inner)
        with pytest.raises(WeightsError, match=r"bad\.pkl"):
            restored(Call(torch.storage._load_from_bytes, inner.getvalue()), tmp_path)
    with pytest.raises(WeightsError, match="not given as bytes"):
        restored(Call(torch.storage._load_from_bytes, "path"), tmp_path)


def test_only_numbers_become_tensors() -> None:
    assert to_tensor(0.5, "x", "file") == torch.tensor(0.5)
    with pytest.raises(WeightsError, match="'x' of file is a str"):
        to_tensor("0.5", "x", "file")
