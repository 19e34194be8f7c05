"""Faces made of two others."""

import numpy as np
import numpy.typing as npt
import pytest

from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.research.training.morph import Morphs, landmarks_of_crops, morph

from ....drawn_face import draw_face

GRID = np.stack(np.meshgrid(np.arange(60, 200, 10), np.arange(60, 220, 10)), -1).reshape(-1, 2).astype(np.float64)


def spot(x: float, y: float, level: int) -> npt.NDArray[np.uint8]:
    """A face that is one bright spot."""
    rows, columns = np.mgrid[:256, :256]
    face = np.where((columns - x) ** 2 + (rows - y) ** 2 < 64, level, 20).astype(np.uint8)
    return np.repeat(face[..., None], 3, axis=2)


def middle(face: npt.NDArray[np.uint8]) -> tuple[float, float]:
    rows, columns = np.nonzero(face[..., 0] > 60)
    return float(columns.mean()), float(rows.mean())


@pytest.mark.parametrize(("shape", "x"), [(0.0, 120.0), (0.5, 124.0), (1.0, 128.0)])
def test_features_lie_between_those_of_the_two_faces(shape: float, x: float) -> None:
    first, second = GRID, GRID + np.array([8, 0])
    out = morph([spot(120, 130, 200), spot(128, 130, 200)], [first, second], shape, 0.0)
    assert middle(out) == pytest.approx((x, 130), abs=0.7)


@pytest.mark.parametrize(("skin", "level"), [(0.0, 100), (0.25, 125), (1.0, 200)])
def test_skin_is_mixed(skin: float, level: int) -> None:
    out = morph([spot(120, 130, 100), spot(120, 130, 200)], [GRID, GRID], 0.5, skin)
    assert out[130, 120].tolist() == [level] * 3


def test_faces_that_lie_far_apart_do_not_go_together() -> None:
    """The third is 50 pixels away from both others; it is drawn with neither."""
    faces = np.stack([spot(100, 130, 100), spot(104, 130, 150), spot(150, 130, 250)])
    morphs = Morphs(faces, [GRID, GRID + np.array([4, 0]), GRID + np.array([50, 0])])
    random = np.random.default_rng(0)
    out = [morphs.draw(random) for _ in range(20)]
    assert max(int(face.max()) for face in out) <= 150
    assert len({face.tobytes() for face in out}) > 15


def test_a_picture_without_a_face_is_left_out(zoo: Zoo) -> None:
    face, empty = draw_face((256, 256), x=128, y=140, width=130), np.full((256, 256, 3), 128, dtype=np.uint8)
    points = landmarks_of_crops(np.stack([face, empty, face]), load_mesh_backend(zoo))
    assert points[1] is None
    assert points[0] is not None
    assert points[0].shape == (478, 2)
    assert len(Morphs(np.stack([face, empty, face]), points)) == 2
