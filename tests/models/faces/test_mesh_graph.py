"""The face mesh with gradients: near the backend's own answer, in the pixels of the aligned face."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ShapeError
from dynstream.models.faces.faces import FaceRegion
from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.faces.mesh_graph import MeshGraph, load_mesh_graph
from dynstream.models.zoo.zoo import Zoo
from dynstream.stream.frame import Pixels

from ...drawn_face import draw_face


@pytest.fixture(scope="module")
def graph(zoo: Zoo) -> MeshGraph:
    return load_mesh_graph(zoo)


def aligned(smile: float = 0.0) -> Pixels:
    return np.asarray(draw_face((256, 256), x=128, y=140, width=150, smile=smile), dtype=np.uint8)


def tensor(*faces: Pixels) -> Tensor:
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_it_agrees_with_the_backend(zoo: Zoo, graph: MeshGraph) -> None:
    backend = load_mesh_backend(zoo)
    face = backend.locate(aligned(), FaceRegion(127.5, 127.5 + 26, 256))
    with torch.no_grad():
        seen = graph(tensor(aligned()))
    np.testing.assert_allclose(seen.points[0].numpy(), face.landmarks[:, :2], atol=0.5)
    np.testing.assert_allclose(seen.blendshapes[0].numpy(), face.blendshapes, atol=0.05)
    assert seen.presence[0] > 0.9


def test_gradients_reach_the_face(graph: MeshGraph) -> None:
    faces = tensor(aligned(), aligned(1.0)).requires_grad_()
    seen = graph(faces)
    assert seen.points.shape == (2, 478, 2)
    assert seen.blendshapes.shape == (2, 52)
    seen.blendshapes.sum().backward()
    assert faces.grad is not None
    assert (faces.grad.flatten(1).abs().amax(1) > 0).all()


def test_another_size_is_refused(graph: MeshGraph) -> None:
    with pytest.raises(ShapeError, match=r"\(B, 3, 256, 256\), got \(1, 3, 128, 128\)"):
        graph(torch.zeros(1, 3, 128, 128))
