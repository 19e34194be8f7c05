"""The MobileStyleGAN of the OpenVINO archive to the tensors of `mobile_stylegan.MobileStyleGAN`.

The graph keeps the modulation and depthwise weights under their training names; the noise maps and the 1x1 weights,
into which an optimizer folded their factors, have lost theirs and are known by shape and order.
"""

import numpy as np

from ..arrays import Float32Array
from ..errors import WeightsError
from ..formats.openvino_ir import IrGraph

MEAN_SAMPLES = 100_000


def convert(mapping: IrGraph, synthesis: IrGraph) -> dict[str, Float32Array]:
    """Named float32 arrays for `MobileStyleGAN.load_state_dict`, without the tail's.

    `mean` is the mean of W over 100,000 codes from a fixed seed. Raises WeightsError if the graphs hold something
    else than expected.
    """
    tensors = _mapping(mapping) | _synthesis(synthesis)
    tensors["mean"] = _mean_w(tensors)
    return tensors


def _mapping(graph: IrGraph) -> dict[str, Float32Array]:
    constants = [layer.value for layer in graph.layers if layer.value is not None]
    weights = [value for value in constants if value.shape == (512, 512)]
    biases = [value for value in constants if value.shape == (512,)]
    if len(weights) != 8 or len(biases) != 8:
        raise WeightsError(f"expected 8 mapping layers, got {len(weights)} weights and {len(biases)} biases")
    out: dict[str, Float32Array] = {}
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        out[f"mapping.layers.{i}.weight"] = weight
        out[f"mapping.layers.{i}.bias"] = bias
    return out


def _mean_w(tensors: dict[str, Float32Array]) -> Float32Array:
    random = np.random.default_rng(0)
    total = np.zeros(512, dtype=np.float64)
    chunk = 10_000
    for _ in range(MEAN_SAMPLES // chunk):
        x = random.standard_normal((chunk, 512), dtype=np.float32)
        x /= np.sqrt(np.square(x).mean(1, keepdims=True) + 1e-8)
        for i in range(8):
            x = x @ tensors[f"mapping.layers.{i}.weight"].T + tensors[f"mapping.layers.{i}.bias"]
            x = np.where(x > 0, x, 0.2 * x) * np.float32(2**0.5)
        total += x.sum(0, dtype=np.float64)
    return (total / MEAN_SAMPLES).astype(np.float32)


def _synthesis(graph: IrGraph) -> dict[str, Float32Array]:
    named = {layer.name: layer.value for layer in graph.layers if layer.value is not None}
    folded = [value for name, value in named.items() if name.startswith("Mul_") and name.endswith("_copy")]
    noises = [v for v in named.values() if v.ndim == 4 and v.shape[:2] == (1, 1) and v.shape[2] == v.shape[3] >= 4]
    if len(folded) != 15 or len(noises) != 15:
        raise WeightsError(
            f"expected 15 folded convolutions and 15 noise maps, got {len(folded)} and {len(noises)}; "
            "this is not the synthesis network of random-face 2021.7.21.1"
        )

    def take(name: str) -> Float32Array:
        try:
            return named[name]
        except KeyError:
            raise WeightsError(f"the synthesis graph has no constant {name!r}") from None

    def modulation(target: str, source: str) -> dict[str, Float32Array]:
        return {
            f"{target}.linear.weight": take(f"{source}.weight"),
            f"{target}.linear.bias": take(f"{source}.bias").reshape(-1),
        }

    out = {
        "input.constant": take("m.input.input"),
        "input.weight": folded[0],
        "input.bias": take("m.conv1.bias").reshape(-1),
        "input.noise": noises[0],
        **modulation("input.modulation", "m.conv1.conv.modulation"),
        "to_image.weight": take("m.layers.6.to_img.conv.weight"),
        "to_image.bias": take("m.layers.6.to_img.bias").reshape(-1),
        **modulation("to_image_modulation", "m.layers.6.to_img.conv.modulation"),
    }
    for i in range(7):
        out |= modulation(f"blocks.{i}.up", f"m.layers.{i}.up.modulation")
        for j in (1, 2):
            target, source, order = f"blocks.{i}.conv{j}", f"m.layers.{i}.conv{j}", 2 * i + j
            out |= modulation(f"{target}.modulation", f"{source}.conv.modulation")
            depthwise = take(f"{source}.conv.weight_dw")
            out[f"{target}.depthwise"] = depthwise.reshape(-1, 1, 3, 3)
            out[f"{target}.pointwise"] = folded[order]
            out[f"{target}.bias"] = take(f"{source}.bias").reshape(-1)
            out[f"{target}.noise"] = noises[order]
    return out
