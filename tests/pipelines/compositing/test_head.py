"""The head's layers: its outline, what it bares, the background behind it, and hair of another colour."""

import cv2
import numpy as np
import pytest
import torch

from dynstream.models.arrays import FloatImage, Mask, Pixels
from dynstream.models.faces.matte import CELLS, REGIONS, HeadMatte
from dynstream.pipelines.compositing import background, hair_colour, head_matte
from dynstream.pipelines.compositing.composite import Motion, compose
from dynstream.pipelines.compositing.head import bared_area, edited_outline, hair_layers, head_layers
from dynstream.pipelines.compositing.head_matte import Matte, SteadyMatte
from dynstream.pipelines.tracking.align import CROP as S

WHOLE = np.array([[-0.5, -0.5], [-0.5, 255.5], [255.5, 255.5], [255.5, -0.5]])
NOTHING = np.zeros((S, S), np.float32)


def disc(x: float = 128, y: float = 128, radius: float = 60) -> Mask:
    mask = np.zeros((S, S), np.float32)
    cv2.circle(mask, (round(x), round(y)), round(radius), 1.0, cv2.FILLED)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5), np.float32)


def matte(head: Mask, hair: Mask = NOTHING) -> Matte:
    return Matte(head, hair)


def still(turn: float = 0.0) -> Motion:
    return Motion(np.zeros((S, S, 2), np.float32), np.ones((S, S), np.float32), np.ones((S, S), np.float32), turn)


def picture(level: float, mask: Mask, behind: float = 40) -> FloatImage:
    return np.repeat((behind + (level - behind) * mask)[..., None], 3, 2).astype(np.float32)


def test_an_edit_that_keeps_the_outline_keeps_the_frames_own() -> None:
    # The inversion's head is smaller than the frame's: that is a bad inversion, and no edit.
    own, drawn = disc(radius=70), disc(radius=55)
    outline = edited_outline(own, drawn, drawn, still())
    np.testing.assert_allclose(outline, own, atol=1e-3)
    assert not bared_area(own, outline, turn=0.0).any()


def test_what_is_new_in_the_edit_is_new_in_the_outline() -> None:
    own, longer = disc(radius=55), disc(radius=75)
    outline = edited_outline(own, own, longer, still())
    np.testing.assert_allclose(outline, longer, atol=0.05)


def test_a_head_that_is_taken_away_bares_the_background_and_a_few_strands_do_not() -> None:
    own = disc(radius=60)
    moved = bared_area(own, disc(x=100, radius=60), turn=1.0)
    assert moved[128, 182] > 0.9
    assert moved[128, 100] == 0
    assert not bared_area(own, disc(radius=59), turn=0.0).any()


def test_the_finished_frame_shows_the_edit_the_background_and_nothing_else() -> None:
    own, moved = disc(x=150), disc(x=110)
    frame = picture(180, own).round().astype(np.uint8)
    apart = Motion(np.zeros((S, S, 2), np.float32), NOTHING, NOTHING, 1.0)  # the flows agree nowhere
    mattes = (matte(own), matte(own), matte(moved))
    layers = head_layers(picture(180, own), picture(200, moved), apart, mattes, picture(40, NOTHING), NOTHING)
    result = compose(frame, WHOLE, layers)
    assert abs(int(result[128, 110, 0]) - 200) <= 2  # the edited head
    assert abs(int(result[128, 195, 0]) - 40) <= 3  # where the old one was
    np.testing.assert_array_equal(result[:30], frame[:30])
    np.testing.assert_array_equal(result[:, :30], frame[:, :30])


def test_what_is_in_front_stays() -> None:
    own = disc()
    frame = picture(180, own).round().astype(np.uint8)
    front = np.zeros((S, S), np.float32)
    front[120:140] = 1
    mattes = (matte(own), matte(own), matte(own))
    layers = head_layers(picture(180, own), picture(230, own), still(), mattes, picture(40, NOTHING), front)
    result = compose(frame, WHOLE, layers)
    np.testing.assert_array_equal(result[121:139], frame[121:139])
    assert result[100, 128, 0] > 215


def test_no_hair_and_no_head_change_nothing() -> None:
    frame = picture(180, disc()).round().astype(np.uint8)
    layers = hair_layers(np.full((S, S, 3), 50, np.float32), NOTHING, np.ones((S, S), np.float32))
    assert compose(frame, WHOLE, layers) is frame


def test_hair_takes_the_change_of_colour_and_keeps_its_strands() -> None:
    hair = disc(radius=70)
    strands = 6 * np.sin(np.arange(S) / 3)[None, :, None]
    face = (np.array([60, 45, 35]) + strands * np.ones((S, 1, 3))).astype(np.float32)
    drawn, edited = (np.full((S, S, 3), colour, np.float32) for colour in ((80, 60, 50), (170, 140, 90)))
    change = hair_colour.measure(face, drawn, edited, hair, hair, hair)
    assert change is not None
    result = face + change.apply(face)
    inside = hair > 0.99
    np.testing.assert_allclose(result[inside].mean(0), [150, 125, 75], atol=4)
    assert np.corrcoef(result[..., 0][inside], face[..., 0][inside])[0, 1] > 0.99


def test_hair_is_never_bluer_than_grey() -> None:
    hair = disc(radius=70)
    face, drawn = np.full((S, S, 3), (70, 60, 50), np.float32), np.full((S, S, 3), (70, 60, 50), np.float32)
    change = hair_colour.measure(face, drawn, np.full((S, S, 3), (90, 100, 160), np.float32), hair, hair, hair)
    assert change is not None
    red, green, blue = (face + change.apply(face))[128, 128]
    assert blue < 0.5 * (red + green) + 8


def test_too_little_hair_says_nothing_and_the_last_change_stays() -> None:
    flat, hair = np.full((S, S, 3), 60, np.float32), disc(radius=70)
    assert hair_colour.measure(flat, flat, flat + 50, NOTHING, hair, hair) is None
    known = hair_colour.measure(flat, flat, flat + 50, hair, hair, hair)
    assert known is not None
    assert hair_colour.follow(known, None, 1.0) is known
    assert hair_colour.follow(None, known, 1.0) is known


def textured(shift: int = 0) -> Pixels:
    random = np.random.default_rng(2)
    wide = cv2.GaussianBlur(random.uniform(0, 255, (S, S + 40, 3)).astype(np.float32), (0, 0), 2)
    wide = (wide - wide.mean()) * 4 + 128
    return np.clip(wide[:, 20 - shift : 20 - shift + S], 0, 255).round().astype(np.uint8)


def with_head(scene: Pixels, head: Mask) -> Pixels:
    return np.where(head[..., None] > 0.5, np.uint8(220), scene)


def test_the_plate_shows_what_was_seen_before_the_head_came() -> None:
    scene, first, later = textured(), disc(x=80, radius=40), disc(x=150, radius=40)
    plate = background.update(None, with_head(scene, first), WHOLE, first, 0.04)
    plate = background.update(plate, with_head(scene, later), WHOLE, later, 0.04)
    seen = background.behind(plate, WHOLE, with_head(scene, later), later)
    inside = cv2.erode(later, np.ones((15, 15), np.uint8)) > 0.9
    assert np.abs(seen[inside] - scene[inside]).mean() < 12
    without = background.behind(None, WHOLE, with_head(scene, later), later)
    assert np.abs(without[inside] - scene[inside]).mean() > 20


def test_where_nothing_was_seen_the_surroundings_fill_the_hole() -> None:
    flat, head = np.full((S, S, 3), 90, np.uint8), disc(radius=60)
    filled = background.behind(None, WHOLE, with_head(flat, head), head)
    np.testing.assert_allclose(filled, 90, atol=1.5)


def test_a_camera_that_moves_carries_the_plate_and_a_cut_empties_it() -> None:
    head = disc(x=80, radius=40)
    plate = background.update(None, with_head(textured(), head), WHOLE, head, 0.04)
    moved = background.update(plate, with_head(textured(3), head), WHOLE, head, 0.04)
    later = disc(x=150, radius=40)
    seen = background.behind(moved, WHOLE, with_head(textured(3), later), later)
    inside = cv2.erode(later, np.ones((15, 15), np.uint8)) > 0.9
    assert np.abs(seen[inside] - textured(3)[inside]).mean() < 15
    everywhere = np.ones((S, S), np.float32)
    cut = background.update(plate, np.full((S, S, 3), 20, np.uint8), WHOLE, everywhere, 0.04)
    assert cut.seen.shape == plate.seen.shape


def test_a_plate_is_bounded_and_begins_again_elsewhere() -> None:
    quad = WHOLE * 12 + 100
    frame = np.full((1200, 1600, 3), 90, np.uint8)
    plate = background.update(None, frame, quad, disc(), 0.04)
    assert max(plate.seen.shape) <= background.CELLS
    far = background.update(plate, frame, WHOLE, disc(), 0.04)
    assert (far.left, far.top) != (plate.left, plate.top)


def test_edges_of_a_mask_move_onto_those_of_the_picture() -> None:
    guide = np.where(np.arange(S)[None] < 128, 40, 200) * np.ones((S, 1))
    soft = np.clip((134 - np.arange(S, dtype=np.float32)) / 24 + 0.5, 0, 1)[None] * np.ones((S, 1), np.float32)
    sharp = head_matte.guided_filter(guide.astype(np.float32), soft[..., None].astype(np.float32))[..., 0]
    assert sharp[100, 126] - sharp[100, 129] > soft[100, 126] - soft[100, 129] + 0.1


def test_a_matte_is_averaged_where_the_picture_stays_and_new_where_it_changes() -> None:
    points = np.stack([np.linspace(90, 160, 20), np.linspace(90, 160, 20)], 1)
    face = np.full((S, S, 3), 90, np.uint8)
    before = head_matte.follow(None, matte(disc()), NOTHING, face, points, 0.0)
    same = head_matte.follow(before, matte(NOTHING), NOTHING, face, points, 0.04)
    assert 0.5 < same.matte.head[128, 128] < 0.8
    changed = head_matte.follow(before, matte(NOTHING), NOTHING, face + np.uint8(90), points, 0.04)
    assert changed.matte.head[128, 128] < 0.01
    assert isinstance(changed, SteadyMatte)


def test_what_comes_in_front_is_there_at_once_and_goes_slowly() -> None:
    front = disc(radius=20)
    np.testing.assert_array_equal(head_matte.follow_front(NOTHING, front, 0.04), front)
    later = head_matte.follow_front(front, NOTHING, 0.04)
    assert 0.6 < later[128, 128] < 0.9
    assert head_matte.follow_front(front, NOTHING, -1.0).max() == 0


def test_a_matte_without_a_head_is_not_used() -> None:
    grey, points = np.zeros((S, S), np.uint8), np.zeros((1, 2))

    def certain(head: Mask, front: Mask, hull: Mask) -> bool:
        return head_matte.certain(SteadyMatte(matte(head), front, grey, points), hull)

    assert certain(disc(radius=80), NOTHING, disc(radius=50))
    assert not certain(NOTHING, NOTHING, disc(radius=50))
    assert not certain(disc(), NOTHING, NOTHING)
    assert certain(NOTHING, disc(radius=80), disc(radius=50))


class Halves(HeadMatte):
    """Sees hair in the upper half, and something in front in a band."""

    def regions(self, x: torch.Tensor) -> torch.Tensor:
        shares = torch.zeros(len(x), len(REGIONS), CELLS, CELLS)
        shares[:, REGIONS.index("background")] = 1
        shares[:, :, :64] = 0
        shares[:, REGIONS.index("hair"), :64] = 1
        shares[:, :, 100:110] = 0
        shares[:, REGIONS.index("front"), 100:110] = 1
        return shares


def test_mattes_are_measured_in_one_pass() -> None:
    flat = np.full((S, S, 3), 90, np.float32)
    (one, other), front = head_matte.measure_mattes(Halves(), [flat, flat])
    for found in (one, other):
        assert found.hair[40, 128] > 0.99
        assert found.head[40, 128] > 0.99
        assert found.head[180, 128] < 0.01
    assert front[210, 128] > 0.99
    assert front[150, 128] < 0.01
    again = head_matte.measure_front(Halves(), flat.astype(np.uint8), flat, disc(), NOTHING)
    np.testing.assert_allclose(again, front)


@pytest.mark.parametrize("width", [12, 56])
def test_mattes_fade_at_the_border(width: int) -> None:
    fade = head_matte.border_fade(width)
    assert fade[0].max() == 0
    assert fade[128, 128] == 1
    assert fade[width // 2, 128] == pytest.approx(0.5, abs=0.06)
