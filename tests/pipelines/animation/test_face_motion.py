"""Shape apart from pose, and changes that are carried over."""

import numpy as np
import pytest

from dynstream.models.faces.faces import Face
from dynstream.pipelines.animation.face_motion import (
    FEATURES,
    expression_change,
    feature_weights,
    features,
    measure,
    pose_change,
    posed,
    rotation,
    scores,
)
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.tracking.head_pose import HeadPose

from .faces import face, measured

LEFT, TURNED = HeadPose(0, 0, 0), HeadPose(12, -8, 5)


@pytest.mark.parametrize("pose", [LEFT, TURNED, HeadPose(-25, 15, -20)])
def test_rotation_is_the_inverse_of_the_measured_pose(pose: HeadPose) -> None:
    found = measured(pose).pose
    assert found.yaw == pytest.approx(pose.yaw, abs=1.5)
    assert found.pitch == pytest.approx(pose.pitch, abs=1.5)
    np.testing.assert_allclose(rotation(pose) @ rotation(pose).T, np.eye(3), atol=1e-9)


def test_the_shape_of_a_head_stays_while_it_turns_and_moves() -> None:
    before, after = measured(LEFT), measured(TURNED, size=90.0)
    # Alignment scales a turned face a little.
    scale = np.linalg.norm(after.shape) / np.linalg.norm(before.shape)
    assert np.abs(after.shape / scale - before.shape).max() < 6
    assert np.abs(before.points - after.points).max() > 10


def test_a_shape_at_its_own_pose_is_the_face_that_was_seen() -> None:
    for pose in (LEFT, TURNED):
        one = measured(pose)
        np.testing.assert_allclose(posed(one.shape, one.pose), one.points, atol=1e-3)


def test_features_have_names_and_weights() -> None:
    assert len(features(measured())) == len(FEATURES) == len(feature_weights())
    assert (feature_weights() >= 0).all()


def test_no_motion_is_no_change() -> None:
    driver, own = measured(TURNED, open_mouth=0.1), measured(HeadPose(3, 2, 0))
    np.testing.assert_allclose(expression_change(driver, driver, own), 0, atol=1e-9)
    np.testing.assert_allclose(pose_change(own, own.pose), 0, atol=1e-9)


def test_an_expression_is_carried_over_whatever_the_drivers_pose() -> None:
    own = measured()
    straight = expression_change(measured(open_mouth=0.3), measured(), own)
    turned = expression_change(measured(TURNED, open_mouth=0.3), measured(TURNED), own)
    lip = [FEATURES.index("landmark 14") + 1, FEATURES.index("opening 2")]
    assert straight[lip[0]] > 5
    assert straight[lip[1]] == pytest.approx(0.3, abs=0.05)
    np.testing.assert_allclose(turned[lip], straight[lip], rtol=0.25)
    assert np.abs(turned[:956] - straight[:956]).max() < 0.3 * straight[lip[0]]


def test_an_eye_that_closes_closes_wholly_on_a_face_with_wider_eyes() -> None:
    own, rest, shut = measured(open_eyes=0.3), measured(open_eyes=0.15), measured(open_eyes=0.0)
    moved = expression_change(shut, rest, own)
    row = FEATURES.index("opening 0")
    assert own.openings[0] + moved[row] == pytest.approx(0, abs=0.02)
    assert own.openings[0] + expression_change(shut, rest, own, strength=0.5)[row] == pytest.approx(
        own.openings[0] / 2, abs=0.02
    )


def test_absolute_motion_gives_the_drivers_own_expression() -> None:
    own, driver = measured(jawOpen=0.5), measured(jawOpen=0.2)
    row = FEATURES.index("jawOpen")
    assert expression_change(driver, driver, own)[row] == 0
    assert expression_change(driver, driver, own, absolute=True)[row] == pytest.approx(-0.3)


def test_scores_are_those_that_directions_are_measured_by() -> None:
    from dynstream.pipelines.research.directions.face_scores import shape_scores

    one = face(TURNED, mouthSmileLeft=0.4, jawOpen=0.2, eyeBlinkRight=0.6, eyeLookInLeft=0.3, browInnerUp=0.5)
    theirs = shape_scores(one)
    for name, value in scores(measure(one)).items():
        assert value == pytest.approx(theirs[name], abs=0.6 if name in ("yaw", "pitch") else 1e-6)


def test_another_layout_is_refused() -> None:
    with pytest.raises(PipelineError, match="--backend mesh"):
        measure(Face(np.zeros((68, 3), np.float32), "dlib-68", 1.0))
