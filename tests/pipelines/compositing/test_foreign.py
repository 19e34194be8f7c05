"""Letters and other things before a face are what its drawing has no colour for; its own features are not."""

import cv2
import numpy as np
import pytest

from dynstream.models.arrays import FloatImage, Mask
from dynstream.pipelines.compositing.foreign import CELLS, MOST, SURE, foreign

NOTHING = np.zeros((CELLS, CELLS), np.float32)
ALL = np.ones((CELLS, CELLS), np.float32)
SKIN = (205, 150, 125)


def drawn(shift: int = 0) -> FloatImage:
    """Skin in light and shade, with dark brows and a red mouth."""
    face = np.full((256, 256, 3), SKIN, np.float32) * np.linspace(0.8, 1.1, 256, dtype=np.float32)[:, None, None]
    cv2.ellipse(face, (90, 90 + shift), (25, 5), 0, 0, 360, (60, 40, 30), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(face, (166, 90 + shift), (25, 5), 0, 0, 360, (60, 40, 30), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(face, (128, 180 + shift), (30, 9), 0, 0, 360, (170, 70, 70), cv2.FILLED, cv2.LINE_AA)
    return face


def with_letters(colour: tuple[int, int, int]) -> tuple[FloatImage, Mask]:
    """A face behind thin letters, and (128, 128) where they are."""
    ink = np.zeros((256, 256), np.uint8)
    cv2.putText(ink, "before", (70, 140), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2, cv2.LINE_AA)
    share = ink.astype(np.float32) / 255
    face = drawn(4) + (np.array(colour, np.float32) - drawn(4)) * share[..., None]
    return face, np.asarray(cv2.resize(share, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def test_a_faces_own_features_are_not_foreign_where_they_lie_a_little_off() -> None:
    assert foreign(drawn(6), drawn(), NOTHING, ALL, NOTHING).max() == 0


@pytest.mark.parametrize("colour", [(255, 255, 255), (90, 50, 160), (240, 220, 20)])
def test_letters_are_foreign_and_the_rest_is_not(colour: tuple[int, int, int]) -> None:
    face, ink = with_letters(colour)
    found = foreign(face, drawn(), NOTHING, ALL, NOTHING)
    assert (found[ink > 0.7] > SURE[0]).mean() > 0.98
    assert found[cv2.dilate(ink, np.ones((11, 11))) == 0].max() < SURE[0]
    assert found.max() <= MOST


def test_beside_what_is_in_front_less_is_needed() -> None:
    """A hand has about the colour of the face."""
    face, front = drawn(), NOTHING.copy()
    face[100:160, 100:120] = (160, 125, 105)
    front[50:70, 56:60] = 0.9
    alone, beside = (foreign(face, drawn(), share, ALL, NOTHING)[55:68, 52:55] for share in (NOTHING, front))
    assert alone.max() < 0.15
    assert beside.min() > alone.max() + 0.1


def test_hair_and_an_open_mouth_may_differ() -> None:
    face = drawn()
    face[170:190, 110:146] = (95, 40, 40)
    assert foreign(face, drawn(), NOTHING, ALL, NOTHING)[88, 64] > 0.1
    assert foreign(face, drawn(), NOTHING, ALL, ALL)[88, 64] == 0
    bright, ink = with_letters((255, 255, 255))
    assert (foreign(bright, drawn(), NOTHING, ALL, ALL)[ink > 0.7] > 0).mean() > 0.5


def test_a_drawing_that_does_not_fit_shows_nothing() -> None:
    green = np.full((256, 256, 3), (20, 200, 40), np.float32)
    assert foreign(green, drawn(), NOTHING, ALL, NOTHING).max() == 0
    assert foreign(green, drawn(), NOTHING, NOTHING, NOTHING).max() == 0
