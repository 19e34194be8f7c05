"""StyleGAN2 checkpoints in the layout of rosinality/stylegan2-pytorch, which e4e, pSp and most of the field use.

The file is `{"g_ema": state dict, "latent_avg": (512,)}`; training checkpoints hold `g`, `d` and optimizer state
beside them, which are not read.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import WeightsError
from .stylegan2 import StyleGAN2, StyleGAN2Config
from .stylegan2_layout import Entry, build, filter_kernel, make_config, require


def load_rosinality(path: Path, *, noise_seed: int | None = None) -> StyleGAN2:
    """The generator of a `.pt` checkpoint, frozen, in evaluation mode, on the CPU.

    noise_seed: early checkpoints hold no noise maps; this draws them from a seeded generator, as the layout's own
    code does unseeded. None refuses such files.
    Raises WeightsError if the file cannot be read without running code, or its keys or shapes are others.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # training checkpoints keep their options in one
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader or the file's own bytes provoke
        raise WeightsError(
            f"{path} cannot be read as a PyTorch checkpoint of tensors ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'}); nothing else in it is run"
        ) from error
    if not isinstance(checkpoint, Mapping) or "g_ema" not in checkpoint:
        keys = ", ".join(map(str, checkpoint)) if isinstance(checkpoint, Mapping) else type(checkpoint).__name__
        raise WeightsError(f"{path} has no 'g_ema', expected {{'g_ema': ..., 'latent_avg': ...}}; it has {keys}")
    return from_rosinality(checkpoint["g_ema"], checkpoint.get("latent_avg"), str(path), noise_seed=noise_seed)


def from_rosinality(
    state: Mapping[str, Tensor], latent_avg: Tensor | None, source: str, *, noise_seed: int | None = None
) -> StyleGAN2:
    """The generator of a `g_ema` state dict (or of the `decoder.` part of an e4e checkpoint, prefix removed).

    latent_avg: (512,), (1, 512) or None, which measures it. source: where it came from, for errors.
    noise_seed: as in `load_rosinality`. Raises WeightsError for keys or shapes of another network.
    """
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise WeightsError(f"'{name}' of {source} is a {type(tensor).__name__}, expected a tensor")
    config = _config(state, source)
    found = dict(state)
    if not any(name.startswith("noises.") for name in found):
        if noise_seed is None:
            raise WeightsError(
                f"{source} has no 'noises.noise_0': it is an early checkpoint without noise maps, or not a generator; "
                "to draw them anew, give noise_seed"
            )
        generator = torch.Generator().manual_seed(noise_seed)
        for index, layer in enumerate(config.layers):
            found[f"noises.noise_{index}"] = torch.randn(1, 1, layer.size, layer.size, generator=generator)
    if latent_avg is not None:
        if latent_avg.shape not in ((config.code_size,), (1, config.code_size)):
            raise WeightsError(f"'latent_avg' of {source} is {tuple(latent_avg.shape)}, expected ({config.code_size},)")
        latent_avg = latent_avg.reshape(config.code_size)
    return build(config, found, _entries(config), source, constants=_constants(config), w_avg=latent_avg)


def _config(state: Mapping[str, Tensor], source: str) -> StyleGAN2Config:
    heads = ["to_rgb1", *(f"to_rgbs.{i}" for i in range(_count(state, r"to_rgbs\.(\d+)\.")))]
    channels = [require(state, f"{head}.conv.weight", 5, source).shape[2] for head in heads]
    code_size = require(state, "style.1.weight", 2, source).shape[1]
    # Layer 0 of `style` is the normalization, which has no weights.
    return make_config(channels, code_size, _count(state, r"style\.(\d+)\.") - 1, None, source)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest index that the pattern's group takes over the keys; 0 without a match."""
    matches = (re.match(pattern, name) for name in state)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _entries(config: StyleGAN2Config) -> Iterator[Entry]:
    size = config.code_size
    for i in range(config.mapping_layers):
        yield Entry(f"mapping.layers.{i}.weight", f"style.{i + 1}.weight", (size, size))
        yield Entry(f"mapping.layers.{i}.bias", f"style.{i + 1}.bias", (size,))
    yield Entry("constant", "input.input", (1, config.channels[0], 4, 4))
    for i, layer in enumerate(config.layers):
        ours, theirs = f"layers.{i}", _conv_name(i)
        weight = (1, layer.c_out, layer.c_in, 3, 3)
        yield Entry(f"{ours}.conv.weight", f"{theirs}.conv.weight", weight, _without_batch)
        yield from _modulation(ours, theirs, layer.c_in, size)
        yield Entry(f"{ours}.noise_strength", f"{theirs}.noise.weight", (1,), _without_batch)
        yield Entry(f"{ours}.bias", f"{theirs}.activate.bias", (layer.c_out,))
        yield Entry(f"{ours}.noise", f"noises.noise_{i}", (1, 1, layer.size, layer.size))
    for i, channels in enumerate(config.channels):
        ours, theirs = f"to_rgbs.{i}", _head_name(i)
        yield Entry(f"{ours}.conv.weight", f"{theirs}.conv.weight", (1, 3, channels, 1, 1), _without_batch)
        yield from _modulation(ours, theirs, channels, size)
        yield Entry(f"{ours}.bias", f"{theirs}.bias", (1, 3, 1, 1), torch.flatten)


def _modulation(ours: str, theirs: str, channels: int, code_size: int) -> Iterator[Entry]:
    for part, shape in (("weight", (channels, code_size)), ("bias", (channels,))):
        yield Entry(f"{ours}.conv.modulation.{part}", f"{theirs}.conv.modulation.{part}", shape)


def _constants(config: StyleGAN2Config) -> dict[str, Tensor]:
    """The filters that the layout keeps as buffers; some rewrites of it leave them out."""
    kernel = filter_kernel(gain=4)
    names = [f"{_conv_name(i)}.conv.blur.kernel" for i, layer in enumerate(config.layers) if layer.up]
    names += [f"{_head_name(i)}.upsample.kernel" for i in range(1, len(config.channels))]
    return dict.fromkeys(names, kernel)


def _conv_name(index: int) -> str:
    return "conv1" if index == 0 else f"convs.{index - 1}"


def _head_name(index: int) -> str:
    return "to_rgb1" if index == 0 else f"to_rgbs.{index - 1}"


def _without_batch(tensor: Tensor) -> Tensor:
    return tensor[0]
