"""Runs small ONNX graphs in torch, so that scores published as ONNX have gradients, batches and devices.

It knows the operators of the graphs that dynstream reads, in the settings that occur there, and refuses every other at
loading time. onnxruntime is the reference: the tests hold both equal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError

if TYPE_CHECKING:
    import onnx

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: names of its inputs and of its output, and its settings."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes


def _convolution(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(
        x,
        weight,
        bias,
        stride=attributes.get("strides", 1),
        padding=_symmetric(attributes),
        groups=attributes.get("group", 1),
    )


def _batch_norm(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return F.batch_norm(x, mean, var, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _gemm(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x, weight if attributes.get("transB") else weight.T, bias)


def _max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    return F.max_pool2d(x, attributes["kernel_shape"], attributes.get("strides", 1), _symmetric(attributes))


def _average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    return F.avg_pool2d(
        x,
        attributes["kernel_shape"],
        attributes.get("strides", 1),
        _symmetric(attributes),
        count_include_pad=bool(attributes.get("count_include_pad")),
    )


def _pad(_attributes: Attributes, x: Tensor, pads: Tensor) -> Tensor:
    # ONNX lists all beginnings, then all ends; torch lists pairs from the last dimension on.
    values = pads.tolist()
    half = len(values) // 2
    return F.pad(x, [n for axis in reversed(range(half)) for n in (values[axis], values[axis + half])])


def _symmetric(attributes: Attributes) -> list[int]:
    return list(attributes.get("pads", (0, 0, 0, 0)))[:2]


OPERATORS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "Add": lambda _, a, b: a + b,
        "AveragePool": _average_pool,
        "BatchNormalization": _batch_norm,
        "Conv": _convolution,
        "Flatten": lambda _, x: x.flatten(1),
        "Gemm": _gemm,
        "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
        "MaxPool": _max_pool,
        "Mul": lambda _, a, b: a * b,
        "PRelu": lambda _, x, slope: F.prelu(x, slope.flatten()),
        "Pad": _pad,
        "Relu": lambda _, x: F.relu(x),
        "Sub": lambda _, a, b: a - b,
        "Softmax": lambda attributes, x: x.softmax(attributes.get("axis", -1)),
    }
)

# Settings that the functions above take for granted.
_FIXED: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "alpha": lambda value: value == 1,
        "auto_pad": lambda value: value == "NOTSET",
        "beta": lambda value: value == 1,
        "ceil_mode": lambda value: value == 0,
        "dilations": lambda value: all(step == 1 for step in value),
        "mode": lambda value: value == "constant",
        "pads": lambda value: list(value[: len(value) // 2]) == list(value[len(value) // 2 :]),
        "training_mode": lambda value: value == 0,
        "transA": lambda value: value == 0,
    }
)


class OnnxGraph(nn.Module):
    """A graph with one input and one output. Its tensors are buffers: it moves between devices, and never trains."""

    def __init__(self, nodes: Sequence[Node], tensors: Mapping[str, Tensor], given: str, result: str) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        self.given = given
        self.result = result
        # Names of buffers may not hold dots, which names of ONNX tensors may.
        self._places = {name: f"tensor{number}" for number, name in enumerate(tensors)}
        for name, tensor in tensors.items():
            self.register_buffer(self._places[name], tensor)

    def forward(self, x: Tensor) -> Tensor:
        """x: the graph's input, with any batch size -> the graph's output."""
        values = {name: self.get_buffer(place) for name, place in self._places.items()}
        values[self.given] = x
        for node in self.nodes:
            values[node.output] = OPERATORS[node.operator](node.attributes, *(values[name] for name in node.inputs))
        return values[self.result]


def load_onnx(path: Path, given: tuple[int, ...], result: tuple[int, ...]) -> OnnxGraph:
    """Reads a graph and checks that it is of the expected kind.

    Args:
        path: the ONNX file.
        given: shape of its one input without the batch.
        result: shape of its one output without the batch.

    Raises:
        WeightsError: not an ONNX file, other inputs or outputs, or an operator or setting that is not known here.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise WeightsError(f"{path} cannot be read as ONNX ({error}); run `dynstream models verify`") from error
    tensors = {item.name: torch.from_numpy(onnx.numpy_helper.to_array(item).copy()) for item in graph.initializer}
    inputs = [value for value in graph.input if value.name not in tensors]
    shapes = ([_shape(value) for value in inputs], [_shape(value) for value in graph.output])
    if shapes != ([given], [result]):
        raise WeightsError(
            f"{path} maps {shapes[0]} to {shapes[1]}, expected [{given}] to [{result}]: is it another model's file?"
        )
    nodes = [_node(item, path) for item in graph.node]
    return OnnxGraph(nodes, tensors, inputs[0].name, graph.output[0].name).eval()


def _shape(value: "onnx.ValueInfoProto") -> tuple[int, ...]:
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)[1:]


def _node(item: "onnx.NodeProto", path: Path) -> Node:
    import onnx

    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in item.attribute}
    attributes = {name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()}
    if item.op_type not in OPERATORS:
        raise WeightsError(f"{path} has the operator {item.op_type}; known are {', '.join(OPERATORS)}")
    for name, value in attributes.items():
        if name in _FIXED and not _FIXED[name](value):
            raise WeightsError(f"{path} has {item.op_type} with {name} = {value}, which is not supported")
    return Node(item.op_type, tuple(item.input), item.output[0], attributes)
