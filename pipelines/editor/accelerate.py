"""Faster renderers: another device, lower precision, compiled networks. The plain renderer is the reference."""

import copy
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...models.generator.generator import Generator
from ...models.zoo.zoo import default_cache
from ..common.devices import Device
from .precision import Precision, PrecisionChoice, choose_precision
from .renderer import Renderer


def check_device(name: str) -> torch.device:
    """The device of that name. Raises PipelineError for an unknown or missing device."""
    return Device(name).where


def accelerate(
    renderer: Renderer,
    *,
    device: str = "cpu",
    compiled: bool = False,
    precision: PrecisionChoice = "float32",
    cache: Path | None = None,
) -> Renderer:
    """A renderer over the same networks, which are moved to `device`; the given one stays as its `plain`.

    compiled: use torch.compile, on CUDA with CUDA graphs, for batches of 1, 2, 4, 8, ... faces. Smaller batches are
    padded; the first batch of each size takes a minute. precision: of encoders and generator, see `choose_precision`;
    codes, their averages and pictures stay float32, and so do landmarks: bfloat16 would round their places to whole
    pixels. cache: where it is measured, `default_cache()` by default. Raises
    PipelineError for a missing device.
    """
    there = Device(device)
    where = there.where

    def both() -> dict[Precision, Generator]:
        network = renderer.generator
        return {"float32": network, "bfloat16": FastGenerator(lowered(network), where, torch.bfloat16, False)}

    chosen = choose_precision(precision, where, both, cache or default_cache())
    if where.type == "cpu" and not compiled and chosen == "float32":
        return renderer
    dtype = torch.bfloat16 if chosen == "bfloat16" else torch.float32
    networks = (renderer.encoder, renderer.generator)
    if dtype != torch.float32:
        networks = (lowered(renderer.encoder), lowered(renderer.generator))
    for network in networks:
        there.move(cast(nn.Module, network))
    encoder = FastEncoder(networks[0], where, dtype, compiled)
    generator = FastGenerator(networks[1], where, dtype, compiled)
    offset = None if renderer.code_offset is None else there.to(renderer.code_offset)
    recurrent = renderer.recurrent
    if recurrent is not None:
        corrects = recurrent.network if dtype == torch.float32 else lowered(recurrent.network)
        there.move(corrects)
        recurrent = recurrent.drawing_with(generator, corrects)
    return Renderer(cast(Any, encoder), generator, code_offset=offset, recurrent=recurrent, plain=renderer, dtype=dtype)


def lowered(network: Any) -> Any:
    """A copy of a network in bfloat16. Autocast instead casts in each operation, which takes twice as long."""
    return copy.deepcopy(network).to(torch.bfloat16)


class FastEncoder:
    """An encoder on a device. It takes faces on any device and returns float32 codes on its own."""

    def __init__(self, encoder: Any, device: torch.device, dtype: torch.dtype, compiled: bool) -> None:
        self._run = _compile(encoder, device) if compiled else encoder
        self._device, self._dtype, self._pad = device, dtype, compiled

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (B, 3, 256, 256) -> (B, codes, 512) float32."""
        count = len(faces)
        faces = faces.to(self._device, self._dtype, memory_format=torch.channels_last, non_blocking=True)
        if self._pad:
            faces = fill(faces)
        codes: Tensor = self._run(faces)
        return _own(codes[:count].float(), self._pad)


class FastGenerator:
    """A Generator on a device."""

    def __init__(self, generator: Generator, device: torch.device, dtype: torch.dtype, compiled: bool) -> None:
        self._generator = generator
        self._draw = _compile(generator.synthesize, device) if compiled else generator.synthesize
        self._device, self._dtype, self._pad = device, dtype, compiled

    @property
    def codes(self) -> int:
        return self._generator.codes

    @property
    def resolution(self) -> int:
        return self._generator.resolution

    def mean_w(self) -> Tensor:
        return self._generator.mean_w().float()

    def map(self, z: Tensor) -> Tensor:
        return self._generator.map(z.to(self._device, self._dtype)).float()

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        """See `Generator.synthesize`; the picture is float32."""
        count = len(w_plus)
        w_plus = w_plus.to(self._device, self._dtype)
        noise = None if noise is None else noise.to(self._device, self._dtype)
        if self._pad:
            w_plus, noise = fill(w_plus), None if noise is None else fill(noise)
        image: Tensor = self._draw(w_plus, noise=noise, size=size)
        return _own(image[:count].float(), self._pad)


def fill(batch: Tensor) -> Tensor:
    """The batch, padded with its last item to a power of two, so that few sizes are compiled."""
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch


def _own(result: Tensor, compiled: bool) -> Tensor:
    # A CUDA graph overwrites this result with its next one.
    return result.clone() if compiled else result


def _compile(function: Any, device: torch.device) -> Any:
    import_module("torch._meta_registrations").activate_meta  # noqa: B018 - commands postpone it, see `cli.start`
    mode = "reduce-overhead" if device.type == "cuda" else None
    return torch.compile(function, dynamic=False, mode=mode)
