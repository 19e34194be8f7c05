"""The 106 landmarks: on drawn faces, beside the mesh; moved with the picture."""

import pytest
import torch
from torch import Tensor

from dynstream.models.errors import ShapeError
from dynstream.models.faces.landmarks_106 import load_landmarks_106
from dynstream.models.faces.mesh_graph import load_mesh_graph
from dynstream.models.zoo.zoo import Zoo


def test_they_lie_where_the_mesh_finds_the_face_and_move_with_it(zoo: Zoo, drawn_faces: Tensor) -> None:
    network, mesh = load_landmarks_106(zoo), load_mesh_graph(zoo)
    faces = drawn_faces[:2]
    with torch.no_grad():
        found, points = network(faces), mesh(faces).points
        moved = network(faces.roll((5, -7), (2, 3)))
    assert found.shape == (2, 106, 2)
    # Every eye and mouth of the mesh has a landmark of the other set close by.
    for index in (33, 133, 362, 263, 61, 291, 4):
        nearest = (found - points[:, index : index + 1]).norm(dim=2).amin(1)
        assert nearest.max() < 7
    shift = (moved - found).mean(1)
    torch.testing.assert_close(shift, torch.tensor([[-7.0, 5.0]]).expand(2, 2), atol=1.5, rtol=0)


def test_another_size_is_refused(zoo: Zoo) -> None:
    with pytest.raises(ShapeError, match="256, 256"):
        load_landmarks_106(zoo)(torch.zeros(1, 3, 128, 128))
