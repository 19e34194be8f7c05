"""Directions of others: every layout that they come in, and everything that is none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dynstream.models.directions.directions import Direction, load_directions, save_directions, user_folder
from dynstream.models.directions.published_directions import import_directions, read_directions, read_vectors
from dynstream.models.errors import ShapeError, WeightsError

W = torch.randn(512, generator=torch.Generator().manual_seed(1))
W_PLUS = torch.randn(18, 512, generator=torch.Generator().manual_seed(2))


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNSTREAM_DIRECTIONS", str(tmp_path / "mine"))


def write(path: Path, value: torch.Tensor | dict[str, torch.Tensor]) -> Path:
    several = value if isinstance(value, dict) else None
    if path.suffix in (".pt", ".pth"):
        torch.save(value, path)
    elif path.suffix == ".npy":
        np.save(path, value.numpy())  # type: ignore[union-attr]
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in (several or {"age": value}).items()})  # type: ignore[union-attr]
    else:
        save_file(several or {"age": value}, path)  # type: ignore[dict-item]
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (W, W.expand(18, 512)),
        (W[None], W.expand(18, 512)),
        (W_PLUS, W_PLUS),
        (W_PLUS[None], W_PLUS),
        (W.double(), W.expand(18, 512)),
    ],
)
def test_every_layout(tmp_path: Path, suffix: str, value: torch.Tensor, expected: torch.Tensor) -> None:
    found = read_vectors(write(tmp_path / f"age{suffix}", value.contiguous()))
    assert list(found) == ["age"]
    torch.testing.assert_close(found["age"], expected)


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
def test_several_in_one_file(tmp_path: Path, suffix: str) -> None:
    found = read_directions(write(tmp_path / f"all{suffix}", {"age": W, "pose": W_PLUS}))
    assert set(found) == {"age", "pose"}
    assert found["pose"].scale == pytest.approx(float(W_PLUS.norm()), rel=1e-5)
    torch.testing.assert_close(found["age"].offset(2.0), 2 * W.expand(18, 512))
    only = read_directions(tmp_path / f"all{suffix}", only=["pose"])
    assert list(only) == ["pose"]
    with pytest.raises(WeightsError, match=r"holds no direction 'smile'; it holds"):
        read_directions(tmp_path / f"all{suffix}", only=["smile"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(256), r"expected \(512,\), \(1, 512\), \(18, 512\) or \(1, 18, 512\), got \(256,\)"),
        (torch.ones(14, 512), r"got \(14, 512\)"),
        (torch.ones(2, 18, 512), r"got \(2, 18, 512\)"),
        (torch.full((512,), float("nan")), "not finite"),
        (torch.full((18, 512), float("inf")), "not finite"),
        (torch.zeros(18, 512), "has no length: every value is zero"),
        (torch.ones(512, dtype=torch.int64), "expected floating-point values, got torch.int64"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
def test_vectors_that_are_no_directions(tmp_path: Path, suffix: str, value: torch.Tensor, message: str) -> None:
    path = write(tmp_path / f"age{suffix}", value)
    with pytest.raises(ShapeError, match=f"'age' of .*{message}|'age' of .* {message}"):
        read_vectors(path)


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_damaged_files(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"age{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"age\.\w+ cannot be read"):
        read_vectors(path)


def test_files_that_would_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("run",))

    torch.save(Evil(), tmp_path / "a.pt")
    np.save(tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    for name in ("a.pt", "a.npy"):
        with pytest.raises(WeightsError, match="cannot be read"):
            read_vectors(tmp_path / name)


def test_other_things_in_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"age": W, "step": 3}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="expected a tensor, or a dict of tensors"):
        read_vectors(tmp_path / "a.pt")
    torch.save({1: W, "1": W_PLUS}, tmp_path / "b.pt")
    with pytest.raises(WeightsError, match="a name is there twice: 1, 1"):
        read_vectors(tmp_path / "b.pt")
    np.savez(tmp_path / "c.npz")
    with pytest.raises(WeightsError, match="holds no vectors"):
        read_vectors(tmp_path / "c.npz")


def test_files_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected a file of \.pt, .*, got '\.txt'"):
        read_vectors(tmp_path / "age.txt")
    with pytest.raises(WeightsError, match="is not there"):
        read_vectors(tmp_path / "age.npy")


def test_scale_and_layers(tmp_path: Path) -> None:
    path = write(tmp_path / "age.npy", W)
    part = read_directions(path, layers=(3, 7))["age"]
    assert [bool(row.any()) for row in part.vector] == [3 <= i < 7 for i in range(18)]
    torch.testing.assert_close(part.offset(1.0)[3:7], W.expand(4, 512))
    assert read_directions(path, scale=2.5)["age"].scale == 2.5
    with pytest.raises(ShapeError, match="expected layers from 0 to 17, the lower first, got 12-20"):
        read_directions(path, layers=(12, 21))


def test_a_file_of_our_own_keeps_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    own = Direction("tilt", W_PLUS / W_PLUS.norm(), scale=2.0, low=-1.0, about="tilt", effect={"yaw": 2.0})
    save_directions(path, {"tilt": own})
    found = read_directions(path)["tilt"]
    assert (found.scale, found.low, found.about, dict(found.effect)) == (2.0, -1.0, "tilt", {"yaw": 2.0})
    assert not read_directions(path, layers=(0, 4))["tilt"].effect


def test_imported_directions_are_known(tmp_path: Path) -> None:
    before = load_directions()
    (path,) = import_directions(read_directions(write(tmp_path / "long-hair.npy", W)))
    assert path == user_folder() / "long-hair.safetensors"
    known = load_directions()
    assert set(known) == {*before, "long-hair"}
    torch.testing.assert_close(known["long-hair"].offset(1.0), W.expand(18, 512))
    with pytest.raises(WeightsError, match=r"you have a direction 'long-hair' already; pass --overwrite"):
        import_directions({"long-hair": known["long-hair"]})
    import_directions({"long-hair": known["long-hair"]}, overwrite=True)


def test_names_that_cannot_be(tmp_path: Path) -> None:
    direction = read_directions(write(tmp_path / "age.npy", W))["age"]
    with pytest.raises(WeightsError, match="there is a shipped direction 'smile' already"):
        import_directions({"smile": direction}, overwrite=True)
    for name in ("", "a=b", "../x", "smile@nonlinear", "-x", "a b", "é"):
        with pytest.raises(WeightsError, match="cannot be called"):
            import_directions({name: direction})
    assert not user_folder().exists()


def test_named_twice(tmp_path: Path) -> None:
    direction = read_directions(write(tmp_path / "long.npy", W))["long"]
    user_folder().mkdir()
    for file in ("a", "b"):
        save_directions(user_folder() / f"{file}.safetensors", {"long": direction})
    with pytest.raises(WeightsError, match=r"'long' is in .*a\.safetensors and in .*b\.safetensors; remove one"):
        load_directions()


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DYNSTREAM_DIRECTIONS", str(tmp_path / "file" / "mine"))
    direction = read_directions(write(tmp_path / "age.npy", W))["age"]
    with pytest.raises(WeightsError, match=r"cannot make .*; DYNSTREAM_DIRECTIONS chooses another"):
        import_directions({"long": direction})
