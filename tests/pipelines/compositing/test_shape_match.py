import numpy as np

from dynstream.pipelines.compositing.composite import warp
from dynstream.pipelines.compositing.shape_match import LARGEST, displacement
from dynstream.pipelines.tracking.align import CROP


def grid_points() -> np.ndarray:
    axis = np.linspace(70, 190, 20)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def test_equal_landmarks_move_nothing() -> None:
    points = grid_points()
    assert np.abs(displacement(points, points)).max() == 0


def test_a_shift_of_all_landmarks_moves_the_face_and_not_the_border() -> None:
    points = grid_points()
    field = displacement(points, points + np.array([5.0, -3.0]))
    np.testing.assert_allclose(field[130, 130], [5, -3], atol=0.05)
    assert field.shape == (CROP, CROP, 2)
    assert field.dtype == np.float32
    assert np.abs(field[[0, -1]]).max() < 0.01


def test_a_spot_of_the_drawing_comes_to_where_the_frame_has_it() -> None:
    points = grid_points()
    drawn = np.zeros((CROP, CROP), dtype=np.float32)
    drawn[138:143, 124:129] = 1
    rows, columns = np.nonzero(warp(drawn, displacement(points, points + np.array([-4.0, 10.0]))) > 0.5)
    assert (round(rows.mean()), round(columns.mean())) == (130, 130)


def test_a_local_difference_stays_local() -> None:
    points = grid_points()
    moved = points.copy()
    mouth = np.hypot(*(points - [130, 170]).T) < 12
    moved[mouth] += [0.0, 4.0]
    field = displacement(points, moved)
    assert field[170, 130, 1] > 1.5
    assert np.abs(field[80:100, 80:180]).max() < 0.01


def test_a_misplaced_landmark_and_one_outside_the_crop_are_left_out() -> None:
    points = grid_points()
    drawn = points.copy()
    drawn[5] += LARGEST + 1
    outside = np.vstack([points, [[-40.0, 300.0]]])
    assert np.abs(displacement(outside, np.vstack([drawn, [[-35.0, 300.0]]]))).max() == 0
