"""Faster renderers: another device, lower precision, compiled networks. The plain renderer is the reference."""

from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from ...models.generator.generator import Generator
from ..common.devices import Device
from ..common.errors import PipelineError
from .renderer import Renderer

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def check_precision(name: str) -> Precision:
    """The precision of that name. Raises PipelineError, which lists the names."""
    for known in PRECISIONS:
        if name == known:
            return known
    raise PipelineError(f"unknown precision {name!r}; expected one of {', '.join(PRECISIONS)}")


def check_device(name: str) -> torch.device:
    """The device of that name. Raises PipelineError for an unknown or missing device."""
    return Device(name).where


def accelerate(
    renderer: Renderer, *, device: str = "cpu", compiled: bool = False, precision: Precision = "float32"
) -> Renderer:
    """A renderer over the same networks, which are moved to `device`; do not use the given renderer any more.

    compiled: use torch.compile, on CUDA with CUDA graphs, for batches of 1, 2, 4, 8, ... faces. Smaller batches are
    padded; the first batch of each size takes a minute. precision: of encoder and generator; codes, their averages and
    pictures stay float32. Raises PipelineError for a missing device.
    """
    there = Device(device)
    where = there.where
    if where.type == "cpu" and not compiled and precision == "float32":
        return renderer
    for network in (renderer.encoder, renderer.generator):
        there.move(cast(nn.Module, network))
    dtype = torch.bfloat16 if precision == "bfloat16" else None
    encoder = FastEncoder(renderer.encoder, where, dtype, compiled)
    generator = FastGenerator(renderer.generator, where, dtype, compiled)
    offset = None if renderer.code_offset is None else there.to(renderer.code_offset)
    recurrent = renderer.recurrent
    if recurrent is not None:
        there.move(recurrent.network)
        recurrent = recurrent.drawing_with(generator)
    return Renderer(cast(Any, encoder), generator, code_offset=offset, recurrent=recurrent)


class FastEncoder:
    """An encoder on a device. It takes faces on any device and returns float32 codes on its own."""

    def __init__(self, encoder: Any, device: torch.device, dtype: torch.dtype | None, compiled: bool) -> None:
        self._run = _compile(encoder, device) if compiled else encoder
        self._device, self._dtype, self._pad = device, dtype, compiled

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (B, 3, 256, 256) -> (B, codes, 512) float32."""
        count = len(faces)
        faces = faces.to(self._device, memory_format=torch.channels_last, non_blocking=True)
        if self._pad:
            faces = fill(faces)
        with _cast(self._device, self._dtype):
            codes: Tensor = self._run(faces)
        return _own(codes[:count].float(), self._pad)


class FastGenerator:
    """A Generator on a device."""

    def __init__(self, generator: Generator, device: torch.device, dtype: torch.dtype | None, compiled: bool) -> None:
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
        return self._generator.mean_w()

    def map(self, z: Tensor) -> Tensor:
        return self._generator.map(z.to(self._device))

    def synthesize(self, w_plus: Tensor, *, noise: Tensor | None = None, size: int = 256) -> Tensor:
        """See `Generator.synthesize`; the picture is float32."""
        count = len(w_plus)
        w_plus = w_plus.to(self._device)
        noise = None if noise is None else noise.to(self._device)
        if self._pad:
            w_plus, noise = fill(w_plus), None if noise is None else fill(noise)
        with _cast(self._device, self._dtype):
            image: Tensor = self._draw(w_plus, noise=noise, size=size)
        return _own(image[:count].float(), self._pad)


def fill(batch: Tensor) -> Tensor:
    """The batch, padded with its last item to a power of two, so that few sizes are compiled."""
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch


def _own(result: Tensor, compiled: bool) -> Tensor:
    # A CUDA graph overwrites this result with its next one.
    return result.clone() if compiled else result


def _cast(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def _compile(function: Any, device: torch.device) -> Any:
    mode = "reduce-overhead" if device.type == "cuda" else None
    return torch.compile(function, dynamic=False, mode=mode)
