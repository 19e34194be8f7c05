"""dlib's alignment, held against dlib itself."""

import dlib
import numpy as np
import pytest

from dynstream.models.arrays import Pixels
from dynstream.models.errors import ShapeError
from dynstream.models.faces.faces import Face
from dynstream.models.faces.patch import cut, patch_to_frame
from dynstream.models.metrics.dlib_chip import DLIB_68, FFHQ_BOX, TEMPLATE, chip_quad, cut_chip, ffhq_box, five_points


def turned(points: np.ndarray, scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placed: np.ndarray = scale * points @ turn.T + np.array(shift)
    return placed


def face_68(points: np.ndarray) -> Face:
    landmarks = np.zeros((68, 3), np.float32)
    landmarks[list(DLIB_68), :2] = points
    return Face(landmarks, "dlib-68", 1.0)


def picture() -> Pixels:
    coarse = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.float32)
    y, x = np.mgrid[:240, :320] / 20
    rows, columns = np.minimum(y.astype(int), 10), np.minimum(x.astype(int), 14)
    fy, fx = (y - rows)[..., None], (x - columns)[..., None]
    top = coarse[rows, columns] * (1 - fx) + coarse[rows, columns + 1] * fx
    low = coarse[rows + 1, columns] * (1 - fx) + coarse[rows + 1, columns + 1] * fx
    return np.clip(top * (1 - fy) + low * fy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("scale", "degrees"), [(60, 0), (100, 20), (100, -75), (150, 5)])
@pytest.mark.parametrize(("size", "padding", "allowed"), [(150, 0.25, 1.5), (64, 0.2, 4.0)])
def test_chip_equals_that_of_dlib(scale: float, degrees: float, size: int, padding: float, allowed: float) -> None:
    """In grey levels, of a picture that changes by five per pixel.

    dlib shrinks by an image pyramid, which moves a chip of less than half the face's size by a quarter of its pixel.
    """
    points = np.round(turned(TEMPLATE - 0.5, scale, degrees, (160, 120)))
    parts = [dlib.point(int(x), int(y)) for x, y in points]
    found = dlib.full_object_detection(dlib.rectangle(60, 20, 260, 220), parts)
    theirs = dlib.get_face_chip(picture(), found, size, padding)
    mine = cut(picture(), patch_to_frame(chip_quad(points, padding), size), size)
    inside = slice(size // 8, -size // 8)
    assert np.abs(theirs.astype(float) - mine)[inside, inside].mean() < allowed


def test_template_maps_to_itself() -> None:
    quad = chip_quad(TEMPLATE, 0.0)
    np.testing.assert_allclose(quad, [[0, 0], [0, 1], [1, 1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(chip_quad(TEMPLATE, 0.25)[0], [-0.25, -0.25], atol=1e-12)


def test_quad_turns_and_grows_with_the_face() -> None:
    placed = turned(TEMPLATE, 80, 33, (10, 20))
    expected = turned(chip_quad(TEMPLATE, 0.2), 80, 33, (10, 20))
    np.testing.assert_allclose(chip_quad(placed, 0.2), expected, atol=1e-9)


def test_mesh_points_fall_on_the_template() -> None:
    """Of a mesh whose corners are made from the template, by the documented shares."""
    landmarks = np.zeros((478, 3), np.float32)
    outer_right, inner_right, outer_left, inner_left, nose = TEMPLATE * 100
    for outer, inner, at_outer, at_inner in (
        (outer_right, inner_right, 263, 362),
        (outer_left, inner_left, 33, 133),
    ):
        landmarks[at_outer, :2] = outer
        landmarks[at_inner, :2] = (inner - 0.086 * outer) / (1 - 0.086)
    landmarks[2, :2] = nose - np.array([0, 0.39 * 4])
    landmarks[164, :2] = nose + np.array([0, 0.61 * 4])
    np.testing.assert_allclose(five_points(Face(landmarks, "mesh-478", 1.0)), TEMPLATE * 100, atol=1e-4)


def test_cuts_beyond_the_frame() -> None:
    chip = cut_chip(picture(), face_68(turned(TEMPLATE, 100, 0, (-60, -50))), 64, 0.2)
    assert chip.shape == (64, 64, 3)
    assert chip.dtype == np.uint8


def test_padding_widens_the_box_evenly() -> None:
    left, top, right, bottom = ffhq_box(0.25)
    assert ffhq_box(0.0) == pytest.approx(FFHQ_BOX)
    assert right - left == pytest.approx(1.5 * (FFHQ_BOX[2] - FFHQ_BOX[0]))
    assert (left + right, top + bottom) == pytest.approx((FFHQ_BOX[0] + FFHQ_BOX[2], FFHQ_BOX[1] + FFHQ_BOX[3]))


def test_wrong_points_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected \(5, 2\)"):
        chip_quad(np.zeros((4, 2)), 0.2)
    with pytest.raises(ValueError, match="do not span a face"):
        chip_quad(np.ones((5, 2)), 0.2)
