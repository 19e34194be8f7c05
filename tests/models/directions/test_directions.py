"""Directions and their file: what goes in comes out, and what is none is refused with a word to the user."""

import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dynstream.models.directions.directions import Direction, load_directions, save_directions, unit
from dynstream.models.errors import ShapeError, WeightsError


def vector(seed: int = 0, codes: int = 18) -> Tensor:
    return unit(torch.randn(codes, 512, generator=torch.Generator().manual_seed(seed)), "x")


SMILE = Direction(
    "smile", vector(1), scale=2.5, low=-2.0, high=3.5, about="smile more", effect={"smile": 0.2, "age": -0.1}
)
AGE = Direction("age", vector(2))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    save_directions(path, {"smile": SMILE, "age": AGE})
    loaded = load_directions(path)
    assert list(loaded) == ["age", "smile"]
    for one in (SMILE, AGE):
        other = loaded[one.name]
        assert torch.equal(other.vector, one.vector)
        assert (other.name, other.scale, other.low, other.high) == (one.name, one.scale, one.low, one.high)
        assert (other.about, dict(other.effect)) == (one.about, dict(one.effect))
    assert list(loaded["smile"].effect) == ["smile", "age"]
    assert [file.name for file in tmp_path.iterdir()] == ["d.safetensors"]


def test_an_offset_is_strength_times_scale() -> None:
    assert float(SMILE.offset(2).norm()) == pytest.approx(5.0, abs=1e-4)
    torch.testing.assert_close(SMILE.offset(-1), -SMILE.offset(1))
    assert not SMILE.offset(0).any()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"vector": torch.zeros(512)}, r"expected \(codes, 512\), got \(512,\)"),
        ({"vector": torch.zeros(18, 256)}, r"got \(18, 256\)"),
        ({"vector": torch.zeros(18, 512)}, "expected length 1, got 0"),
        ({"vector": 2 * vector()}, "expected length 1, got 2"),
        ({"vector": torch.full((18, 512), float("nan"))}, "not finite"),
    ],
)
def test_a_vector_that_is_no_direction(bad: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Direction("x", **bad)


@pytest.mark.parametrize(
    "bad", [{"low": 1.0, "high": 1.0}, {"low": 2.0, "high": -2.0}, {"scale": 0.0}, {"scale": -1.0},
            {"scale": float("nan")}, {"scale": float("inf")}],
)  # fmt: skip
def test_a_range_or_scale_that_is_none(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="low < high and scale > 0"):
        Direction("x", vector(), **bad)  # type: ignore[arg-type]


def test_unit() -> None:
    assert float(unit(torch.full((2, 512), 3.0), "x").norm()) == pytest.approx(1)
    for bad in (torch.zeros(1, 512), torch.full((1, 512), float("nan"))):
        with pytest.raises(ShapeError, match="'x' has no length"):
            unit(bad, "x")


GOOD = {"scale": 1.0, "low": -3.0, "high": 3.0, "about": "", "effect": {}}


@pytest.mark.parametrize(
    ("tensor", "about"),
    [
        (vector(), None),
        (vector(), "no json"),
        (vector(), []),
        (vector(), {}),
        (vector(), {"x": 3}),
        (vector(), {"x": GOOD | {"colour": "red"}}),
        (vector(), {"x": GOOD | {"scale": "much"}}),
        (vector(), {"x": GOOD | {"low": 4.0}}),
        (2 * vector(), {"x": GOOD}),
        (vector()[0], {"x": GOOD}),
    ],
)
def test_a_file_with_something_else(tensor: Tensor, about: object, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    text = about if isinstance(about, str) else json.dumps(about)
    save_file({"x": tensor.contiguous()}, path, metadata=None if about is None else {"directions": text})
    with pytest.raises(WeightsError, match=r"d\.safetensors is not a file of directions .*`dynstream directions find`"):
        load_directions(path)


@pytest.mark.parametrize("content", [None, b"", b"no weights", b"\x10" + bytes(40)])
def test_a_file_of_another_kind(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a file of directions"):
        load_directions(path)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    save_directions(path, {"age": AGE})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WeightsError, match=r"cannot write .*free space or name another file"):
            save_directions(path, {"smile": SMILE})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(load_directions(path)) == ["age"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot write"):
        save_directions(tmp_path / "no" / "d.safetensors", {"age": AGE})
