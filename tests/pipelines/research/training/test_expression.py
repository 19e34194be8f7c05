"""Losses on expressions: what moves them, what does not, and faces that the mesh did not find."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dynstream.models.faces.blendshapes import INDEX
from dynstream.models.faces.mesh_graph import MeshFaces
from dynstream.models.faces.mesh_measures import LEFT_EYE, LIDS, RIGHT_EYE, irises, lid_openings, openings, own_frame
from dynstream.pipelines.research.training.expression import ExpressionLossWeights, expression_losses, shape_weights

WIDTH, BETWEEN = 30.0, 64.0


def face(opening: float = 0.3, gaze: float = 0.0, up: float = 0.0, mouth: float = 0.1) -> Tensor:
    """(1, 478, 2): eyes of `WIDTH` with lids apart by `opening` widths, irises moved by `gaze` and `up` widths."""
    points = torch.zeros(1, 478, 2)
    points[0] = torch.rand(478, 2, generator=torch.Generator().manual_seed(3)) * 200
    for corners, pairs, x in ((RIGHT_EYE, LIDS[0], 96.0), (LEFT_EYE, LIDS[1], 96.0 + BETWEEN)):
        outwards = -1 if corners is RIGHT_EYE else 1
        points[0, corners[0]] = torch.tensor([x + outwards * WIDTH / 2, 120.0])
        points[0, corners[1]] = torch.tensor([x - outwards * WIDTH / 2, 120.0])
        for i, (upper, lower) in enumerate(pairs):
            points[0, upper] = torch.tensor([x + 5 * (i - 1), 120 - opening * WIDTH / 2])
            points[0, lower] = torch.tensor([x + 5 * (i - 1), 120 + opening * WIDTH / 2])
        points[0, 468 if corners is RIGHT_EYE else 473] = torch.tensor([x + gaze * WIDTH, 120 - up * WIDTH])
    points[0, 13], points[0, 14] = torch.tensor([128.0, 190.0]), torch.tensor([128.0, 190 + mouth * BETWEEN])
    return points


def seen(points: Tensor, presence: float = 1.0, **shapes: float) -> MeshFaces:
    values = torch.zeros(len(points), 52)
    for name, value in shapes.items():
        values[:, INDEX[name]] = value
    return MeshFaces(points, torch.full((len(points),), presence), values)


def parts(drawn: MeshFaces, target: MeshFaces) -> dict[str, float]:
    total, found = expression_losses(
        drawn, target, ExpressionLossWeights(landmarks=1, openings=1, gaze=1, blendshapes=1)
    )
    assert float(total) == pytest.approx(sum(float(value) for value in found.values()), abs=1e-5)
    return {name: float(value) for name, value in found.items()}


def test_the_same_face_costs_nothing() -> None:
    assert all(value < 2e-3 for value in parts(seen(face()), seen(face())).values())


def test_place_size_and_turn_of_the_face_do_not_count() -> None:
    turn = 0.3
    matrix = torch.tensor([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], dtype=torch.float32)
    moved = 1.7 * face(gaze=0.2) @ matrix + torch.tensor([40.0, -13.0])
    torch.testing.assert_close(own_frame(moved), own_frame(face(gaze=0.2)), atol=1e-4, rtol=1e-4)
    assert all(value < 2e-3 for value in parts(seen(moved), seen(face(gaze=0.2))).values())
    eyes = own_frame(face())[0, [*RIGHT_EYE, *LEFT_EYE]]
    torch.testing.assert_close(eyes.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    assert float(eyes[2:].mean(0)[0]) == pytest.approx(0.5, abs=1e-5)


def test_openings_and_irises_are_measured_in_eye_widths() -> None:
    torch.testing.assert_close(lid_openings(face(0.24)), torch.full((1, 2), 0.24), atol=1e-4, rtol=0)
    assert float(openings(face(mouth=0.5))[0, 2]) == pytest.approx(0.5, abs=1e-4)
    torch.testing.assert_close(irises(face(gaze=0.2))[0], torch.tensor([[0.2, 0.0], [0.2, 0.0]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(irises(face(up=0.1))[0, :, 1], torch.full((2,), -0.1), atol=1e-4, rtol=0)


def test_each_part_sees_what_it_is_for() -> None:
    same = parts(seen(face()), seen(face()))
    blink = parts(seen(face(0.3)), seen(face(0.05)))
    assert blink["openings"] > same["openings"] + 0.05
    glance = parts(seen(face()), seen(face(gaze=0.2)))
    assert glance["gaze"] == pytest.approx(0.2, abs=2e-3)
    assert glance["openings"] == pytest.approx(same["openings"], abs=1e-5)
    jaw = parts(seen(face()), seen(face(), jawOpen=0.5))
    assert jaw["blendshapes"] == pytest.approx(0.5 * float(shape_weights()[INDEX["jawOpen"]]), abs=1e-5)


def test_the_gaze_of_closed_eyes_is_not_judged() -> None:
    assert parts(seen(face()), seen(face(0.05, gaze=0.3)))["gaze"] == 0


def test_a_target_without_a_face_does_not_count() -> None:
    half = MeshFaces(torch.cat([face(gaze=0.2)] * 2), torch.tensor([1.0, 0.1]), torch.zeros(2, 52))
    drawn = MeshFaces(torch.cat([face(), face(0.1)]), torch.ones(2), torch.zeros(2, 52))
    assert parts(drawn, half)["gaze"] == pytest.approx(0.2, abs=2e-3)
    assert all(value == 0 for value in parts(seen(face()), seen(face(0.1), presence=0.0)).values())


def test_gradients_are_finite_where_points_coincide() -> None:
    points = face(0.0).requires_grad_()
    total, _ = expression_losses(seen(points), seen(face(0.0)), ExpressionLossWeights())
    total.backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()


def test_weights_of_the_blendshapes() -> None:
    weights = shape_weights()
    assert float(weights.sum()) == pytest.approx(1)
    assert weights[INDEX["_neutral"]] == 0
    assert weights[INDEX["jawOpen"]] == weights.max()
    assert weights[INDEX["eyeBlinkLeft"]] == 4 * weights[INDEX["cheekPuff"]]
