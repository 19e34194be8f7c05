"""Drawing a frame: background, masks, the head's place, light."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from dynstream.models.faces.bisenet import CLASSES
from dynstream.pipelines.research.synth.background import BACKGROUND_STYLES, Background
from dynstream.pipelines.research.synth.head import make_head_path, square
from dynstream.pipelines.research.synth.mask import SIDE, OvalCutter, ParserCutter, as_floats
from dynstream.pipelines.research.synth.scene import body_colour, compose_scene, make_light
from dynstream.pipelines.tracking.align import side

NO_GAIN = np.ones(3)
GREY = np.full(3, 100.0)


@pytest.mark.parametrize("look", BACKGROUND_STYLES)
@pytest.mark.parametrize("size", [(64, 48), (31, 97)])
def test_a_background_is_a_function_of_time(look, size):
    background, again = Background(5, size, look), Background(5, size, look)
    first = background(1.0)
    assert first.shape == (size[1], size[0], 3)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 255
    later = background(1.5)
    np.testing.assert_array_equal(again(1.5), later)
    np.testing.assert_array_equal(background(1.0), first)
    assert (np.abs(later - first).max() > 0.5) == (look != "plain")
    assert np.abs(Background(6, size, look)(1.0) - first).mean() > 2


def test_a_background_moves_smoothly():
    background = Background(1, (160, 90))
    frames = [background(1.0 + step / 25) for step in range(6)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 3
    assert max(steps) < 2.5 * min(steps)


def test_without_motion_the_background_stands_still():
    background = Background(1, (64, 48), "room", 0.0)
    np.testing.assert_array_equal(background(0.0), background(3.0))


def test_the_head_keeps_to_a_square_within_its_reach():
    path = make_head_path(4, (640, 360), 0.9, 1.0)
    quads = np.stack([path.quad(t) for t in np.arange(0, 30, 0.1)])
    across, down = quads[:, 3] - quads[:, 0], quads[:, 1] - quads[:, 0]
    np.testing.assert_allclose(np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1))
    np.testing.assert_allclose((across * down).sum(axis=1), 0, atol=1e-9)
    assert max(side(quad) for quad in quads) <= path.largest_side
    assert np.ptp(quads.mean(axis=1), axis=0).min() > 5
    still = make_head_path(4, (640, 360), 0.9, 0.0)
    np.testing.assert_array_equal(still.quad(0.0), still.quad(2.0))


@pytest.mark.parametrize("size", [64, 128])
def test_a_drawing_at_whole_pixels_comes_through_exactly(size):
    random = np.random.default_rng(0)
    background = random.uniform(0, 255, (200, 220, 3)).astype(np.float32)
    drawing = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
    quad = square(99.5, 79.5, size, 0.0)
    frame = compose_scene(background, drawing, np.full((SIDE, SIDE), 255, np.uint8), quad, GREY, NO_GAIN)
    top, left = 80 - size // 2, 100 - size // 2
    np.testing.assert_array_equal(frame[top : top + size, left : left + size], drawing)
    # Above the drawing nothing of the body reaches.
    np.testing.assert_array_equal(frame[:10], np.rint(background[:10]).astype(np.uint8))


def test_an_empty_mask_shows_none_of_the_drawing():
    background = np.full((60, 80, 3), 50, np.float32)
    empty = np.zeros((SIDE, SIDE), np.uint8)
    quad = square(40, 30, 40, 10.0)
    frames = [compose_scene(background, np.full((64, 64, 3), v, np.uint8), empty, quad, GREY, NO_GAIN) for v in (0, 9)]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize("place", [(-500, 30), (40, 900), (78, 2)])
def test_a_head_may_leave_the_frame(place):
    background = np.full((60, 80, 3), 50, np.float32)
    mask = np.full((SIDE, SIDE), 255, np.uint8)
    frame = compose_scene(background, np.zeros((64, 64, 3), np.uint8), mask, square(*place, 40, 5.0), GREY, NO_GAIN)
    assert frame.shape == (60, 80, 3)


def test_light_is_a_gain_of_all_that_is_seen():
    background = np.full((60, 80, 3), 50, np.float32)
    mask = np.full((SIDE, SIDE), 255, np.uint8)
    drawing = np.full((64, 64, 3), 100, np.uint8)
    quad = square(40, 30, 60, 0.0)
    plain = compose_scene(background, drawing, mask, quad, GREY, NO_GAIN).astype(float)
    lit = compose_scene(background, drawing, mask, quad, GREY, np.array([1.2, 1.0, 0.8])).astype(float)
    np.testing.assert_allclose(lit, plain * [1.2, 1.0, 0.8], atol=1.0)
    light = make_light(1, 1.0)
    gains = np.stack([light.gains(t) for t in np.arange(0, 30, 0.1)])
    assert 0.8 < gains.min() < 0.97
    assert 1.03 < gains.max() < 1.25
    np.testing.assert_array_equal(make_light(1, 0.0).gains(3.0), NO_GAIN)


def test_an_oval_is_opaque_in_the_face_and_clear_at_the_corners():
    mask = OvalCutter()(torch.zeros(1, 3, 64, 64))
    assert mask.shape == (SIDE, SIDE)
    assert mask.dtype == np.uint8
    assert mask[SIDE // 2, SIDE // 2] == 255
    assert mask[:2, :2].max() == 0
    assert as_floats(mask, 256).shape == (256, 256)


class LeftHalfParser(torch.nn.Module):
    """Sees a person in the left half, as surely as told."""

    def __init__(self, sure: float) -> None:
        super().__init__()
        self.sure = sure

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(1, len(CLASSES), x.shape[2] // 8, x.shape[3] // 8)
        half = logits.shape[3] // 2
        logits[:, CLASSES.index("skin"), :, :half] = self.sure
        logits[:, CLASSES.index("background"), :, half:] = 9
        return logits


def test_the_parser_cuts_out_what_it_is_sure_of():
    mask = ParserCutter(LeftHalfParser(9.0))(torch.zeros(1, 3, 256, 256))
    assert mask[60, 30] == 255
    assert mask[60, 100] == 0
    assert mask[60, 0] < 20  # the drawing's own edge must not show
    edge = mask[60, 40:90].astype(int)
    assert (np.diff(edge) <= 0).all()


def test_the_body_has_the_colour_of_the_clothes():
    drawing = np.zeros((128, 128, 3), np.uint8)
    drawing[110:, :30] = drawing[110:, 98:] = (200, 10, 20)
    mask = np.full((SIDE, SIDE), 255, np.uint8)
    np.testing.assert_allclose(body_colour(drawing, mask), [200, 10, 20], rtol=0.4)
    np.testing.assert_allclose(body_colour(drawing, np.zeros_like(mask)), drawing.mean(axis=(0, 1)))
