"""The rosinality layout: files made here, key by key, against the network that they were made from."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import WeightsError
from dynstream.models.generator.stylegan2 import StyleGAN2, StyleGAN2Config, save_stylegan2
from dynstream.models.generator.stylegan2_files import open_stylegan2
from dynstream.models.generator.stylegan2_rosinality import from_rosinality, load_rosinality

CONFIG = StyleGAN2Config(32, (8, 7, 6, 4), code_size=16, mapping_layers=3)


@pytest.fixture(scope="module")
def network() -> StyleGAN2:
    generator = torch.Generator().manual_seed(0)
    made = StyleGAN2(CONFIG)
    for tensor in made.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return made.eval().requires_grad_(False)


def published(network: StyleGAN2) -> dict[str, Any]:
    """The checkpoint as its converter writes it, with the filters as buffers."""
    state = network.state_dict()
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 16
    g_ema: dict[str, Tensor] = {}
    for i in range(3):
        g_ema[f"style.{i + 1}.weight"] = state[f"mapping.layers.{i}.weight"]
        g_ema[f"style.{i + 1}.bias"] = state[f"mapping.layers.{i}.bias"]
    g_ema["input.input"] = state["constant"]
    for i in range(7):
        name = f"convs.{i - 1}" if i else "conv1"
        g_ema[f"{name}.conv.weight"] = state[f"layers.{i}.conv.weight"].unsqueeze(0)
        if i % 2:
            g_ema[f"{name}.conv.blur.kernel"] = kernel
        g_ema[f"{name}.conv.modulation.weight"] = state[f"layers.{i}.conv.modulation.weight"]
        g_ema[f"{name}.conv.modulation.bias"] = state[f"layers.{i}.conv.modulation.bias"]
        g_ema[f"{name}.noise.weight"] = state[f"layers.{i}.noise_strength"].reshape(1)
        g_ema[f"{name}.activate.bias"] = state[f"layers.{i}.bias"]
        g_ema[f"noises.noise_{i}"] = state[f"layers.{i}.noise"]
    for i in range(4):
        name = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        g_ema[f"{name}.bias"] = state[f"to_rgbs.{i}.bias"].reshape(1, 3, 1, 1)
        if i:
            g_ema[f"{name}.upsample.kernel"] = kernel
        g_ema[f"{name}.conv.weight"] = state[f"to_rgbs.{i}.conv.weight"].unsqueeze(0)
        g_ema[f"{name}.conv.modulation.weight"] = state[f"to_rgbs.{i}.conv.modulation.weight"]
        g_ema[f"{name}.conv.modulation.bias"] = state[f"to_rgbs.{i}.conv.modulation.bias"]
    return {"g_ema": g_ema, "latent_avg": state["w_avg"]}


def write(checkpoint: object, folder: Path, *, zipped: bool = True) -> Path:
    path = folder / "stylegan2.pt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    return path


def assert_same(got: StyleGAN2, wanted: StyleGAN2) -> None:
    assert got.config == wanted.config
    ours, theirs = got.state_dict(), wanted.state_dict()
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


@pytest.mark.parametrize("zipped", [True, False])
def test_every_tensor_arrives(network: StyleGAN2, tmp_path: Path, zipped: bool) -> None:
    path = write(published(network), tmp_path, zipped=zipped)
    got = load_rosinality(path)
    assert_same(got, network)
    assert_same(open_stylegan2(path), network)
    assert not got.training
    assert not any(parameter.requires_grad for parameter in got.parameters())
    codes = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(got.synthesize(codes, size=32), network.synthesize(codes, size=32))


def test_saving_as_our_own_file(network: StyleGAN2, tmp_path: Path) -> None:
    save_stylegan2(open_stylegan2(write(published(network), tmp_path)), tmp_path / "g.safetensors")
    assert_same(open_stylegan2(tmp_path / "g.safetensors"), network)


def test_a_training_checkpoint(network: StyleGAN2, tmp_path: Path) -> None:
    extra = {"g": {}, "d": {}, "args": argparse.Namespace(size=32), "ada_aug_p": 0.1}
    assert_same(load_rosinality(write(published(network) | extra, tmp_path)), network)


def test_files_without_the_filters(network: StyleGAN2) -> None:
    checkpoint = published(network)
    state = {name: value for name, value in checkpoint["g_ema"].items() if not name.endswith("kernel")}
    assert_same(from_rosinality(state, checkpoint["latent_avg"], "a state dict"), network)


def test_without_latent_avg_the_mean_is_measured(network: StyleGAN2) -> None:
    state = published(network)["g_ema"]
    got = from_rosinality(state, None, "a state dict").mean_w()
    torch.testing.assert_close(got, from_rosinality(state, None, "a state dict").mean_w())
    z = torch.randn(100_000, 16, generator=torch.Generator().manual_seed(2))
    wanted = network.map(z)
    torch.testing.assert_close(got, wanted.mean(0), atol=0.05 * float(wanted.std()), rtol=0)


def test_early_checkpoints_without_noise(network: StyleGAN2) -> None:
    checkpoint = published(network)
    state = {name: value for name, value in checkpoint["g_ema"].items() if not name.startswith("noises.")}
    with pytest.raises(WeightsError, match=r"has no 'noises\.noise_0'.*noise_seed"):
        from_rosinality(state, checkpoint["latent_avg"], "a state dict")
    one, two = (from_rosinality(state, None, "a state dict", noise_seed=seed) for seed in (1, 2))
    assert_same(one, from_rosinality(state, None, "a state dict", noise_seed=1))
    assert not torch.equal(one.layers[3].noise, two.layers[3].noise)
    assert torch.equal(one.layers[3].conv.weight, network.layers[3].conv.weight)


@pytest.mark.parametrize(
    "missing",
    ["style.2.bias", "input.input", "convs.3.conv.modulation.bias", "to_rgbs.1.conv.weight", "noises.noise_4"],
)
def test_a_missing_key_is_named(network: StyleGAN2, tmp_path: Path, missing: str) -> None:
    checkpoint = published(network)
    del checkpoint["g_ema"][missing]
    with pytest.raises(WeightsError, match=rf"stylegan2\.pt has no '{missing}'"):
        load_rosinality(write(checkpoint, tmp_path))


@pytest.mark.parametrize("extra", ["convs.6.conv.weight", "style.0.weight", "noises.noise_7", "final.weight"])
def test_an_unknown_key_is_named(network: StyleGAN2, extra: str) -> None:
    checkpoint = published(network)
    checkpoint["g_ema"][extra] = torch.zeros(2)
    with pytest.raises(WeightsError, match=f"holds '{extra}' \\(2,\\), which a StyleGAN2 of 32 pixels"):
        from_rosinality(checkpoint["g_ema"], checkpoint["latent_avg"], "a file")


def test_another_shape_is_named_with_both(network: StyleGAN2) -> None:
    checkpoint = published(network)
    checkpoint["g_ema"]["convs.2.conv.weight"] = torch.zeros(1, 6, 7, 5, 5)
    with pytest.raises(
        WeightsError, match=r"'convs\.2\.conv\.weight' of a file is \(1, 6, 7, 5, 5\), expected \(1, 6, 7"
    ):
        from_rosinality(checkpoint["g_ema"], None, "a file")


def test_another_filter(network: StyleGAN2) -> None:
    checkpoint = published(network)
    checkpoint["g_ema"]["to_rgbs.0.upsample.kernel"] = torch.ones(4, 4) / 4
    with pytest.raises(WeightsError, match=r"'to_rgbs\.0\.upsample\.kernel' of a file is another low-pass filter"):
        from_rosinality(checkpoint["g_ema"], None, "a file")


def test_wrong_values(network: StyleGAN2) -> None:
    checkpoint = published(network)
    with pytest.raises(WeightsError, match=r"'latent_avg' of a file is \(18, 16\)"):
        from_rosinality(checkpoint["g_ema"], torch.zeros(18, 16), "a file")
    with pytest.raises(WeightsError, match="is a list, expected a tensor"):
        from_rosinality(checkpoint["g_ema"] | {"input.input": [1]}, None, "a file")
    with pytest.raises(WeightsError, match=r"'convs\.0\.activate\.bias' of a file is torch.int64"):
        from_rosinality(
            checkpoint["g_ema"] | {"convs.0.activate.bias": torch.zeros(7, dtype=torch.int64)}, None, "a file"
        )


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [({"g": {}}, "has no 'g_ema'.*it has g"), ([1], "it has list"), ({"g_ema": {}}, r"has no 'to_rgb1\.conv\.weight'")],
)
def test_another_checkpoint(checkpoint: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        load_rosinality(write(checkpoint, tmp_path))


class Bad:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write({"g_ema": {"style.1.weight": Bad()}}, tmp_path)
    with pytest.raises(WeightsError, match="cannot be read as a PyTorch checkpoint of tensors"):
        load_rosinality(path)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_checkpoint(network: StyleGAN2, tmp_path: Path) -> None:
    path = write(published(network), tmp_path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(WeightsError, match=r"stylegan2\.pt cannot be read"):
        load_rosinality(path)
