"""A stream's memory as bytes: bit for bit there and back, and nothing else is read."""

import dataclasses
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from dynstream.models.encoders.recurrent_encoder import RecurrentState
from dynstream.pipelines.common.errors import StateError
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.editor.face_editor import SessionState
from dynstream.pipelines.engine.serialization import KINDS, VERSION, from_bytes, to_bytes
from dynstream.pipelines.inversion.latent_memory import LatentState, RecurrentMemory

from ..fakes import editor, frames, scene


def equal(one: Any, other: Any) -> None:
    """Bit for bit, kind for kind; lists count as tuples, since memories hold tuples."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape, one.device) == (other.dtype, other.shape, other.device)
        assert to_bytes(one) == to_bytes(other)
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    elif dataclasses.is_dataclass(one) and not isinstance(one, type):
        for item in dataclasses.fields(one):
            equal(getattr(one, item.name), getattr(other, item.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            equal(mine, theirs)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            equal(one[key], other[key])
    else:
        assert one == other or (one != one and other != other)


def lived() -> tuple[Any, SessionState, list[Any]]:
    of, state, stages = editor("smile=0:1@1s"), SessionState(), Stages()
    items = frames([scene((90 + 2 * i, 60)) for i in range(8)] + [scene(None)] * 2 + [scene((110, 60))] * 4)
    for item in items[:9]:
        state, _ = of.step(state, item, stages)
    return of, state, items[9:]


def test_a_stream_goes_on_from_bytes_as_if_nothing_had_happened() -> None:
    of, state, rest = lived()
    again = from_bytes(to_bytes(state))
    equal(again, state)
    stages = Stages()
    for item in rest:
        state, expected = of.step(state, item, stages)
        again, edited = of.step(again, item, stages)
        np.testing.assert_array_equal(edited.frame.pixels, expected.frame.pixels)
        equal(again, state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.bool, torch.int64, torch.uint8])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_tensors(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    value = (torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 5).to(dtype)
    equal(from_bytes(to_bytes(value)), value)


def test_a_tensor_that_is_not_contiguous() -> None:
    value = torch.arange(12.0).reshape(3, 4).T
    equal(from_bytes(to_bytes(value)), value.contiguous())


def test_numbers_that_are_not_numbers_keep_their_bits() -> None:
    odd = np.array([np.nan, -0.0, np.inf, -np.inf, 5e-324])
    equal(from_bytes(to_bytes((odd, float("nan"), -0.0, 1 / 3))), (odd, float("nan"), -0.0, 1 / 3))
    assert np.signbit(from_bytes(to_bytes(-0.0)))


def test_plain_values_and_arrays() -> None:
    value = (None, True, 3, -1.5, "Größe", (), {1: ("a",), "b": {}}, np.zeros((2, 0), np.uint8), np.arange(6)[::2])
    equal(from_bytes(to_bytes(value)), (*value[:-1], np.ascontiguousarray(value[-1])))


def test_the_recurrent_memory() -> None:
    face = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    memory = RecurrentMemory(
        torch.randn(18, 512), torch.randn(8, 512), None, 1.5, RecurrentState.start(1), face, face, face
    )
    state = SessionState(latents={3: LatentState(torch.randn(18, 512), 2.0, memory)})
    equal(from_bytes(to_bytes(state)), state)


def test_every_kind_that_a_memory_is_made_of_is_known() -> None:
    _, state, _ = lived()
    seen: set[str] = set()

    def walk(value: Any) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            seen.add(type(value).__name__)
            for item in dataclasses.fields(value):
                walk(getattr(value, item.name))
        elif isinstance(value, tuple | list):
            list(map(walk, value))
        elif isinstance(value, dict):
            list(map(walk, value.values()))

    walk(state)
    assert {
        "SessionState",
        "HeldFace",
        "FaceTrack",
        "FaceVisibility",
        "LatentState",
        "CompositeState",
        "ReprojectableLayers",
    } <= seen
    assert seen <= set(KINDS)


class Stranger:
    """Not on the list."""


def test_only_what_is_on_the_list_is_saved() -> None:
    with pytest.raises(TypeError, match="cannot save a Stranger"):
        to_bytes((1, Stranger()))
    with pytest.raises(TypeError, match="cannot save an array of object"):
        to_bytes(np.array([None]))
    with pytest.raises(TypeError, match=r"cannot save a tensor of torch\.complex64"):
        to_bytes(torch.zeros(1, dtype=torch.complex64))


def document(value: Any, **header: Any) -> bytes:
    packed: bytes = msgpack.packb({"format": "dynstream-state", "version": VERSION, "value": value} | header)
    return packed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"\xc1", "cannot be read"),
        (b"\x01\x02", "cannot be read"),
        (msgpack.packb([1]), "not a saved state"),
        (document(None, format="other"), "not a saved state"),
        (document(None, version=VERSION + 1), f"saved as version {VERSION + 1}, and this is version {VERSION}"),
        (document([]), "does not fit together"),
        (document(["q", 1]), "unknown kind 'q'"),
        (document(["d", "Popen", {"args": "ls"}]), "holds a 'Popen', which this version does not know"),
        (document(["d", "LatentState", {"codes": None}]), "made by another version"),
        (document(["d", "LatentState"]), "does not fit together"),
        (document(["m", 1]), "does not fit together"),
        (document(["a", "<f4", [2], b"1234"]), "not whole: 4 bytes"),
        (document(["a", "|O", [1], b"12345678"]), "not whole"),
        (document(["a", "<f4", [-1, -1], b"1234"]), "not whole"),
        (document(["x", "float32", [1 << 40], b""]), "not whole"),
        (document(["x", "storage", [1], b"1"]), "not whole"),
        (document(["x", "float32"]), "does not fit together"),
    ],
)
def test_anything_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message):
        from_bytes(data)


def test_a_cut_or_very_deep_state_is_refused() -> None:
    _, state, _ = lived()
    data = to_bytes(state)
    for share in (0.1, 0.5, 0.999):
        with pytest.raises(StateError):
            from_bytes(data[: int(share * len(data))])
    deep: Any = 1
    for _ in range(100):
        deep = ["t", deep]
    with pytest.raises(StateError, match="does not fit together"):
        from_bytes(document(deep))
