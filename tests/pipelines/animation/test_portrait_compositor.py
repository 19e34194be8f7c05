"""The photograph in motion: its own pixels where nothing is drawn, its background held."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dynstream.pipelines.animation.portrait import Portrait, read_portrait
from dynstream.pipelines.animation.portrait_compositor import (
    HeadMover,
    HeadShift,
    PortraitCompositor,
    shift_between,
    shifted,
)
from dynstream.pipelines.editor.face_compositor import shipped_matte
from dynstream.pipelines.tracking.align import landmarks_in_crop
from dynstream.stream.drawn_face import draw_face

from ..fakes import OvalBackend, scene

QUAD = np.array([[40.0, 30], [40, 130], [140, 130], [140, 30]])


@pytest.fixture
def portrait(tmp_path: Path) -> Portrait:
    cv2.imwrite(str(tmp_path / "a.png"), scene((150, 100), size=(300, 240))[..., ::-1])
    return read_portrait(tmp_path / "a.png", OvalBackend())


def test_shifts_are_measured_in_the_heads_own_axes() -> None:
    for shift in (HeadShift(), HeadShift(0.1, -0.05, 0.08, 0.2), HeadShift(-0.2, 0.1, -0.1, -0.4)):
        found = shift_between(QUAD, shifted(QUAD, shift))
        np.testing.assert_allclose(
            [found.x, found.y, found.growth, found.roll], [shift.x, shift.y, shift.growth, shift.roll], atol=1e-9
        )
    turned = shifted(QUAD, HeadShift(roll=np.pi / 2))
    assert shift_between(turned, turned + np.array([0, 10])).x == pytest.approx(0.1)


def test_shifts_have_limits() -> None:
    far = HeadShift(5, -5, 5, 5).times(1.0)
    assert 0 < far.x <= 0.12
    assert -0.12 <= far.y < 0
    assert far.roll <= np.radians(15)
    assert HeadShift(0.01).times(2.0).x == pytest.approx(0.02, rel=0.02)
    assert HeadShift(0.1).times(0.0) == HeadShift()


@pytest.mark.parametrize("network", [None, shipped_matte])
def test_a_head_moves_and_the_background_stays(portrait: Portrait, network) -> None:  # type: ignore[no-untyped-def]
    move = HeadMover(portrait, network and network())
    assert np.array_equal(move(portrait.quad), portrait.pixels)
    after = move(shifted(portrait.quad, HeadShift(x=0.08)))
    assert np.array_equal(after[:, :20], portrait.pixels[:, :20])
    assert np.array_equal(after[-10:], portrait.pixels[-10:])
    eyes = [
        np.argwhere(np.abs(picture.astype(int) - (205, 170, 50)).sum(2) < 25) for picture in (portrait.pixels, after)
    ]
    wide = np.hypot(*(portrait.quad[3] - portrait.quad[0]))
    assert eyes[1].mean(0)[1] - eyes[0].mean(0)[1] == pytest.approx(0.08 * wide, rel=0.3)


@pytest.mark.parametrize("network", [None, shipped_matte])
def test_a_portrait_at_rest_is_the_photograph(portrait: Portrait, network) -> None:  # type: ignore[no-untyped-def]
    points = landmarks_in_crop(portrait.face.landmarks, portrait.quad)
    drawn = cv2.GaussianBlur(portrait.crop, (0, 0), 3).astype(np.float32)
    compose = PortraitCompositor(portrait, drawn, points, network and network())
    still = compose(drawn, points, HeadShift())
    assert np.abs(still.astype(int) - portrait.pixels).max() <= 1


def test_what_is_drawn_is_seen_in_the_face_alone(portrait: Portrait) -> None:
    points = landmarks_in_crop(portrait.face.landmarks, portrait.quad)
    drawn = cv2.GaussianBlur(portrait.crop, (0, 0), 2).astype(np.float32)
    edited = drawn.copy()
    cv2.circle(edited, (128, 170), 14, (150.0, 40.0, 40.0), cv2.FILLED)
    edited[:20] = 0.0
    shown = PortraitCompositor(portrait, drawn, points, None)(edited, points, HeadShift())
    change = np.abs(shown.astype(int) - portrait.pixels).sum(2)
    assert change.max() > 60
    inside = np.zeros(change.shape, np.uint8)
    low, high = portrait.face.landmarks[:, :2].min(0) - 4, portrait.face.landmarks[:, :2].max(0) + 4
    inside[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 1
    assert change[inside == 0].max() <= 3


def test_a_drawn_picture_has_its_face_found(zoo) -> None:  # type: ignore[no-untyped-def]
    """The real matte and mesh on a picture of ellipses, which the other tests of animation use."""
    from dynstream.models.faces.faces import locate_face
    from dynstream.models.faces.mesh import load_mesh_backend

    found = locate_face(load_mesh_backend(zoo), draw_face())
    assert found is not None
    assert found.presence > 0.9
