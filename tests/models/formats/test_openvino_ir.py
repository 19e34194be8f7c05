"""The OpenVINO IR reader, on graphs that the test writes itself."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.models.errors import WeightsError
from dynstream.models.formats.openvino_ir import read_ir
from dynstream.models.zoo.zoo import Zoo

MATRIX = np.arange(6, dtype="<f4").reshape(2, 3)
SCALAR = np.array(7, dtype="<i8")

GRAPH = """<?xml version="1.0"?>
<net name="tiny" version="10">
  <layers>
    <layer id="0" name="x" type="Parameter"><data shape="1, 3" element_type="f32"/>
      <output><port id="0"><dim>1</dim><dim>3</dim></port></output></layer>
    <layer id="2" name="weight" type="Const"><data element_type="f32" shape="2, 3" offset="8" size="24"/>
      <output><port id="0"><dim>2</dim><dim>3</dim></port></output></layer>
    <layer id="3" name="axis" type="Const"><data element_type="i64" shape="" offset="0" size="8"/>
      <output><port id="0"/></output></layer>
    <layer id="5" name="product" type="MatMul"><data transpose_b="true"/>
      <output><port id="2"><dim>1</dim><dim>2</dim></port></output></layer>
  </layers>
  <edges>
    <edge from-layer="2" from-port="0" to-layer="5" to-port="1"/>
    <edge from-layer="0" from-port="0" to-layer="5" to-port="0"/>
  </edges>
</net>"""


def write(folder: Path, graph: str = GRAPH, blob: bytes = SCALAR.tobytes() + MATRIX.tobytes()) -> tuple[Path, Path]:
    xml, binary = folder / "tiny.xml", folder / "tiny.bin"
    xml.write_text(graph)
    binary.write_bytes(blob)
    return xml, binary


def test_layers_and_constants(tmp_path: Path) -> None:
    layers = read_ir(*write(tmp_path)).layers
    named = {layer.id: layer for layer in layers}
    assert [layer.name for layer in layers] == ["x", "weight", "axis", "product"]
    assert named[0].value is None
    np.testing.assert_array_equal(named[2].value, MATRIX)
    assert named[3].value == SCALAR
    assert named[3].output_shapes == ((),)
    assert named[5].attributes == {"transpose_b": "true"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<net", "<not", "not an OpenVINO IR"),
        ('name="tiny"', "name=tiny", "not an OpenVINO IR"),
        ('size="24"', 'size="20"', "does not fit a blob of 32 bytes"),
        ('offset="8"', 'offset="9"', "does not fit a blob of 32 bytes"),
        ('offset="8"', 'offset="-8"', "does not fit a blob of 32 bytes"),
        ('element_type="i64"', 'element_type="q3"', "element type 'q3', known are f16"),
        (' offset="0"', "", "offset"),
        ('id="3"', 'id="2"', "two layers with one id"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    xml, binary = write(tmp_path, GRAPH.replace(old, new).replace("</not", "</net") if old != "<net" else "<not></not>")
    with pytest.raises(WeightsError, match=message):
        read_ir(xml, binary)


def test_the_short_blob_of_a_real_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not fit a blob of 8 bytes"):
        read_ir(*write(tmp_path, blob=SCALAR.tobytes()))


def test_the_zoo_has_the_generator_that_was_read_from_one(zoo: Zoo) -> None:
    from safetensors import safe_open

    with safe_open(zoo.path("mobilestylegan"), "np") as file:
        assert file.get_tensor("mapping.layers.0.weight").shape == (512, 512)
        assert "NON-COMMERCIAL" in file.metadata()["notice"]
