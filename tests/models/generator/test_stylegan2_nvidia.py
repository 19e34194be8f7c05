"""NVIDIA's two pickle layouts: files made here with stand-ins for its classes, read without them.

The TensorFlow layout is also run by a small NumPy generator of its own, written from the definition of that layout,
so that orientation, order and scale of every tensor are checked by the picture and not by our own reading of the keys.
"""

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
import torch
from torch import nn

from dynstream.models.errors import WeightsError
from dynstream.models.generator.stylegan2 import StyleGAN2, StyleGAN2Config
from dynstream.models.generator.stylegan2_files import open_stylegan2
from dynstream.models.generator.stylegan2_nvidia import load_nvidia

CONFIG = StyleGAN2Config(32, (8, 7, 6, 4), code_size=16, mapping_layers=3)
Arrays = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def network() -> StyleGAN2:
    generator = torch.Generator().manual_seed(0)
    made = StyleGAN2(CONFIG)
    for tensor in made.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return made.eval().requires_grad_(False)


class Network:
    """Pickles as `dnnlib.tflib.network.Network` does: its state is a dict."""

    def __init__(self, **state: object) -> None:
        self.__dict__.update(state)


class EasyDict(dict[str, Any]):
    pass


class Persistent(nn.Module):
    """Pickles as a `torch_utils.persistence` class does: its attributes as an argument of one function."""

    def __init__(self, name: str, **attributes: object) -> None:
        super().__init__()
        self.class_name = name
        for key, value in attributes.items():
            setattr(self, key, value)

    def __reduce__(self) -> Any:
        state = {key: value for key, value in self.__dict__.items() if key != "class_name"}
        meta = {"type": "class", "version": 6, "module_src": "raise SystemExit", "class_name": self.class_name}
        return _reconstruct_persistent_obj, ({**meta, "state": state},), None


def _reconstruct_persistent_obj(meta: object) -> object:
    raise AssertionError("only named by the files, never called")


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., bytes]]:
    """Pickles with NVIDIA's module names, which exist only while the file is written."""
    homes = {
        "dnnlib.tflib.network": Network,
        "dnnlib.util": EasyDict,
        "torch_utils.persistence": _reconstruct_persistent_obj,
    }
    for module, thing in homes.items():
        monkeypatch.setattr(thing, "__module__", module)

    def dump(content: object, protocol: int = 4) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            for package in ("dnnlib", "dnnlib.tflib", "torch_utils"):
                patch.setitem(sys.modules, package, types.ModuleType(package))
            for module, thing in homes.items():
                home = types.ModuleType(module)
                setattr(home, thing.__name__, thing)
                patch.setitem(sys.modules, module, home)
            return pickle.dumps(content, protocol)

    yield dump
    assert not {"dnnlib", "torch_utils"} & sys.modules.keys()


def tensorflow_arrays(network: StyleGAN2) -> tuple[Arrays, Arrays]:
    """The variables of the mapping and of the synthesis network."""
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    mapping: Arrays = {}
    for i in range(3):
        mapping[f"Dense{i}/weight"] = np.ascontiguousarray(state[f"mapping.layers.{i}.weight"].T)
        mapping[f"Dense{i}/bias"] = state[f"mapping.layers.{i}.bias"]
    synthesis: Arrays = {f"noise{i}": state[f"layers.{i}.noise"] for i in range(7)}
    synthesis["4x4/Const/const"] = state["constant"]
    names = ["4x4/Conv", "8x8/Conv0_up", "8x8/Conv1", "16x16/Conv0_up", "16x16/Conv1", "32x32/Conv0_up", "32x32/Conv1"]
    heads = ["4x4/ToRGB", "8x8/ToRGB", "16x16/ToRGB", "32x32/ToRGB"]
    parts = [(name, f"layers.{i}") for i, name in enumerate(names)]
    parts += [(name, f"to_rgbs.{i}") for i, name in enumerate(heads)]
    for theirs, ours in parts:
        weight = state[f"{ours}.conv.weight"].transpose(2, 3, 1, 0)
        synthesis[f"{theirs}/weight"] = weight[::-1, ::-1].copy() if theirs.endswith("_up") else weight
        synthesis[f"{theirs}/mod_weight"] = state[f"{ours}.conv.modulation.weight"].T
        synthesis[f"{theirs}/mod_bias"] = state[f"{ours}.conv.modulation.bias"] - 1
        synthesis[f"{theirs}/bias"] = state[f"{ours}.bias"]
        if ours.startswith("layers"):
            synthesis[f"{theirs}/noise_strength"] = state[f"{ours}.noise_strength"][()]
    return mapping, synthesis


def tensorflow_network(network: StyleGAN2, **settings: object) -> Network:
    mapping, synthesis = tensorflow_arrays(network)
    kwargs = {"num_channels": 3, "resolution": 32, "label_size": 0, "func_name": "training.networks.G", **settings}
    common = {
        "version": 4,
        "static_kwargs": kwargs,
        "build_module_src": "raise SystemExit",
        "build_func_name": "G_main",
    }
    parts = {
        name: Network(**common, name=f"G_{name}", components={}, variables=list(arrays.items()))
        for name, arrays in (("mapping", mapping), ("synthesis", synthesis))
    }
    own = [("lod", np.float32(0)), ("dlatent_avg", network.mean_w().numpy())]
    return Network(**common, name="Gs", components=parts, variables=own)


def persistent_network(network: StyleGAN2, clamp: float | None = None) -> Persistent:
    def affine(ours: str) -> Persistent:
        layer = network.get_submodule(ours)
        return Persistent("FullyConnectedLayer", activation="linear", weight=layer.weight, bias=layer.bias)

    def put(part: Persistent, **buffers: torch.Tensor) -> Persistent:
        for name, value in buffers.items():
            part.register_buffer(name, value)
        return part

    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 64
    mapping = Persistent("MappingNetwork", z_dim=16, w_dim=16, num_layers=3)
    for i, layer in enumerate(network.mapping.layers):
        gain = np.float64(0.01) / np.sqrt(16)
        full = Persistent("FullyConnectedLayer", activation="lrelu", weight_gain=gain, bias_gain=0.01)
        full.weight, full.bias = layer.weight, layer.bias
        setattr(mapping, f"fc{i}", full)
    put(mapping, w_avg=network.mean_w())
    synthesis = Persistent("SynthesisNetwork", img_resolution=32)
    index = 0
    for level in range(4):
        block = put(Persistent("SynthesisBlock", architecture="skip", use_fp16=False), resample_filter=kernel)
        if level == 0:
            block.const = nn.Parameter(network.constant[0], requires_grad=False)
        for name in ("conv1",) if level == 0 else ("conv0", "conv1"):
            layer = network.layers[index]
            conv = Persistent("SynthesisLayer", activation="lrelu", use_noise=True, conv_clamp=clamp, up=1)
            conv.weight, conv.bias, conv.noise_strength = layer.conv.weight, layer.bias, layer.noise_strength
            put(conv, noise_const=layer.noise[0, 0], resample_filter=kernel)
            conv.affine = affine(f"layers.{index}.conv.modulation")
            setattr(block, name, conv)
            index += 1
        head = network.to_rgbs[level]
        block.torgb = Persistent("ToRGBLayer", conv_clamp=clamp, weight=head.conv.weight, bias=head.bias)
        block.torgb.affine = affine(f"to_rgbs.{level}.conv.modulation")
        setattr(synthesis, f"b{4 << level}", block)
    generator = Persistent("Generator", z_dim=16, img_resolution=32, _init_kwargs=EasyDict(z_dim=16))
    generator.synthesis, generator.mapping = synthesis, mapping
    return generator


def persistent_file(network: StyleGAN2, clamp: float | None = None) -> dict[str, Any]:
    discriminator = Persistent("Discriminator", weight=nn.Parameter(torch.zeros(2, dtype=torch.float16)))
    return {
        "G": persistent_network(network, clamp),
        "D": discriminator,
        "G_ema": persistent_network(network, clamp),
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", path="a.zip"),
        "augment_pipe": None,
    }


def write(content: bytes, folder: Path) -> Path:
    path = folder / "network.pkl"
    path.write_bytes(content)
    return path


def assert_same(got: StyleGAN2, wanted: StyleGAN2, *, exact: bool = True) -> None:
    ours, theirs = got.state_dict(), wanted.state_dict()
    assert ours.keys() == theirs.keys()
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], atol=0 if exact else 1e-6, rtol=0, msg=key)


def tensorflow_picture(mapping: Arrays, arrays: Arrays, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What the TensorFlow code computes for one z: (16,) -> (3, 32, 32), from equations 1 to 3 and figure 7."""

    def filtered(picture: npt.NDArray[Any], before: int, after: int) -> npt.NDArray[Any]:
        kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64 * 4
        padded = np.pad(picture, ((0, 0), (before, after), (before, after)))
        return np.stack([scipy.signal.convolve2d(plane, kernel, mode="valid") for plane in padded])

    def inserted(picture: npt.NDArray[Any], last: int) -> npt.NDArray[Any]:
        channels, height, width = picture.shape
        out = np.zeros((channels, 2 * height - 1 + last, 2 * width - 1 + last))
        out[:, ::2, ::2] = picture
        return out

    def activated(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.where(x < 0, 0.2 * x, x) * np.sqrt(2)

    def convolved(x: npt.NDArray[Any], name: str, *, head: bool = False) -> npt.NDArray[Any]:
        weight = arrays[f"{name}/weight"].astype(np.float64)  # (k, k, in, out)
        style = w @ (arrays[f"{name}/mod_weight"] / np.sqrt(16)) + arrays[f"{name}/mod_bias"] + 1
        weight = weight / np.sqrt(np.prod(weight.shape[:3])) * style[:, None]
        if not head:
            weight = weight / np.sqrt((weight**2).sum((0, 1, 2)) + 1e-8)
        mode = "full" if name.endswith("_up") else "same"
        x = inserted(x, 0) if name.endswith("_up") else x
        planes = [
            sum(scipy.signal.correlate2d(plane, weight[:, :, i, o], mode=mode) for i, plane in enumerate(x))
            for o in range(weight.shape[3])
        ]
        out = np.stack(planes)
        return filtered(out, 1, 1) if name.endswith("_up") else out

    def layer(x: npt.NDArray[Any], name: str, noise: int) -> npt.NDArray[Any]:
        x = convolved(x, name) + arrays[f"noise{noise}"][0] * arrays[f"{name}/noise_strength"]
        return activated(x + arrays[f"{name}/bias"][:, None, None])

    w = z / np.sqrt((z**2).mean() + 1e-8)
    for i in range(3):
        w = activated(w @ (mapping[f"Dense{i}/weight"] * 0.01 / np.sqrt(16)) + mapping[f"Dense{i}/bias"] * 0.01)
    x = layer(arrays["4x4/Const/const"][0].astype(np.float64), "4x4/Conv", 0)
    rgb = convolved(x, "4x4/ToRGB", head=True) + arrays["4x4/ToRGB/bias"][:, None, None]
    for size, noise in ((8, 1), (16, 3), (32, 5)):
        x = layer(x, f"{size}x{size}/Conv0_up", noise)
        x = layer(x, f"{size}x{size}/Conv1", noise + 1)
        rgb = filtered(inserted(rgb, 1), 2, 1)
        rgb = rgb + convolved(x, f"{size}x{size}/ToRGB", head=True) + arrays[f"{size}x{size}/ToRGB/bias"][:, None, None]
    return rgb


def test_the_picture_of_the_tensorflow_layout(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    got = load_nvidia(write(nvidia(tensorflow_network(network)), tmp_path)).double()
    z = torch.randn(1, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    picture = got.synthesize(got.map(z)[:, None].expand(-1, 8, -1), size=32)[0]
    wanted = tensorflow_picture(*tensorflow_arrays(network), z[0].numpy())
    np.testing.assert_allclose(picture.numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensorflow_tensors(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path, protocol: int) -> None:
    nets = tuple(tensorflow_network(made) for made in (StyleGAN2(CONFIG), StyleGAN2(CONFIG), network))
    path = write(nvidia(nets, protocol), tmp_path)
    got = open_stylegan2(path)
    assert got.config == CONFIG
    assert_same(got, network, exact=False)  # the style biases are stored less one, which rounds


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pytorch_tensors(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path, protocol: int) -> None:
    got = open_stylegan2(write(nvidia(persistent_file(network), protocol), tmp_path))
    assert got.config == CONFIG
    assert_same(got, network)
    assert not any(parameter.requires_grad for parameter in got.parameters())


def test_files_written_with_an_old_numpy(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    old = nvidia(tensorflow_network(network), 3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"_core" not in old
    assert_same(load_nvidia(write(old, tmp_path)), network, exact=False)


def test_big_endian_and_fortran_arrays(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    gs = tensorflow_network(network)
    for part in gs.__dict__["components"].values():
        variables = part.__dict__["variables"]
        part.__dict__["variables"] = [(k, np.array(v, ">f8", order="F")) for k, v in variables]
    assert_same(load_nvidia(write(nvidia(gs), tmp_path)), network, exact=False)


def test_clamping_is_taken_over(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    ada = load_nvidia(write(nvidia(persistent_file(network, clamp=256)), tmp_path))
    assert ada.config.conv_clamp == 256
    tensorflow = load_nvidia(write(nvidia(tensorflow_network(network, conv_clamp=256, num_fp16_res=4)), tmp_path))
    assert tensorflow.config.conv_clamp == 256


@pytest.mark.parametrize(
    ("setting", "value"),
    [("architecture", "resnet"), ("nonlinearity", "relu"), ("mapping_lrmul", 1), ("label_size", 10),
     ("resample_kernel", [1, 2, 1])],
)  # fmt: skip
def test_settings_of_another_network(
    network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path, setting: str, value: object
) -> None:
    path = write(nvidia(tensorflow_network(network, **{setting: value})), tmp_path)
    with pytest.raises(WeightsError, match=f"made with {setting}="):
        load_nvidia(path)


def test_attributes_of_another_network(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    content = persistent_file(network)
    content["G_ema"].synthesis.b8.conv1.activation = "relu"
    with pytest.raises(WeightsError, match=r"'synthesis\.b8\.conv1'.* activation='relu'; only 'lrelu'"):
        load_nvidia(write(nvidia(content), tmp_path))
    content = persistent_file(network)
    content["G_ema"].synthesis.b8.conv1.conv_clamp = 2
    with pytest.raises(WeightsError, match="different conv_clamp"):
        load_nvidia(write(nvidia(content), tmp_path))
    content = persistent_file(network)
    content["G_ema"].synthesis.b8.conv1.resample_filter = torch.ones(4, 4) / 16
    with pytest.raises(WeightsError, match=r"'synthesis\.b8\.conv1\.resample_filter'.* another low-pass filter"):
        load_nvidia(write(nvidia(content), tmp_path))


def test_keys_are_named(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    content = persistent_file(network)
    content["G_ema"].mapping.embed = Persistent("FullyConnectedLayer", weight=nn.Parameter(torch.zeros(2, 3)))
    with pytest.raises(WeightsError, match=r"holds 'mapping\.embed\.weight' \(2, 3\)"):
        load_nvidia(write(nvidia(content), tmp_path))
    content = persistent_file(network)
    del content["G_ema"].synthesis.b16.conv0.noise_const
    with pytest.raises(WeightsError, match=r"has no 'synthesis\.b16\.conv0\.noise_const'.*\(16, 16\)"):
        load_nvidia(write(nvidia(content), tmp_path))
    gs = tensorflow_network(network)
    variables = dict(gs.__dict__["components"]["synthesis"].__dict__["variables"])
    variables["8x8/Conv1/bias"] = np.zeros(5, np.float32)
    gs.__dict__["components"]["synthesis"].__dict__["variables"] = list(variables.items())
    with pytest.raises(WeightsError, match=r"'synthesis/8x8/Conv1/bias' of .* is \(5,\), expected \(7,\)"):
        load_nvidia(write(nvidia(gs), tmp_path))


@pytest.mark.parametrize("content", [{"G": 1, "D": 2}, [1, 2, 3], "text", {"G_ema": {"weight": 1}}])
def test_another_pickle(nvidia: Callable[..., bytes], tmp_path: Path, content: object) -> None:
    with pytest.raises(WeightsError, match=r"expected \(G, D, Gs\) of TensorFlow or a dict with 'G_ema'"):
        load_nvidia(write(nvidia(content), tmp_path))


def test_a_cut_file(network: StyleGAN2, nvidia: Callable[..., bytes], tmp_path: Path) -> None:
    whole = nvidia(persistent_file(network))
    for length in (1, 100, len(whole) // 2, len(whole) - 1):
        with pytest.raises(WeightsError, match=r"network\.pkl"):
            load_nvidia(write(whole[:length], tmp_path))
