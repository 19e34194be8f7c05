"""tflite graphs in torch: equal to LiteRT on the real networks, batches, gradients, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.errors import WeightsError
from dynstream.models.formats.tflite import load_network
from dynstream.models.formats.tflite_graph import OPERATIONS, TfliteGraph, load_tflite
from dynstream.models.zoo.zoo import Zoo

from ...drawn_face import draw_face

MESH, SHAPES = "face_landmarks_detector.tflite", "face_blendshapes.tflite"


@pytest.fixture(scope="module")
def mesh(zoo: Zoo) -> TfliteGraph:
    return load_tflite(zoo.path("face-landmarker", MESH))


def patch(smile: float = 0.0) -> Tensor:
    """(1, 256, 256, 3) in [0, 1], a drawn face as the landmark network wants it."""
    face = draw_face((256, 256), x=128, y=128, width=170, smile=smile)
    return torch.from_numpy(face.astype(np.float32) / 255)[None]


def test_landmarks_equal_litert(zoo: Zoo, mesh: TfliteGraph) -> None:
    expected = load_network(zoo.path("face-landmarker", MESH)).run(patch().numpy())
    with torch.no_grad():
        found = mesh(patch())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value, atol=1e-3)


def test_blendshapes_equal_litert(zoo: Zoo) -> None:
    path = zoo.path("face-landmarker", SHAPES)
    points = torch.rand(3, 146, 2, generator=torch.Generator().manual_seed(1)) * 200
    network = load_network(path)
    with torch.no_grad():
        (found,) = load_tflite(path)(points).values()
    assert found.shape == (3, 52)
    for own, one in zip(found, points, strict=True):
        (value,) = network.run(one[None].numpy()).values()
        np.testing.assert_allclose(own.numpy(), value, atol=1e-4)


def test_a_batch_equals_its_items_and_has_gradients(mesh: TfliteGraph) -> None:
    faces = torch.cat([patch(), patch(1.0)]).requires_grad_()
    both = mesh(faces)["Identity"]
    with torch.no_grad():
        alone = mesh(faces[1:])["Identity"]
    torch.testing.assert_close(both[1:], alone, atol=1e-3, rtol=1e-4)
    both[0].sum().backward()
    assert faces.grad is not None
    assert faces.grad[0].abs().max() > 0
    assert not faces.grad[1].any()
    assert not list(mesh.parameters())


@pytest.mark.parametrize(("size", "stride", "kernel"), [(5, 2, 3), (6, 2, 3), (6, 2, 2), (5, 1, 3)])
def test_same_padding_puts_the_odd_pixel_last(size: int, stride: int, kernel: int) -> None:
    """Of pads a, b with a <= b, as tflite's documentation has it: checked by where a kernel of one 1 looks."""
    settings = {"padding": 0, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}
    x = torch.arange(1.0, size + 1).view(1, 1, size, 1).expand(1, size, size, 1)
    weight = torch.zeros(1, kernel, kernel, 1)
    weight[0, kernel // 2, 0] = 1
    found = OPERATIONS["CONV_2D"](settings, x, weight, torch.zeros(1))[0, 0, :, 0].tolist()
    count = -(-size // stride)
    before = max((count - 1) * stride + kernel - size, 0) // 2
    places = [i * stride - before for i in range(count)]
    assert found == [float(place + 1) if 0 <= place < size else 0.0 for place in places]


def test_an_unknown_operator_is_refused(zoo: Zoo) -> None:
    with pytest.raises(WeightsError, match=r"face_detector.tflite has the operator RELU; known are ADD"):
        load_tflite(zoo.path("face-landmarker", "face_detector.tflite"))


@pytest.mark.parametrize("data", [b"", b"no graph at all, but long enough to be one"])
def test_a_damaged_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(data)
    with pytest.raises(WeightsError, match=r"x\.tflite cannot be read as tflite"):
        load_tflite(tmp_path / "x.tflite")
