"""Strict loading: it copies what fits, and names the first key that does not."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dynstream.models.errors import WeightsError
from dynstream.models.formats.checkpoint import load_safetensors, load_state, unfilled


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1, bias=False)
        self.bn = nn.BatchNorm2d(3)


def fitting() -> dict[str, Tensor]:
    return {key: torch.rand_like(value.float()) for key, value in Small().state_dict().items()}


def test_copies_and_freezes(tmp_path: Path) -> None:
    state = fitting()
    save_file(state, tmp_path / "small.safetensors")
    network = load_safetensors(Small(), tmp_path / "small.safetensors")
    assert torch.equal(network.conv.weight, state["conv.weight"])
    assert torch.equal(network.bn.running_var, state["bn.running_var"])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_half_precision_is_widened() -> None:
    network = load_state(Small(), {key: value.half() for key, value in fitting().items()}, "here")
    assert network.conv.weight.dtype == torch.float32


@pytest.mark.parametrize("counter", [None, torch.tensor(7), torch.tensor([7])])
def test_counters_of_training_do_not_matter(counter: Tensor | None) -> None:
    state = fitting()
    del state["bn.num_batches_tracked"]
    if counter is not None:
        state["bn.num_batches_tracked"] = counter
    load_state(Small(), state, "here")


def test_names_the_first_missing_key() -> None:
    state = fitting()
    del state["bn.weight"]
    del state["bn.bias"]
    with pytest.raises(WeightsError, match=r"here has no 'bn\.weight', which Small needs"):
        load_state(Small(), state, "here")


def test_names_the_first_unknown_key() -> None:
    with pytest.raises(WeightsError, match=r"here holds 'fc\.weight', which Small does not know"):
        load_state(Small(), fitting() | {"fc.weight": torch.zeros(1)}, "here")


def test_names_the_first_key_of_another_shape() -> None:
    with pytest.raises(WeightsError, match=r"'conv\.weight' of here is \(3, 4, 1, 1\), but Small expects \(3, 2, 1, 1"):
        load_state(Small(), fitting() | {"conv.weight": torch.zeros(3, 4, 1, 1)}, "here")


def test_a_refused_state_changes_nothing() -> None:
    network = Small()
    before = network.conv.weight.clone()
    with pytest.raises(WeightsError):
        load_state(network, fitting() | {"bn.bias": torch.zeros(9)}, "here")
    assert torch.equal(network.conv.weight, before)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "small.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"small\.safetensors cannot be read as safetensors"):
        load_safetensors(Small(), tmp_path / "small.safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_safetensors(Small(), tmp_path / "nowhere.safetensors")


def test_what_a_file_fills_draws_no_random_numbers() -> None:
    before, state = torch.random.get_rng_state(), fitting() | {"conv.weight": torch.ones(3, 2, 1, 1)}
    drawn = torch.random.get_rng_state()
    network = load_state(unfilled(Small), state, "here")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert not torch.equal(before, drawn)
    assert torch.equal(network.conv.weight, state["conv.weight"])
    Small()
    assert not torch.equal(torch.random.get_rng_state(), drawn)
