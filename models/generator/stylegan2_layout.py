"""From the tensors of a published file to a StyleGAN2, key by key.

Each published format is a list of `Entry`: which of our weights comes from which key, of what shape, and how it is
laid out there. Whatever is missing, of another shape or left over is an error that names the key as the file has it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ModelError, WeightsError
from ..formats.checkpoint import load_state
from .stylegan2 import StyleGAN2, StyleGAN2Config, estimate_mean_w

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One weight of the network in a published file.

    Attributes:
        key: in `StyleGAN2.state_dict()`.
        name: in the file.
        shape: in the file.
        convert: from the file's layout to ours.
    """

    key: str
    name: str
    shape: Shape
    convert: Callable[[Tensor], Tensor] = lambda tensor: tensor


def make_config(
    channels: Iterable[int], code_size: int, mapping_layers: int, conv_clamp: float | None, source: str
) -> StyleGAN2Config:
    """The configuration that the file's own shapes tell; WeightsError where they tell of none."""
    counts = tuple(channels)
    try:
        return StyleGAN2Config(2 << len(counts), counts, code_size, mapping_layers, conv_clamp)
    except ModelError as error:
        raise WeightsError(f"{source} holds no StyleGAN2 that can be built: {error}") from error


def require(found: Mapping[str, Tensor], name: str, dimensions: int, source: str) -> Tensor:
    """found[name], which has that many dimensions; WeightsError otherwise."""
    if name not in found:
        raise WeightsError(f"{source} has no '{name}', which this layout always has; is it another network?")
    if found[name].ndim != dimensions:
        raise WeightsError(
            f"'{name}' of {source} is {tuple(found[name].shape)}, but {dimensions} dimensions were expected"
        )
    return found[name]


def build(
    config: StyleGAN2Config,
    found: Mapping[str, Tensor],
    entries: Iterable[Entry],
    source: str,
    *,
    constants: Mapping[str, Tensor] | None = None,
    w_avg: Tensor | None = None,
) -> StyleGAN2:
    """The network with the weights that `entries` find, frozen, in evaluation mode.

    found: every tensor of the file's generator. source: the file, for errors. constants: keys that may be there and
    then have to hold these values, since the network has them built in. w_avg: (code_size,), where the file keeps it
    elsewhere; without it and without an entry for it the mean is measured from seeded z.
    Raises WeightsError: the first key that is missing, of another shape, of another value or unknown.
    """
    state: dict[str, Tensor] = {}
    known = set()
    for entry in entries:
        if entry.name not in found:
            raise WeightsError(f"{source} has no '{entry.name}': expected a tensor of shape {entry.shape}")
        tensor = found[entry.name]
        if tensor.shape != entry.shape:
            raise WeightsError(f"'{entry.name}' of {source} is {tuple(tensor.shape)}, expected {entry.shape}")
        if not tensor.is_floating_point():
            raise WeightsError(f"'{entry.name}' of {source} is {tensor.dtype}, expected floating point")
        state[entry.key] = entry.convert(tensor.detach().to(torch.float32)).contiguous()
        known.add(entry.name)
    for name, tensor in found.items():
        if name in known:
            continue
        wanted = (constants or {}).get(name)
        if wanted is None:
            raise WeightsError(
                f"{source} holds '{name}' {tuple(tensor.shape)}, which a StyleGAN2 of {config.resolution} pixels, "
                f"{config.mapping_layers} mapping layers and no labels does not have"
            )
        if tensor.shape != wanted.shape or not torch.allclose(tensor.to(wanted), wanted, atol=1e-6):
            raise WeightsError(f"'{name}' of {source} is another low-pass filter than [1, 3, 3, 1]")
    network = StyleGAN2(config)
    measured = "w_avg" not in state and w_avg is None
    if "w_avg" not in state:
        mean = torch.zeros(config.code_size) if w_avg is None else w_avg.detach().to(torch.float32)
        state["w_avg"] = mean
    load_state(network, state, source)
    if measured:
        network.mean_w().copy_(estimate_mean_w(network))
    return network


def filter_kernel(gain: float) -> Tensor:
    """The two-dimensional [1, 3, 3, 1] filter with that sum, as the published files store it: (4, 4)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)
    return kernel * (gain / kernel.sum())
