import numpy as np
import pytest

from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.faces import blendshapes, mesh
from dynstream.models.faces.blendshapes import INDEX, MESH_SUBSET, NAMES
from dynstream.models.faces.faces import Face, FaceRegion
from dynstream.models.faces.mesh import MeshBackend, load_mesh_backend
from dynstream.models.formats.tflite import load_network
from dynstream.models.zoo.zoo import Zoo

from ...drawn_face import draw_face


@pytest.fixture(scope="module")
def backend(zoo: Zoo) -> MeshBackend:
    return load_mesh_backend(zoo)


def locate(backend: MeshBackend, pixels: np.ndarray) -> Face:
    face = backend.locate(pixels, backend.detect(pixels)[0])
    return backend.locate(pixels, backend.follow(face))


def test_names_and_points_are_complete() -> None:
    assert len(NAMES) == len(set(NAMES)) == 52
    assert NAMES[0] == "_neutral"
    assert len(MESH_SUBSET) == len(set(MESH_SUBSET)) == 146
    assert max(MESH_SUBSET) == 477
    lefts = {name.replace("Left", "Right") for name in NAMES if name.endswith("Left")}
    assert lefts == {name for name in NAMES if name.endswith("Right")}
    assert len(set(mesh.OVAL)) == 36


def test_landmarks_meet_the_drawing(backend: MeshBackend) -> None:
    face = locate(backend, draw_face(x=320, y=180, width=200))
    plane = face.landmarks[:, :2]
    # Where `draw_face` puts the middles of the irises and of the lips.
    np.testing.assert_allclose(plane[468], (320 - 42, 180 - 16), atol=4)
    np.testing.assert_allclose(plane[473], (320 + 42, 180 - 16), atol=4)
    np.testing.assert_allclose(plane[[61, 291]].mean(axis=0), (320, 180 + 79), atol=6)


@pytest.mark.parametrize("angle", [-60, -25, 25, 60])
def test_landmarks_turn_with_the_head(backend: MeshBackend, angle: float) -> None:
    upright, turned = (locate(backend, draw_face(angle=one)).landmarks[:, :2] for one in (0.0, angle))
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    expected = (upright - (320, 180)) @ matrix.T + (320, 180)
    assert np.hypot(*(turned - expected).T).mean() < 2.5


class FixedNetwork:
    """A landmark network that always answers with the same patch coordinates."""

    input_shape = (1, 256, 256, 3)

    def run(self, value: np.ndarray) -> dict[str, np.ndarray]:
        assert value.shape == self.input_shape
        points = np.zeros((478, 3), np.float32)
        points[:3] = [(128, 128, 64), (0, 0, 0), (256, 0, 0)]
        return {"Identity": points.reshape(1, 1, 1, -1), "Identity_1": np.zeros((1, 1, 1, 1), np.float32)}


def test_patch_coordinates_become_frame_pixels() -> None:
    backend = MeshBackend(None, FixedNetwork(), lambda landmarks: np.zeros(52, np.float32))  # type: ignore[arg-type]
    face = backend.locate(np.zeros((100, 200, 3), np.uint8), FaceRegion(80.0, 40.0, 64.0, np.pi / 2))
    # The middle, the upper left and the upper right corner of a region that is turned by a quarter clockwise.
    np.testing.assert_allclose(face.landmarks[:3], [(80, 40, 16), (112, 8, 0), (112, 72, 0)], atol=1e-3)
    assert face.presence == pytest.approx(0.5)


def test_a_drawn_smile_is_seen(backend: MeshBackend) -> None:
    serious, smiling = (locate(backend, draw_face(smile=one)).blendshapes for one in (0.0, 1.0))
    assert serious is not None
    assert smiling is not None
    sides = [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]
    assert serious[sides].mean() < 0.3
    assert smiling[sides].mean() > 0.6
    assert ((smiling >= 0) & (smiling <= 1)).all()


def test_a_region_of_a_face_in_a_large_picture_is_not_aliased(backend: MeshBackend) -> None:
    face = locate(backend, draw_face((1080, 1920), x=960, y=560, width=700))
    small = locate(backend, draw_face((270, 480), x=240, y=140, width=175))
    difference = (face.landmarks[:, :2] + 0.5) / 4 - 0.5 - small.landmarks[:, :2]
    assert np.hypot(*difference.T).mean() < 2


def test_a_damaged_file_names_the_remedy(tmp_path: object, zoo: Zoo) -> None:
    path = zoo.path("face-landmarker", "face_detector.tflite").with_name("nothing.tflite")
    with pytest.raises(WeightsError, match="dynstream models pull face-landmarker"):
        load_network(path)


def test_a_network_refuses_another_shape(zoo: Zoo) -> None:
    network = load_network(zoo.path("face-landmarker", "face_detector.tflite"))
    with pytest.raises(ValueError, match=r"expected \(1, 128, 128, 3\) float32"):
        network.run(np.zeros((1, 64, 64, 3), np.float32))
    with pytest.raises(WeightsError, match=r"expected an input of \(1, 146, 2\)"):
        blendshapes.Blendshapes(network)


def test_faces_and_regions_are_checked_at_birth() -> None:
    with pytest.raises(ShapeError, match=r"expected \(478, 3\) float32"):
        Face(np.zeros((468, 3), np.float32), "mesh-478", 1.0)
    with pytest.raises(ValueError, match="expected a presence"):
        Face(np.zeros((68, 3), np.float32), "dlib-68", 1.5)
    with pytest.raises(ValueError, match="size above zero"):
        FaceRegion(1, 2, 0)
