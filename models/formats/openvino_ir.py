"""Reads an OpenVINO IR pair (an XML graph and a raw blob) into layers and NumPy constants.

The format, as its own documentation gives it: https://docs.openvino.ai/ (OpenVINO IR format, version 10 and 11).
Only reading: nothing is computed, and OpenVINO is not needed.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import AnyArray
from ..errors import WeightsError

ELEMENT_TYPES = {
    "f16": "<f2",
    "f32": "<f4",
    "f64": "<f8",
    "i8": "<i1",
    "i16": "<i2",
    "i32": "<i4",
    "i64": "<i8",
    "u8": "<u1",
    "u16": "<u2",
    "u32": "<u4",
    "u64": "<u8",
    "boolean": "<u1",
}


@dataclass(frozen=True, slots=True)
class IrLayer:
    """One node of the graph.

    Attributes:
        id: unique in its graph.
        name: the converter's name, unique for practical purposes but not by the format.
        kind: operation, as "Const", "MatMul", "GroupConvolution".
        attributes: the `<data>` element's attributes as they are written, all strings.
        output_shapes: one shape per output port, in port order; () for a scalar.
        value: the array of a `Const` layer (read-only, little endian), None for every other kind.
    """

    id: int
    name: str
    kind: str
    attributes: Mapping[str, str]
    output_shapes: tuple[tuple[int, ...], ...]
    value: AnyArray | None = None

    def __repr__(self) -> str:
        constant = "" if self.value is None else f", {self.value.dtype}"
        shapes = ", ".join(str(list(shape)) for shape in self.output_shapes)
        return f"IrLayer({self.id}, {self.name!r}, {self.kind}{constant}, {shapes})"


@dataclass(frozen=True, slots=True)
class IrGraph:
    """The layers of one IR file in the file's (topological) order. Raises WeightsError if two have one id."""

    layers: tuple[IrLayer, ...]

    def __post_init__(self) -> None:
        if len({layer.id for layer in self.layers}) != len(self.layers):
            raise WeightsError("the IR graph has two layers with one id")


def read_ir(xml_path: Path, bin_path: Path) -> IrGraph:
    """The graph of `xml_path` with the constants of `bin_path`.

    Raises WeightsError if the XML is not an IR graph, an element type is unknown, or a constant's shape, size or
    place does not fit the blob.
    """
    try:
        root = ElementTree.parse(xml_path).getroot()
    except ElementTree.ParseError as error:
        raise WeightsError(f"{xml_path} is not an OpenVINO IR graph: {error}") from error
    layers = root.find("layers")
    if root.tag != "net" or layers is None:
        raise WeightsError(f"{xml_path} is not an OpenVINO IR graph: expected <net> with <layers>")
    blob = bin_path.read_bytes()
    try:
        return IrGraph(tuple(_layer(element, blob) for element in layers))
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{xml_path} with {bin_path.name} is not a readable OpenVINO IR pair: {error}") from error


def _layer(element: ElementTree.Element, blob: bytes) -> IrLayer:
    data = element.find("data")
    attributes = dict(data.attrib) if data is not None else {}
    kind = element.attrib["type"]
    return IrLayer(
        id=int(element.attrib["id"]),
        name=element.attrib["name"],
        kind=kind,
        attributes=attributes,
        output_shapes=tuple(
            tuple(int(dim.text or "") for dim in port.findall("dim")) for port in element.findall("output/port")
        ),
        value=_constant(attributes, blob) if kind == "Const" else None,
    )


def _constant(attributes: Mapping[str, str], blob: bytes) -> AnyArray:
    kind = attributes["element_type"]
    if kind not in ELEMENT_TYPES:
        raise ValueError(f"element type {kind!r}, known are {', '.join(ELEMENT_TYPES)}")
    dtype = np.dtype(ELEMENT_TYPES[kind])
    shape = tuple(int(part) for part in attributes["shape"].split(",") if part.strip())
    offset, size = int(attributes["offset"]), int(attributes["size"])
    if math.prod(shape) * dtype.itemsize != size or offset < 0 or offset + size > len(blob):
        raise ValueError(
            f"a constant of shape {list(shape)} and type {kind} at offset {offset} with {size} bytes "
            f"does not fit a blob of {len(blob)} bytes"
        )
    return np.frombuffer(blob, dtype, count=math.prod(shape), offset=offset).reshape(shape)
