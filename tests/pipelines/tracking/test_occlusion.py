import cv2
import numpy as np
import pytest

from dynstream.models.faces.faces import Face
from dynstream.models.faces.mesh import MeshBackend, load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.tracking.occlusion import judged, look

from ...drawn_face import draw_face


@pytest.fixture(scope="module")
def face(zoo: Zoo) -> Face:
    backend: MeshBackend = load_mesh_backend(zoo)
    pixels = draw_face(width=180)
    return backend.locate(pixels, backend.follow(backend.locate(pixels, backend.detect(pixels)[0])))


def test_a_hand_before_the_mouth_is_seen_and_located(face: Face) -> None:
    pixels = draw_face(width=180)
    memory, hidden, share = look(None, pixels, face, 0.0)
    assert share == 0
    assert not hidden.any()
    memory, _, share = look(memory, pixels, face, 0.04)
    assert share == 0
    covered = pixels.copy()
    cv2.ellipse(covered, (330, 250), (80, 45), 0, 0, 360, (120, 80, 60), -1)
    _, hidden, share = look(memory, covered, face, 0.08)
    assert share > 0.15
    assert hidden[[61, 291, 17]].any()
    assert not hidden[[10, 151, 9, 105, 334]].any()


def test_a_change_of_light_is_no_cover(face: Face) -> None:
    pixels = draw_face(width=180)
    memory, _, _ = look(None, pixels, face, 0.0)
    darker = (pixels * np.array([0.6, 0.55, 0.5])).astype(np.uint8)
    _, _, share = look(memory, darker, face, 0.04)
    assert share < 0.05


def test_a_lasting_change_is_accepted_in_the_end(face: Face) -> None:
    pixels = draw_face(width=180)
    covered = pixels.copy()
    cv2.ellipse(covered, (330, 250), (80, 45), 0, 0, 360, (120, 80, 60), -1)
    memory, _, _ = look(None, pixels, face, 0.0)
    shares = []
    for step in range(1, 60):
        memory, _, share = look(memory, covered, face, float(step))
        shares.append(share)
    assert shares[2] > 0.15
    assert shares[-1] == 0


def test_what_is_outside_the_frame_is_not_judged(face: Face) -> None:
    away = Face(face.landmarks + np.float32(5000), "mesh-478", 1.0)
    pixels = draw_face(width=180)
    memory, _, _ = look(None, pixels, face, 0.0)
    memory, hidden, share = look(memory, pixels, away, 0.04)
    assert share == 0
    assert not hidden.any()
    assert np.isfinite(memory.means).all()


def test_eyes_and_outline_are_left_out() -> None:
    assert not {33, 468, 473, 10, 152, 13, 14} & set(judged("mesh-478").tolist())
    assert not {0, 8, 16, 36, 47, 62} & set(judged("dlib-68").tolist())
