import numpy as np
import pytest

from dynstream.models.faces import blazeface
from dynstream.models.faces.blazeface import ANCHORS, INPUT, decode, letterbox, merge, overlap, region


def test_anchors_are_the_cells_of_both_maps() -> None:
    assert ANCHORS.shape == (896, 2)
    np.testing.assert_allclose(ANCHORS[0], (0.5 / 16, 0.5 / 16))
    np.testing.assert_allclose(ANCHORS[1], ANCHORS[0])
    np.testing.assert_allclose(ANCHORS[2], (1.5 / 16, 0.5 / 16))
    np.testing.assert_allclose(ANCHORS[512], (0.5 / 8, 0.5 / 8))
    np.testing.assert_allclose(ANCHORS[517], ANCHORS[512])
    np.testing.assert_allclose(ANCHORS[895], (7.5 / 8, 7.5 / 8))


def raw(entries: dict[int, tuple[float, float, float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Network output where anchor -> (x, y, width, height in pixels, logit); its points all lie in the middle."""
    regressors, logits = np.zeros((896, 16), np.float32), np.full(896, -9, np.float32)
    for anchor, (x, y, width, height, logit) in entries.items():
        offset = np.array([x, y]) - ANCHORS[anchor] * INPUT
        regressors[anchor] = [*offset, width, height, *np.tile(offset, 6)]
        logits[anchor] = logit
    return regressors, logits


def test_decodes_boxes_and_points_in_pixels() -> None:
    boxes, scores = decode(*raw({100: (60, 40, 20, 30, 0.0), 700: (90, 80, 10, 10, 3.0), 5: (1, 1, 9, 9, -0.1)}))
    assert scores == pytest.approx([1 / (1 + np.exp(-3)), 0.5])
    np.testing.assert_allclose(boxes[0], [[85, 75], [95, 85], *[[90, 80]] * 6], atol=1e-4)
    np.testing.assert_allclose(boxes[1, :2], [[50, 25], [70, 55]], atol=1e-4)


def test_huge_logits_do_not_overflow() -> None:
    _, scores = decode(*raw({0: (60, 40, 20, 30, 1e30)}))
    assert scores == pytest.approx([1.0])


def test_merging_averages_by_score() -> None:
    boxes, scores = decode(*raw({0: (60, 60, 40, 40, 2.0), 1: (62, 60, 40, 40, 0.5), 2: (20, 20, 10, 10, 1.0)}))
    merged, sureness = merge(boxes, scores)
    assert len(merged) == 2
    first, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-0.5))
    assert merged[0, :2].mean(axis=0)[0] == pytest.approx((60 * first + 62 * second) / (first + second), abs=1e-4)
    assert sureness[0] == pytest.approx(first)


def test_nothing_found_is_an_empty_answer() -> None:
    merged, scores = merge(*decode(*raw({})))
    assert merged.shape == (0, 8, 2)
    assert scores.shape == (0,)


def test_overlap_of_known_boxes() -> None:
    box = np.array([[0.0, 0.0], [10.0, 10.0]])
    others = np.array([[[0, 0], [10, 10]], [[5, 0], [15, 10]], [[20, 20], [30, 30]]], dtype=float)
    np.testing.assert_allclose(overlap(box, others), [1, 1 / 3, 0])


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (100, 100), (17, 400), (1, 1)])
def test_the_letterbox_leads_back_to_the_frame(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 255, np.uint8)
    square, box = letterbox(pixels)
    assert square.shape == (128, 128, 3)
    rows, columns = np.nonzero(square[..., 0] > 127)
    corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], dtype=float)
    height, width = size
    # The picture's outer corners; a bar is a whole number of pixels, so half a network pixel may be off.
    np.testing.assert_allclose(
        box.to_frame(corners), [[-0.5, -0.5], [width - 0.5, height - 0.5]], atol=0.75 / box.scale
    )


def test_the_region_turns_with_the_eyes() -> None:
    face = np.zeros((8, 2))
    face[0], face[1] = (40, 50), (80, 90)
    face[2 + blazeface.RIGHT_EYE], face[2 + blazeface.LEFT_EYE] = (50, 60), (60, 70)
    found = region(face, 0.8)
    assert (found.x, found.y, found.size, found.score) == (60, 70, 60, 0.8)
    assert found.angle == pytest.approx(np.pi / 4)
