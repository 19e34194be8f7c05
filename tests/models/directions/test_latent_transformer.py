"""Nonlinear edits: what the network promises, and its file."""

import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dynstream.models.directions.latent_transformer import (
    LatentTransformer,
    NonlinearDirection,
    load_nonlinear_directions,
    save_nonlinear_directions,
)
from dynstream.models.errors import ShapeError, WeightsError


def network(seed: int = 0, first: int = 3, end: int = 9) -> LatentTransformer:
    torch.manual_seed(seed)
    made = LatentTransformer(18, first, end, hidden=8)
    made.up.weight.data.normal_(std=0.1)
    made.place.data.normal_()
    made.direction.normal_()
    return made.eval().requires_grad_(False)


def codes(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 18, 512, generator=torch.Generator().manual_seed(5))


def test_an_untrained_network_is_its_direction() -> None:
    made = LatentTransformer(18, 3, 9)
    made.direction.normal_()
    torch.testing.assert_close(made(codes()), made.direction.expand(3, -1, -1))


def test_it_moves_its_layers_by_the_code() -> None:
    made = network()
    made.direction.zero_()
    step = made(codes())
    assert step.shape == (3, 18, 512)
    assert [bool(step[0, i].any()) for i in range(18)] == [3 <= i < 9 for i in range(18)]
    assert not torch.allclose(step[0], step[1])


def test_a_batch_equals_its_items() -> None:
    made, w_plus = network(), codes()
    torch.testing.assert_close(made(w_plus), torch.cat([made(one) for one in w_plus.split(1)]))


def test_gradients() -> None:
    made, w_plus = network().double(), codes(1).double().requires_grad_()
    with torch.no_grad():
        direction = torch.randn(w_plus.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made(w_plus).square().sum().backward()
    assert w_plus.grad is not None
    with torch.no_grad():
        up, down = (made(w_plus + side * 1e-6 * direction).square().sum() for side in (1, -1))
    assert float((w_plus.grad * direction).sum()) == pytest.approx(float(up - down) / 2e-6, rel=1e-4)


@pytest.mark.parametrize("shape", [(18, 512), (1, 14, 512), (1, 18, 256)])
def test_codes_of_another_generator(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected codes \(B, 18, 512\)"):
        network()(torch.zeros(shape))


@pytest.mark.parametrize("layers", [(3, 3), (-1, 4), (4, 19)])
def test_layers_that_are_none(layers: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="expected layers inside 0 to 18"):
        LatentTransformer(18, *layers)


def test_strengths_scale_the_step() -> None:
    direction = NonlinearDirection("age@nonlinear", network())
    torch.testing.assert_close(direction.step(codes(), -2.0), -2 * direction.step(codes(), 1.0))
    with pytest.raises(ValueError, match="expected low < high"):
        NonlinearDirection("x", network(), low=1.0, high=0.0)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "l.safetensors"
    given = {
        "age@nonlinear": NonlinearDirection(
            "age@nonlinear", network(1), low=-2.0, high=2.5, about="older", effect={"age": 7.0}
        ),
        "smile@nonlinear": NonlinearDirection("smile@nonlinear", network(2, 2, 6)),
    }
    save_nonlinear_directions(path, given)
    found = load_nonlinear_directions(path)
    assert list(found) == sorted(given)
    for name, direction in given.items():
        other = found[name]
        assert (other.name, other.low, other.high, other.about) == (
            name,
            direction.low,
            direction.high,
            direction.about,
        )
        assert dict(other.effect) == dict(direction.effect)
        torch.testing.assert_close(other.step(codes(), 1.0), direction.step(codes(), 1.0), atol=0.02, rtol=0.01)
        assert not any(value.requires_grad for value in other.network.parameters())
    assert [file.name for file in tmp_path.iterdir()] == ["l.safetensors"]


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "l.safetensors"
    with pytest.raises(WeightsError, match="is not a file of nonlinear edits"):
        load_nonlinear_directions(path)
    for metadata in (None, {"bends": "no json"}, {"bends": '{"a": {}}'}, {"bends": "[]"}):
        save_file({"a": torch.zeros(1)}, path, metadata=metadata)
        with pytest.raises(WeightsError, match=r"is not a file of nonlinear edits .*train latent-transformer"):
            load_nonlinear_directions(path)
    save_nonlinear_directions(path, {"age@nonlinear": NonlinearDirection("age@nonlinear", network())})
    about = {"age@nonlinear": {"layers": [3, 9], "codes": 18, "hidden": 16}}
    tensors = {f"age@nonlinear.{key}": value.contiguous() for key, value in network().state_dict().items()}
    save_file(tensors, path, metadata={"bends": json.dumps(about)})
    with pytest.raises(WeightsError, match=r"'place' of age@nonlinear of .* is \(6, 8\), but LatentTransformer"):
        load_nonlinear_directions(path)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "l.safetensors"
    save_nonlinear_directions(path, {"age@nonlinear": NonlinearDirection("age@nonlinear", network())})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WeightsError, match="cannot write"):
            save_nonlinear_directions(path, {"smile@nonlinear": NonlinearDirection("smile@nonlinear", network())})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(load_nonlinear_directions(path)) == ["age@nonlinear"]


def test_where_none_ship_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynstream.models.directions.latent_transformer.WEIGHTS", tmp_path / "none.safetensors")
    assert load_nonlinear_directions() == {}
    with pytest.raises(WeightsError, match="train latent-transformer"):
        load_nonlinear_directions(tmp_path / "none.safetensors")
