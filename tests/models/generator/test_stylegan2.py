"""StyleGAN2 as a generator: arithmetic of codes, determinism, noise, gradients, its own file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ModelError, ShapeError, WeightsError
from dynstream.models.generator.generator import Generator, broadcast_w
from dynstream.models.generator.stylegan2 import (
    StyleGAN2,
    StyleGAN2Config,
    estimate_mean_w,
    read_stylegan2,
    save_stylegan2,
)
from dynstream.models.generator.stylegan2_files import open_stylegan2

TINY = StyleGAN2Config(32, (8, 8, 6, 4), code_size=16, mapping_layers=3)


def make(config: StyleGAN2Config = TINY) -> StyleGAN2:
    network = StyleGAN2(config).randomize(torch.Generator().manual_seed(1))
    for layer in network.layers:
        layer.noise_strength.data.fill_(0.3)
    return network.eval().requires_grad_(False)


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> StyleGAN2:
    return make()


def test_it_is_a_generator(network: StyleGAN2) -> None:
    assert isinstance(network, Generator)


@pytest.mark.parametrize(("resolution", "codes"), [(8, 4), (16, 6), (32, 8), (64, 10), (256, 14), (1024, 18)])
def test_codes_of_a_resolution(resolution: int, codes: int) -> None:
    config = StyleGAN2Config.published(resolution)
    assert config.codes == codes
    assert len(config.layers) == codes - 1
    assert config.layers[-1].size == resolution
    assert config.layers[-1].c_out == config.channels[-1]


def test_published_channels() -> None:
    config_f = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert StyleGAN2Config.published(1024, 2).channels == config_f
    assert StyleGAN2Config.published(1024, 1).channels == (512, 512, 512, 512, 256, 128, 64, 32, 16)
    assert StyleGAN2Config.published(64, 1 / 64).channels == (64, 32, 16, 8, 4)


def test_config_f_has_the_published_size() -> None:
    with torch.device("meta"):
        network = StyleGAN2(StyleGAN2Config.published(1024))
    assert sum(p.numel() for p in network.parameters()) == 30_370_060


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
def test_every_size_is_drawn(resolution: int) -> None:
    network = make(StyleGAN2Config.published(resolution, 1 / 64, code_size=16, mapping_layers=2))
    w_plus = broadcast_w(network.map(rand(0, 2, 16)), network.codes)
    full = network.synthesize(w_plus, size=resolution)
    assert full.shape == (2, 3, resolution, resolution)
    assert full.isfinite().all()
    assert full.std() > 0


@pytest.mark.parametrize("bad", [0, 4, 48, 2048])
def test_a_resolution_that_is_none(bad: int) -> None:
    with pytest.raises(ModelError, match=f"power of two from 8 to 1024, got {bad}"):
        StyleGAN2Config.published(bad)


def test_a_config_that_makes_no_network() -> None:
    with pytest.raises(ModelError, match="needs 4 channel counts"):
        StyleGAN2Config(32, (8, 8, 8))
    with pytest.raises(ModelError, match="mapping_layers above zero"):
        StyleGAN2Config(8, (4, 4), mapping_layers=0)
    with pytest.raises(ModelError, match="conv_clamp above zero"):
        StyleGAN2Config(8, (4, 4), conv_clamp=-1)


def test_same_codes_same_picture(network: StyleGAN2) -> None:
    w_plus = rand(2, 2, 8, 16)
    assert torch.equal(network.synthesize(w_plus, size=32), network.synthesize(w_plus, size=32))


def test_a_batch_is_its_items(network: StyleGAN2) -> None:
    w_plus, noise = rand(2, 3, 8, 16), rand(3, 3, 1, 32, 32)
    batch = network.synthesize(w_plus, noise=noise, size=32)
    single = [network.synthesize(w_plus[i : i + 1], noise=noise[i : i + 1], size=32) for i in range(3)]
    torch.testing.assert_close(batch, torch.cat(single), atol=1e-4, rtol=1e-4)


def test_repeated_w_is_w(network: StyleGAN2) -> None:
    w = network.map(rand(4, 1, 16))
    repeated = network.synthesize(torch.stack([w] * 8, 1), size=32)
    assert torch.equal(network.synthesize(broadcast_w(w, 8), size=32), repeated)


def test_each_code_drives_its_layer_and_the_head_before_it(network: StyleGAN2) -> None:
    """Changing code i leaves the features before layer i as they are."""
    w_plus = rand(5, 1, 8, 16)
    for code in range(8):
        changed = w_plus.clone()
        changed[:, code] += 1
        outputs: list[list[Tensor]] = []
        for codes in (w_plus, changed):
            seen: list[Tensor] = []
            hooks = [layer.register_forward_hook(lambda *a, seen=seen: seen.append(a[2])) for layer in network.layers]
            picture = network.synthesize(codes, size=32)
            for hook in hooks:
                hook.remove()
            outputs.append([*seen, picture])
        same = [torch.equal(a, b) for a, b in zip(*outputs, strict=True)]
        assert same == [layer < code for layer in range(7)] + [False]


def test_smaller_sizes_are_the_full_picture_shrunk(network: StyleGAN2) -> None:
    w_plus = rand(6, 1, 8, 16)
    full = network.synthesize(w_plus, size=32)
    for size in (4, 8, 16):
        blocks = full.reshape(1, 3, size, 32 // size, size, 32 // size).mean((3, 5))
        torch.testing.assert_close(network.synthesize(w_plus, size=size), blocks)


def test_zero_noise_is_no_noise(network: StyleGAN2) -> None:
    w_plus = rand(7, 2, 8, 16)
    none = network.synthesize(w_plus, size=32)
    assert torch.equal(network.synthesize(w_plus, noise=torch.zeros(2, 1, 32, 32), size=32), none)
    assert not torch.allclose(network.synthesize(w_plus, noise=rand(8, 2, 1, 32, 32), size=32), none)


def test_noise_adds_to_the_constant_maps_of_both_layers_at_32() -> None:
    network = make(StyleGAN2Config.published(64, 1 / 64, code_size=16, mapping_layers=2))
    w_plus, noise = rand(9, 1, 10, 16), rand(10, 1, 1, 32, 32)
    got = network.synthesize(w_plus, noise=noise, size=64)
    for layer in network.layers:
        if layer.noise.shape[-1] == 32:
            layer.noise.add_(noise)
    torch.testing.assert_close(got, network.synthesize(w_plus, size=64))


def test_clamped_activations() -> None:
    free = make()
    clamped = make(StyleGAN2Config(32, TINY.channels, 16, 3, conv_clamp=0.5))
    clamped.load_state_dict(free.state_dict())
    seen: list[Tensor] = []
    for part in (*clamped.layers, *clamped.to_rgbs):
        part.register_forward_hook(lambda *a: seen.append(a[2]))
    clamped.synthesize(rand(11, 1, 8, 16), size=32)
    assert len(seen) == 11
    assert max(float(features.abs().max()) for features in seen) == 0.5


@pytest.mark.parametrize("shape", [(1, 7, 16), (1, 9, 16), (1, 8, 15), (8, 16), (1, 1, 8, 16)])
def test_wrong_codes(network: StyleGAN2, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected W\+ codes of shape \(B, 8, 16\)"):
        network.synthesize(torch.zeros(shape), size=32)


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (1, 1, 16, 16), (1, 3, 32, 32), (32, 32)])
def test_wrong_noise(network: StyleGAN2, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected a noise map of shape \(1, 1, 32, 32\)"):
        network.synthesize(torch.zeros(1, 8, 16), noise=torch.zeros(shape), size=32)


def test_noise_without_layers_to_take_it() -> None:
    network = make(StyleGAN2Config(16, (4, 4, 4), code_size=16))
    with pytest.raises(ShapeError, match="no 32x32 layers"):
        network.synthesize(torch.zeros(1, 6, 16), noise=torch.zeros(1, 1, 32, 32), size=16)


@pytest.mark.parametrize("size", [0, 2, 24, 64, 256])
def test_wrong_size(network: StyleGAN2, size: int) -> None:
    with pytest.raises(ShapeError, match="draws 4, 8, 16, 32 pixels"):
        network.synthesize(torch.zeros(1, 8, 16), size=size)


def test_wrong_z(network: StyleGAN2) -> None:
    with pytest.raises(ShapeError, match=r"\(B, 16\)"):
        network.map(torch.zeros(1, 17))


def test_mapping_ignores_the_length_of_z(network: StyleGAN2) -> None:
    z = rand(12, 4, 16)
    torch.testing.assert_close(network.map(z * 100), network.map(z))


def test_mean_w_is_measured_and_the_same_each_time(network: StyleGAN2) -> None:
    assert torch.equal(estimate_mean_w(network), estimate_mean_w(network))
    torch.testing.assert_close(network.mean_w(), network.map(rand(13, 200_000, 16)).mean(0), atol=0.03, rtol=0)


def test_gradients_reach_codes_and_noise() -> None:
    network = make(StyleGAN2Config(32, (2, 2, 2, 2), code_size=3, mapping_layers=1)).double()
    w_plus = rand(14, 1, 8, 3).double().requires_grad_(True)
    noise = rand(15, 1, 1, 32, 32).double().requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda codes, extra: network.synthesize(codes, noise=extra, size=16), (w_plus, noise), fast_mode=True
    )


def test_every_weight_is_used(network: StyleGAN2) -> None:
    network.requires_grad_(True)
    network.synthesize(broadcast_w(network.map(rand(16, 2, 16)), 8), size=32).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_own_file(network: StyleGAN2, tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    save_stylegan2(network, path)
    for back in (read_stylegan2(path), open_stylegan2(path)):
        assert back.config == network.config
        assert not back.training
        assert not any(parameter.requires_grad for parameter in back.parameters())
        w_plus = rand(17, 1, 8, 16)
        assert torch.equal(back.synthesize(w_plus, size=32), network.synthesize(w_plus, size=32))
        assert torch.equal(back.mean_w(), network.mean_w())


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}", b"\xff" * 64, b"PK\x03\x04", b"\x80\x04", b"<html>"])
def test_a_file_of_no_known_layout(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"g\.bin"):
        open_stylegan2(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        open_stylegan2(tmp_path / "none.pkl")
