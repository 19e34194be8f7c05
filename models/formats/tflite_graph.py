"""Runs small tflite graphs in torch, so that networks published as tflite have gradients, batches and devices.

It knows the operators of the graphs that dynstream reads, in the settings that occur there, and refuses every other at
loading time. LiteRT is the reference: the tests hold both equal. Tensors keep tflite's order (B, H, W, C); a torch
convolution over their transposed view reads them as channels-last memory, without a copy.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError

SAME: Final = 0  # tflite's enum of paddings; the other one is VALID
RELU: Final = 1  # of its enum of fused activations; 0 is none
Ints = tuple[int, ...]
"""A constant of whole numbers, such as a shape: on the host, so that no device is asked for it."""
TYPES: Final[Mapping[int, Any]] = MappingProxyType({0: np.float32, 1: np.float16, 2: np.int32})
"""tflite's number of a tensor's type -> numpy's."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator: numbers of its inputs and of its output, and its settings."""

    name: str
    inputs: tuple[int, ...]
    output: int
    settings: Mapping[str, Any]


def _pad_same(x: Tensor, kernel: tuple[int, int], settings: Mapping[str, Any], value: float = 0.0) -> Tensor:
    """(B, C, H, W), padded as tflite does for SAME: the odd pixel goes to the end."""
    if settings["padding"] != SAME:
        return x
    margins: list[int] = []
    for axis, size in (("W", kernel[1]), ("H", kernel[0])):
        length, stride = x.shape[-1 if axis == "W" else -2], settings[f"stride{axis}"]
        reach = (size - 1) * settings.get(f"dilation{axis}Factor", 1) + 1
        missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
        margins += [missing // 2, missing - missing // 2]
    return F.pad(x, margins, value=value) if any(margins) else x


def _convolution(settings: Mapping[str, Any], x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """weight: (out, kernel, kernel, in), as tflite keeps it; (1, kernel, kernel, C) for a depthwise convolution."""
    deep = "depthMultiplier" in settings
    steps = (settings["strideH"], settings["strideW"])
    if weight.shape[1:3] == (1, 1) and steps == (1, 1) and not deep:
        x = F.linear(x, weight.flatten(1), bias)
    else:
        kernel = weight.permute(3, 0, 1, 2) if deep else weight.permute(0, 3, 1, 2)
        x = F.conv2d(
            _pad_same(x.permute(0, 3, 1, 2), (weight.shape[1], weight.shape[2]), settings),
            kernel,
            bias,
            steps,
            dilation=(settings["dilationHFactor"], settings["dilationWFactor"]),
            groups=x.shape[3] if deep else 1,
        ).permute(0, 2, 3, 1)
    return x


def _max_pool(settings: Mapping[str, Any], x: Tensor) -> Tensor:
    kernel = (settings["filterHeight"], settings["filterWidth"])
    planes = _pad_same(x.permute(0, 3, 1, 2), kernel, settings, float("-inf"))
    return F.max_pool2d(planes, kernel, (settings["strideH"], settings["strideW"])).permute(0, 2, 3, 1)


def _pad(_: Mapping[str, Any], x: Tensor, margins: Ints) -> Tensor:
    # tflite lists the dimensions from the first on, torch from the last.
    return F.pad(x, [size for pair in zip(margins[-2::-2], margins[::-2], strict=True) for size in pair])


def _concatenate(settings: Mapping[str, Any], *parts: Tensor) -> Tensor:
    count = max(part.shape[0] for part in parts)  # constants have a batch of one
    return torch.cat([part.expand(count, *part.shape[1:]) for part in parts], settings["axis"])


def _reshape(_: Mapping[str, Any], x: Tensor, sizes: Ints) -> Tensor:
    return x.reshape(len(x), *(sizes[1:] if len(sizes) > 1 else sizes))


def _slice(settings: Mapping[str, Any], x: Tensor, begin: Ints, end: Ints, stride: Ints) -> Tensor:
    cuts = [slice(None)]  # the batch stays whole, also where the graph would drop it
    for axis in range(1, x.ndim):
        first = None if settings["beginMask"] >> axis & 1 else begin[axis]
        last = None if settings["endMask"] >> axis & 1 else end[axis]
        cuts.append(slice(first, last, stride[axis]))
    return x[tuple(cuts)]


OPERATIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "ADD": lambda _, a, b: a + b,
        "CONCATENATION": _concatenate,
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _convolution,
        "DIV": lambda _, a, b: a / b,
        "LOGISTIC": lambda _, x: torch.sigmoid(x),
        "MAX_POOL_2D": _max_pool,
        "MEAN": lambda _, x, axes: x.mean(axes, keepdim=True),
        "MUL": lambda _, a, b: a * b,
        "NEG": lambda _, x: -x,
        "PAD": _pad,
        "PRELU": lambda _, x, slope: F.prelu(x.permute(0, 3, 1, 2), slope.flatten()).permute(0, 2, 3, 1),
        "RESHAPE": _reshape,
        "RSQRT": lambda _, x: torch.rsqrt(x),
        "SQRT": lambda _, x: torch.sqrt(x),
        "SQUARED_DIFFERENCE": lambda _, a, b: (a - b).square(),
        "STRIDED_SLICE": _slice,
        "SUB": lambda _, a, b: a - b,
        "SUM": lambda _, x, axes: x.sum(axes, keepdim=True),
        "TRANSPOSE": lambda _, x, order: x.permute(order),
    }
)

# Settings that the functions above take for granted.
_FIXED: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "depthMultiplier": lambda value: value in (0, 1),  # 0: not written by some converters
        "ellipsisMask": lambda value: value == 0,
        "fusedActivationFunction": lambda value: value in (0, RELU),
        "newAxisMask": lambda value: value == 0,
        "shrinkAxisMask": lambda value: value in (0, 1),
    }
)


class TfliteGraph(nn.Module):
    """A graph with one input and several outputs. Its tensors are buffers: it moves between devices, and never trains.

    given: number of the input's tensor. results: name of each output -> number of its tensor.
    """

    def __init__(
        self, operations: Sequence[Operation], tensors: Mapping[int, Tensor], given: int, results: Mapping[str, int]
    ) -> None:
        """tensors: constants by number; whole numbers stay on the host."""
        super().__init__()
        self.operations = tuple(operations)
        self.given = given
        self.results = dict(results)
        self._constants = tuple(number for number, tensor in tensors.items() if tensor.is_floating_point())
        self._whole: dict[int, Ints] = {
            number: tuple(tensor.flatten().tolist())
            for number, tensor in tensors.items()
            if number not in self._constants
        }
        for number in self._constants:
            self.register_buffer(f"tensor{number}", tensors[number])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """x: the graph's input with any batch size, in tflite's order -> outputs by name, each with the batch first."""
        values: dict[int, Any] = {number: self.get_buffer(f"tensor{number}") for number in self._constants}
        values |= self._whole
        values[self.given] = x
        for item in self.operations:
            value = OPERATIONS[item.name](item.settings, *(values[number] for number in item.inputs))
            values[item.output] = F.relu(value) if item.settings.get("fusedActivationFunction") == RELU else value
        return {name: values[number] for name, number in self.results.items()}


def load_tflite(path: Path) -> TfliteGraph:
    """Reads a graph; its constants become float32 where they are floats.

    Raises:
        WeightsError: not a tflite file, or an operator or setting that is not known here.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
        graph = model.subgraphs[0]
        names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
        constants = {
            number: tensor
            for number, item in enumerate(graph.tensors)
            if (tensor := _constant(item, model.buffers[item.buffer].data, path)) is not None
        }
    except (OSError, struct.error, IndexError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as tflite ({error}); run `dynstream models verify`") from error
    operations = []
    for item in graph.operators:
        name, inputs = codes[item.opcodeIndex], tuple(int(number) for number in item.inputs)
        if name == "DEQUANTIZE":  # of float16 constants, which are float32 here already
            constants[int(item.outputs[0])] = constants[inputs[0]]
            continue
        operations.append(_operation(name, inputs, int(item.outputs[0]), item.builtinOptions, path))
    used = {number for item in operations for number in item.inputs}
    tensors = {number: tensor for number, tensor in constants.items() if number in used}
    results = {graph.tensors[number].name.decode(): int(number) for number in graph.outputs}
    return TfliteGraph(operations, tensors, int(graph.inputs[0]), results).eval()


def _constant(item: Any, data: Any, path: Path) -> Tensor | None:
    if data is None or len(data) == 0:
        return None
    if item.type not in TYPES:
        raise WeightsError(f"{path} has a constant of type {item.type}; known are {sorted(TYPES)}")
    shape = () if item.shape is None else tuple(int(size) for size in item.shape)
    array = np.frombuffer(bytes(data), TYPES[item.type]).reshape(shape)
    tensor = torch.from_numpy(array.copy())
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def _operation(name: str, inputs: tuple[int, ...], output: int, options: Any, path: Path) -> Operation:
    settings: dict[str, Any] = {} if options is None else dict(vars(options))
    if name not in OPERATIONS:
        raise WeightsError(f"{path} has the operator {name}; known are {', '.join(OPERATIONS)}")
    for setting, value in settings.items():
        if setting in _FIXED and not _FIXED[setting](value):
            raise WeightsError(f"{path} has {name} with {setting} = {value}, which is not supported")
    return Operation(name, inputs, output, settings)
