"""The guarantees of `FaceBackend`, over every implementation."""

from collections.abc import Callable

import numpy as np
import pytest

from dynstream.models.errors import ShapeError
from dynstream.models.faces.face_alignment_backend import FaceAlignmentBackend
from dynstream.models.faces.faces import POINTS, FaceBackend, FaceRegion
from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo

from ...drawn_face import BACKGROUND, draw_face
from .fake_face_alignment import FakeAligner

BACKENDS: dict[str, Callable[[Zoo], FaceBackend]] = {
    "mesh": load_mesh_backend,
    "face-alignment": lambda zoo: FaceAlignmentBackend(FakeAligner()),
}


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, zoo: Zoo) -> FaceBackend:
    return BACKENDS[request.param](zoo)


def located(backend: FaceBackend, pixels: np.ndarray):
    """The largest face after one round of following."""
    face = backend.locate(pixels, backend.detect(pixels)[0])
    return backend.locate(pixels, backend.follow(face))


def test_detects_faces_largest_first(backend: FaceBackend) -> None:
    left, right = draw_face(x=140, width=110), draw_face(x=460, width=150)
    pixels = np.where(np.arange(640)[None, :, None] < 290, left, right)
    regions = backend.detect(pixels)
    assert len(regions) == 2
    assert abs(regions[0].x - 460) < 25
    assert abs(regions[1].x - 140) < 25
    assert regions[0].size > regions[1].size


def test_an_empty_scene_has_no_faces(backend: FaceBackend) -> None:
    assert backend.detect(np.full((120, 200, 3), BACKGROUND, np.uint8)) == ()


def test_has_no_memory_and_writes_nothing(backend: FaceBackend) -> None:
    pixels, other = draw_face(), draw_face(x=200, width=110, angle=10)
    region = backend.detect(pixels)[0]
    before = backend.locate(pixels, region)
    copy = pixels.copy()
    backend.detect(other)
    backend.locate(other, FaceRegion(200, 180, 160))
    after = backend.locate(pixels, region)
    np.testing.assert_array_equal(before.landmarks, after.landmarks)
    np.testing.assert_array_equal(pixels, copy)
    assert backend.detect(pixels) == backend.detect(pixels)


def test_a_face_has_the_layout_and_a_high_presence(backend: FaceBackend) -> None:
    face = located(backend, draw_face())
    assert face.layout == backend.layout
    assert face.landmarks.shape == (POINTS[backend.layout], 3)
    assert face.presence > 0.5
    middle = face.landmarks[:, :2].mean(axis=0)
    assert np.abs(middle - (320, 190)).max() < 20


def test_where_no_face_is_the_presence_is_low(backend: FaceBackend) -> None:
    face = backend.locate(np.full((240, 320, 3), BACKGROUND, np.uint8), FaceRegion(160, 120, 150))
    assert face.presence < 0.5
    assert np.isfinite(face.landmarks).all()


def test_following_settles_on_a_still_picture(backend: FaceBackend) -> None:
    pixels = draw_face(width=140)
    region = backend.detect(pixels)[0]
    sizes, middles = [], []
    for _ in range(12):
        region = backend.follow(backend.locate(pixels, region))
        sizes.append(region.size)
        middles.append((region.x, region.y))
    assert abs(sizes[-1] - sizes[2]) < 0.03 * sizes[2]
    assert np.hypot(*np.subtract(middles[-1], middles[2])) < 0.02 * sizes[2]


def test_following_finds_a_face_that_moved(backend: FaceBackend) -> None:
    face = located(backend, draw_face(x=300))
    moved = backend.locate(draw_face(x=322, y=190), backend.follow(face))
    shift = (moved.landmarks - face.landmarks)[:, :2].mean(axis=0)
    assert moved.presence > 0.5
    np.testing.assert_allclose(shift, (22, 10), atol=3)


def test_shifting_the_picture_shifts_the_landmarks(backend: FaceBackend) -> None:
    still, shifted = draw_face(x=300, y=170), draw_face(x=340, y=186)
    first, second = located(backend, still), located(backend, shifted)
    difference = second.landmarks[:, :2] - first.landmarks[:, :2] - (40, 16)
    assert np.abs(difference).max() < 0.03 * 150


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_refuses_what_is_not_a_picture(backend: FaceBackend, pixels: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="expected a picture"):
        backend.detect(pixels)
    with pytest.raises(ShapeError, match="expected a picture"):
        backend.locate(pixels, FaceRegion(5, 5, 5))


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (37, 53)])
def test_takes_pictures_of_any_size(backend: FaceBackend, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 100, np.uint8)
    backend.detect(pixels)
    face = backend.locate(pixels, FaceRegion(size[1] / 2, size[0] / 2, 40))
    assert np.isfinite(face.landmarks).all()
