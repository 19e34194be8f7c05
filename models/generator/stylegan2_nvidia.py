"""StyleGAN2 checkpoints of NVIDIA: the TensorFlow pickles of stylegan2 and the PyTorch ones of stylegan2-ada.

TensorFlow: three `Network` objects (G, D, Gs), each with components `mapping` and `synthesis` whose variables are
(name, array) pairs; convolutions are stored (k, k, in, out), linear layers (in, out), style biases less one.
PyTorch: {"G", "D", "G_ema"} of module objects; convolutions are stored as ours. The up-convolution's kernel is stored
there as a transposed convolution takes it, in TensorFlow turned by 180 degrees.

Both are read as data (`stylegan2_unpickle`), without either project's code.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import WeightsError
from .stylegan2 import MAPPING_RATE, StyleGAN2, StyleGAN2Config
from .stylegan2_layout import Entry, build, filter_kernel, make_config, require
from .stylegan2_unpickle import NetworkRecord, PersistentRecord, read_pickle, to_tensor

# Settings of the TensorFlow networks that this StyleGAN2 has built in: the only value that is right, also if absent.
TENSORFLOW_SETTINGS: dict[str, object] = {
    "architecture": "skip",
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "mapping_lrmul": MAPPING_RATE,
    "resample_kernel": [1, 3, 3, 1],
    "normalize_latents": True,
    "use_noise": True,
    "label_size": 0,
    "num_channels": 3,
}


def load_nvidia(path: Path) -> StyleGAN2:
    """The averaged generator (`Gs`, `G_ema`) of a `.pkl`, frozen, in evaluation mode, on the CPU.

    Raises WeightsError if the file is damaged, names anything outside the two formats, or holds another network.
    """
    content = read_pickle(path)
    source = str(path)
    if isinstance(content, tuple | list) and len(content) == 3 and isinstance(content[2], NetworkRecord):
        return from_tensorflow(content[2], source)
    if isinstance(content, NetworkRecord):
        return from_tensorflow(content, source)
    if isinstance(content, Mapping) and isinstance(content.get("G_ema"), PersistentRecord):
        return from_persistent(content["G_ema"], source)
    got = f"a dict of {', '.join(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
    raise WeightsError(f"{path} holds {got}; expected (G, D, Gs) of TensorFlow or a dict with 'G_ema' of PyTorch")


def from_tensorflow(network: NetworkRecord, source: str) -> StyleGAN2:
    """The generator of one `Network`; WeightsError where it is not a StyleGAN2 with the published settings."""
    settings = network.values.get("static_kwargs", {})
    if not isinstance(settings, Mapping):
        raise WeightsError(f"the static_kwargs of {source} are a {type(settings).__name__}, expected a dict")
    for name, wanted in TENSORFLOW_SETTINGS.items():
        got = settings.get(name, wanted)
        if (list(got) if isinstance(got, tuple) else got) != wanted:
            raise WeightsError(f"{source} was made with {name}={got!r}; only {wanted!r} is supported")
    found = dict(_variables(network, "", source))
    for name in ("lod", "synthesis/lod"):  # the state of progressive growing, which StyleGAN2 does not use
        found.pop(name, None)
    config = _tensorflow_config(found, _clamp({settings.get("conv_clamp")}, source), source)
    return build(config, found, _tensorflow_entries(config), source)


def from_persistent(module: PersistentRecord, source: str) -> StyleGAN2:
    """The generator of one stylegan2-ada module; WeightsError where it is not a StyleGAN2 with those settings."""
    found: dict[str, Tensor] = {}
    clamps = set()
    for name, part in _modules(module, ""):
        _check_part(name, part, source)
        if re.fullmatch(r"synthesis\.b\d+\.(conv\d|torgb)", name):
            clamps.add(part.values.get("conv_clamp"))
        for group in ("_parameters", "_buffers"):
            for key, value in part.values.get(group, {}).items():
                full = f"{name}.{key}" if name else str(key)
                if value is not None:
                    found[full] = to_tensor(value, full, source)
    config = _persistent_config(found, _clamp(clamps, source), source)
    kernel = filter_kernel(gain=1)
    constants = {name: kernel for name in found if name.endswith(".resample_filter")}
    return build(config, found, _persistent_entries(config), source, constants=constants)


def _variables(network: NetworkRecord, prefix: str, source: str) -> Iterator[tuple[str, Tensor]]:
    """The variables of a network and of its components, named component/variable."""
    for item in network.values.get("variables", []):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise WeightsError(f"the variables of {source} are not (name, array) pairs")
        name = f"{prefix}{item[0]}"
        yield name, to_tensor(item[1], name, source)
    for name, component in network.values.get("components", {}).items():
        if not isinstance(component, NetworkRecord):
            raise WeightsError(f"component '{name}' of {source} is a {type(component).__name__}, expected a Network")
        yield from _variables(component, f"{prefix}{name}/", source)


def _modules(module: PersistentRecord, prefix: str) -> Iterator[tuple[str, PersistentRecord]]:
    """The module and those in it, named as torch names them."""
    yield prefix, module
    for name, child in module.values.get("_modules", {}).items():
        if isinstance(child, PersistentRecord):
            yield from _modules(child, f"{prefix}.{name}" if prefix else str(name))


def _check_part(name: str, part: PersistentRecord, source: str) -> None:
    """Refuse settings that the tensors alone do not show."""
    wanted: dict[str, object] = {}
    if re.fullmatch(r"mapping\.fc\d+", name):
        wanted = {"activation": "lrelu", "bias_gain": MAPPING_RATE}
    elif re.fullmatch(r"synthesis\.b\d+", name):
        wanted = {"architecture": "skip"}
    elif re.fullmatch(r"synthesis\.b\d+\.conv\d", name):
        wanted = {"activation": "lrelu", "use_noise": True}
    for setting, value in wanted.items():
        got = part.values.get(setting, value)
        if got != value:
            raise WeightsError(f"'{name}' of {source} was made with {setting}={got!r}; only {value!r} is supported")


def _clamp(values: set[Any], source: str) -> float | None:
    if len(values) > 1 or not all(value is None or isinstance(value, int | float) for value in values):
        raise WeightsError(f"the layers of {source} have different conv_clamp: {sorted(map(str, values))}")
    value = next(iter(values), None)
    return None if value is None else float(value)


def _highest(found: Mapping[str, Tensor], pattern: str) -> int:
    """The largest number that the pattern's group takes over the names, -1 without a match."""
    matches = (re.match(pattern, name) for name in found)
    return max((int(match[1]) for match in matches if match), default=-1)


def _sizes(largest: int) -> list[int]:
    return [4 << level for level in range(max(1, largest.bit_length() - 2))]


def _tensorflow_config(found: Mapping[str, Tensor], clamp: float | None, source: str) -> StyleGAN2Config:
    sizes = _sizes(_highest(found, r"synthesis/(\d+)x"))
    channels = [require(found, f"synthesis/{s}x{s}/ToRGB/weight", 4, source).shape[2] for s in sizes]
    code_size = require(found, "mapping/Dense0/weight", 2, source).shape[0]
    return make_config(channels, code_size, _highest(found, r"mapping/Dense(\d+)/") + 1, clamp, source)


def _persistent_config(found: Mapping[str, Tensor], clamp: float | None, source: str) -> StyleGAN2Config:
    sizes = _sizes(_highest(found, r"synthesis\.b(\d+)\."))
    channels = [require(found, f"synthesis.b{s}.torgb.weight", 4, source).shape[1] for s in sizes]
    code_size = require(found, "mapping.fc0.weight", 2, source).shape[1]
    return make_config(channels, code_size, _highest(found, r"mapping\.fc(\d+)\.") + 1, clamp, source)


def _tensorflow_entries(config: StyleGAN2Config) -> Iterator[Entry]:
    size = config.code_size
    for i in range(config.mapping_layers):
        yield Entry(f"mapping.layers.{i}.weight", f"mapping/Dense{i}/weight", (size, size), Tensor.t)
        yield Entry(f"mapping.layers.{i}.bias", f"mapping/Dense{i}/bias", (size,))
    yield Entry("w_avg", "dlatent_avg", (size,))
    yield Entry("constant", "synthesis/4x4/Const/const", (1, config.channels[0], 4, 4))
    for i, layer in enumerate(config.layers):
        part = "Conv" if layer.size == 4 else "Conv0_up" if layer.up else "Conv1"
        ours, theirs = f"layers.{i}", f"synthesis/{layer.size}x{layer.size}/{part}"
        weight = (3, 3, layer.c_in, layer.c_out)
        yield Entry(f"{ours}.conv.weight", f"{theirs}/weight", weight, _turned if layer.up else _output_first)
        yield from _tensorflow_modulation(ours, theirs, layer.c_in, size)
        yield Entry(f"{ours}.noise_strength", f"{theirs}/noise_strength", ())
        yield Entry(f"{ours}.bias", f"{theirs}/bias", (layer.c_out,))
        yield Entry(f"{ours}.noise", f"synthesis/noise{i}", (1, 1, layer.size, layer.size))
    for i, channels in enumerate(config.channels):
        ours, theirs = f"to_rgbs.{i}", f"synthesis/{4 << i}x{4 << i}/ToRGB"
        yield Entry(f"{ours}.conv.weight", f"{theirs}/weight", (1, 1, channels, 3), _output_first)
        yield from _tensorflow_modulation(ours, theirs, channels, size)
        yield Entry(f"{ours}.bias", f"{theirs}/bias", (3,))


def _tensorflow_modulation(ours: str, theirs: str, channels: int, code_size: int) -> Iterator[Entry]:
    yield Entry(f"{ours}.conv.modulation.weight", f"{theirs}/mod_weight", (code_size, channels), Tensor.t)
    yield Entry(f"{ours}.conv.modulation.bias", f"{theirs}/mod_bias", (channels,), lambda bias: bias + 1)


def _persistent_entries(config: StyleGAN2Config) -> Iterator[Entry]:
    size = config.code_size
    for i in range(config.mapping_layers):
        yield Entry(f"mapping.layers.{i}.weight", f"mapping.fc{i}.weight", (size, size))
        yield Entry(f"mapping.layers.{i}.bias", f"mapping.fc{i}.bias", (size,))
    yield Entry("w_avg", "mapping.w_avg", (size,))
    yield Entry("constant", "synthesis.b4.const", (config.channels[0], 4, 4), lambda const: const[None])
    for i, layer in enumerate(config.layers):
        ours, theirs = f"layers.{i}", f"synthesis.b{layer.size}.{'conv0' if layer.up else 'conv1'}"
        yield Entry(f"{ours}.conv.weight", f"{theirs}.weight", (layer.c_out, layer.c_in, 3, 3))
        yield from _persistent_modulation(ours, theirs, layer.c_in, size)
        yield Entry(f"{ours}.noise_strength", f"{theirs}.noise_strength", ())
        yield Entry(f"{ours}.bias", f"{theirs}.bias", (layer.c_out,))
        yield Entry(f"{ours}.noise", f"{theirs}.noise_const", (layer.size,) * 2, lambda noise: noise[None, None])
    for i, channels in enumerate(config.channels):
        ours, theirs = f"to_rgbs.{i}", f"synthesis.b{4 << i}.torgb"
        yield Entry(f"{ours}.conv.weight", f"{theirs}.weight", (3, channels, 1, 1))
        yield from _persistent_modulation(ours, theirs, channels, size)
        yield Entry(f"{ours}.bias", f"{theirs}.bias", (3,))


def _persistent_modulation(ours: str, theirs: str, channels: int, code_size: int) -> Iterator[Entry]:
    yield Entry(f"{ours}.conv.modulation.weight", f"{theirs}.affine.weight", (channels, code_size))
    yield Entry(f"{ours}.conv.modulation.bias", f"{theirs}.affine.bias", (channels,))


def _output_first(weight: Tensor) -> Tensor:
    """(k, k, in, out) -> (out, in, k, k)."""
    return weight.permute(3, 2, 0, 1)


def _turned(weight: Tensor) -> Tensor:
    return _output_first(weight).flip(2, 3)
