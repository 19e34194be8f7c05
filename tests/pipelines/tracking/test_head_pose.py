import itertools

import numpy as np
import numpy.typing as npt
import pytest

from dynstream.models.faces.faces import POINTS, Face, Layout
from dynstream.pipelines.tracking.head_pose import HeadPose, correspondences, head_pose

Points = npt.NDArray[np.float64]


def rotation(pose: HeadPose) -> Points:
    """(3, 3) matrix: yaw about the head's own axis first, then pitch, then roll; x right, y down, z away."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, dtype=np.float64)


def face_of(pose: HeadPose, layout: Layout, *, noise: float = 0.0) -> Face:
    """The mean face seen in `pose`, 60 pixels an eye distance, somewhere in the frame."""
    indices, model = correspondences(layout)
    landmarks = np.zeros((POINTS[layout], 3), np.float32)
    seen = 60 * model @ rotation(pose).T + (300, 200, 0)
    landmarks[indices] = seen + noise * np.random.default_rng(0).normal(size=seen.shape)
    return Face(landmarks, layout, 1.0)


@pytest.mark.parametrize("layout", list(POINTS))
@pytest.mark.parametrize(("yaw", "pitch", "roll"), list(itertools.product((-50, 0, 30), (-20, 0, 25), (-40, 0, 100))))
def test_recovers_every_rotation(layout: Layout, yaw: float, pitch: float, roll: float) -> None:
    found = head_pose(face_of(HeadPose(yaw, pitch, roll), layout))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, roll), abs=0.01)


def test_a_pixel_of_noise_costs_few_degrees() -> None:
    found = head_pose(face_of(HeadPose(20, 10, -5), "mesh-478", noise=1.0))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((20, 10, -5), abs=2)


def test_signs() -> None:
    """Yaw moves the nose to the right, pitch moves it up, roll lowers the frame-right eye."""
    straight = face_of(HeadPose(0, 0, 0), "mesh-478").landmarks
    assert face_of(HeadPose(20, 0, 0), "mesh-478").landmarks[4, 0] > straight[4, 0] + 5
    assert face_of(HeadPose(0, 20, 0), "mesh-478").landmarks[4, 1] < straight[4, 1] - 5
    assert face_of(HeadPose(0, 0, 20), "mesh-478").landmarks[263, 1] > straight[263, 1] + 5
