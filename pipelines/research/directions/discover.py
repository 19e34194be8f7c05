"""Directions without labels: `dynstream directions discover`.

SeFa (Shen, Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021): the eigenvectors of A^T A, where
the rows of A are the weights that turn a code into the styles of some layers; what moves the styles most.
GANSpace (Haerkoenen et al., NeurIPS 2020): the principal components of many codes of W.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from ....models.directions.directions import Direction, unit
from ....models.generator.generator import CODE_SIZE, Generator
from ....stream.frame import Pixels
from ...common.annotate import write_words
from ...common.errors import EditError
from .labels import draw

Components = tuple[Tensor, Tensor]
"""(n, 512) unit vectors, the strongest first, and (n,) how strong each is."""

MARK: Final = 0.375  # added to a code's number, so that no other constant is taken for one


def style_layers(generator: Generator) -> list[tuple[int, Tensor]]:
    """(number of a code, (rows, 512) weights by which it becomes styles), in the generator's own order of layers.

    Found by what they do, not by their names: the generator is asked which of its linear layers see which code.
    Raises EditError where the generator is no torch module.
    """
    if not isinstance(generator, nn.Module):
        raise EditError(f"SeFa reads the weights of a network, and {type(generator).__name__} is none; use ganspace")
    seen: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _m, inputs, name=name: seen.setdefault(name, []).append(inputs[0]))
        for name, module in generator.named_modules()
        if isinstance(weight := getattr(module, "weight", None), Tensor) and weight.shape[1:] == (CODE_SIZE,)
    ]
    # Each code is told by its number: what a layer is handed says which code feeds it.
    marked = (MARK + torch.arange(float(generator.codes)))[None, :, None].expand(1, -1, CODE_SIZE).contiguous()
    try:
        with torch.no_grad():
            generator.synthesize(marked.to(generator.mean_w()), size=256)
    finally:
        for hook in hooks:
            hook.remove()
    modules = dict(generator.named_modules())
    layers = []
    for name, inputs in seen.items():
        code = inputs[0]
        number = float(code.flatten()[0]) - MARK
        even = code.shape == (1, CODE_SIZE) and bool((code == code[0, 0]).all())
        if even and number.is_integer() and 0 <= number < generator.codes:
            layers.append((int(number), modules[name].get_parameter("weight").detach()))
    return layers


def style_weights(generator: Generator, first: int, end: int) -> Tensor:
    """(rows, 512): the weights by which codes first..end-1 become styles, each row of length 1.

    Raises EditError where the generator is no torch module, or has none there.
    """
    rows = [weight for number, weight in style_layers(generator) if first <= number < end]
    if not rows:
        raise EditError(f"{type(generator).__name__} has no layers that read codes {first} to {end - 1}")
    return torch.cat([row / row.norm(dim=1, keepdim=True).clamp_min(1e-8) for row in rows])


def sefa(weights: Tensor, count: int) -> Components:
    """Eigenvectors of weights^T weights with the largest eigenvalues. weights: (rows, 512)."""
    values, vectors = torch.linalg.eigh(weights.double().T @ weights.double())
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.float(), values[order].float()


def ganspace(generator: Generator, count: int, *, samples: int = 20_000, seed: int = 0) -> Components:
    """Principal components of `samples` codes of W, and their standard deviations."""
    random = torch.Generator().manual_seed(seed)
    total, outer = torch.zeros(CODE_SIZE, dtype=torch.float64), torch.zeros(CODE_SIZE, CODE_SIZE, dtype=torch.float64)
    done = 0
    while done < samples:
        size = min(1000, samples - done)
        with torch.inference_mode():
            w = generator.map(torch.randn(size, CODE_SIZE, generator=random)).double().cpu()
        total += w.sum(0)
        outer += w.T @ w
        done += size
    mean = total / samples
    values, vectors = torch.linalg.eigh(outer / samples - torch.outer(mean, mean))
    order = values.argsort(descending=True)[:count]
    return vectors[:, order].T.float(), values[order].clamp_min(0).sqrt().float()


METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {"sefa": "from the generator's weights alone", "ganspace": "principal components of its codes"}
)


def check_method(method: str) -> None:
    """Raise EditError unless it is one of METHODS."""
    if method not in METHODS:
        raise EditError(f"unknown method {method!r}; expected one of {', '.join(METHODS)}")


def discover(
    method: str, generator: Generator, *, count: int = 10, layers: tuple[int, int] | None = None
) -> dict[str, Direction]:
    """`count` directions named METHOD-FIRST-LAST-NUMBER. layers: first code and the one after the last, None for all.

    Raises EditError for a method, a count or layers that there are none of.
    """
    check_method(method)
    first, end = layers or (0, generator.codes)
    if not 0 <= first < end <= generator.codes:
        raise EditError(f"--layers {first}-{end - 1}: expected codes from 0 to {generator.codes - 1}, the lower first")
    if not 1 <= count <= CODE_SIZE:
        raise EditError(f"--count {count}: expected 1 to {CODE_SIZE} components")
    vectors, strengths = (
        sefa(style_weights(generator, first, end), count) if method == "sefa" else ganspace(generator, count)
    )
    # The length that typical codes of W have along a direction, so that strengths look alike for all of them.
    _, deviations = ganspace(generator, CODE_SIZE, samples=4000)
    typical = float(deviations.square().sum().sqrt()) / 6
    found = {}
    for number, (vector, strength) in enumerate(zip(vectors, strengths.tolist(), strict=True)):
        name = f"{method}-{first}-{end - 1}-{number}"
        spread = torch.zeros(generator.codes, CODE_SIZE)
        spread[first:end] = vector
        length = (strength if method == "ganspace" else typical) * (end - first) ** 0.5
        found[name] = Direction(
            name=name, vector=unit(spread, name), scale=max(length, 1e-6), about=f"component {number} of {method}"
        )
    return found


def sheet(
    generator: Generator,
    directions: Sequence[Direction],
    codes: Tensor,
    *,
    strengths: Sequence[float] = (-2.0, 0.0, 2.0),
    size: int = 128,
    progress: Callable[[int], None] = lambda _pictures: None,
) -> Pixels:
    """A row for each direction and, for each face of codes (N, codes, 512), a column for each strength."""
    rows = []
    still = [draw(generator, w_plus) for w_plus in codes.split(1)]
    for number, direction in enumerate(directions):
        row = []
        for w_plus, plain in zip(codes.split(1), still, strict=True):
            for strength in strengths:
                face = draw(generator, w_plus + direction.step(w_plus, strength)) if strength else plain.copy()
                row.append(_small(face, size))
        picture = np.concatenate(row, axis=1)
        write_words(picture, direction.name, 4, size - 6, height=10)
        rows.append(picture)
        progress(number + 1)
    return np.concatenate(rows)


def _small(face: Pixels, size: int) -> Pixels:
    factor = max(1, 256 // size)
    small = face.reshape(256 // factor, factor, 256 // factor, factor, 3).mean((1, 3)).round().astype(np.uint8)
    return np.ascontiguousarray(small)
