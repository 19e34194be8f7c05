"""The composite: the frame itself where nothing is edited, moved detail where something is, nothing beyond the mask."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from dynstream.models.arrays import Quad
from dynstream.pipelines.common.errors import EditError
from dynstream.pipelines.compositing.composite import (
    FaceFlow,
    Layers,
    Motion,
    agreement,
    check_mode,
    compose,
    detail_layers,
    follow,
    hull_mask,
    keep_source,
    likeness,
    measure_motion,
    replace_layers,
    warp,
)
from dynstream.pipelines.tracking.align import crop, unalign, window
from dynstream.stream.frame import Pixels

Floats = npt.NDArray[np.float32]
S = 256


def square(centre: tuple[float, float], side: float, angle: float = 0.0) -> Quad:
    """(4, 2) corners of a turned square."""
    half = side / 2 * np.array([np.cos(angle), np.sin(angle)])
    down = np.array([-half[1], half[0]])
    middle = np.array(centre)
    return np.stack([middle - half - down, middle - half + down, middle + half + down, middle + half - down])


def noise(size: tuple[int, int], seed: int = 0, blur: float = 1.5) -> Pixels:
    """(H, W, 3) uint8 with detail everywhere."""
    width, height = size
    raw = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(raw, (0, 0), blur)
    return np.clip(128 + 45 * soft / soft.std(), 0, 255).astype(np.uint8)


def disc(radius: float = 90, feather: float = 8) -> Floats:
    y, x = np.mgrid[0:S, 0:S] - (S - 1) / 2
    return np.clip((radius - np.hypot(x, y)) / feather, 0, 1).astype(np.float32)


def drawn(shift: tuple[float, float] = (0, 0)) -> Floats:
    """(S, S, 3) in 0..255: a clean face of soft blobs, moved by (x, y) pixels."""
    y, x = np.mgrid[0:S, 0:S].astype(np.float32)
    x, y = x - shift[0], y - shift[1]
    blobs = [128 + 50 * np.sin(x / a + b) * np.cos(y / c) for a, b, c in ((11, 0, 13), (17, 1, 9), (13, 2, 15))]
    return np.stack(blobs, axis=-1).astype(np.float32)


def detail(inversion: Floats, edited: Floats, mask: Floats, flow: FaceFlow, own: Floats | None = None) -> Layers:
    """The layers of one frame without a past."""
    return keep_source(detail_layers(inversion, edited, mask, measure_motion(inversion, edited, flow)), own)


WHOLE = square((127.5, 127.5), S)
"""The crop is the frame, pixel for pixel."""

QUADS = {
    "as large as the crop": square((160, 140), 256),
    "small and turned": square((160.3, 141.7), 119.4, 0.4),
    "large": square((160, 140), 300, -0.2),
    "partly outside": square((10, 30), 200, 0.1),
}


@pytest.mark.parametrize("quad", QUADS.values(), ids=QUADS.keys())
def test_without_an_edit_the_frame_comes_back_byte_for_byte(quad: Quad) -> None:
    frame = noise((320, 280))
    layers = detail(drawn(), drawn(), disc(), FaceFlow())
    result = compose(frame, quad, layers)
    np.testing.assert_array_equal(result, frame)
    assert result is not frame


@pytest.mark.parametrize("mode", ["detail", "replace"])
@pytest.mark.parametrize("quad", QUADS.values(), ids=QUADS.keys())
def test_outside_the_mask_no_byte_changes(quad: Quad, mode: str) -> None:
    frame = noise((320, 280))
    kept = frame.copy()
    edited = drawn((3, 2)) + 30
    layers = detail(drawn(), edited, disc(), FaceFlow()) if mode == "detail" else replace_layers(edited, disc())
    result = compose(frame, quad, layers)
    placed = unalign(disc(), quad, (320, 280), outside="zero")
    outside = np.ones(frame.shape[:2], np.bool_)
    outside[placed.window] = placed.values <= 0
    np.testing.assert_array_equal(result[outside], frame[outside])
    assert np.abs(result.astype(int) - frame)[~outside].mean() > 3
    np.testing.assert_array_equal(frame, kept)


def test_detail_moves_with_the_edit() -> None:
    """The edit moves the drawn face by (3, 2) crop pixels; what only the frame has must move with it."""
    quad = WHOLE
    frame = noise((256, 256), blur=2.0)
    inversion, edited = drawn(), drawn((3, 2))
    extra = frame.astype(np.float32) - 128
    source = np.clip(inversion + 0.4 * extra, 0, 255).astype(np.uint8)
    layers = detail(inversion, edited, disc(110), FaceFlow())
    result = compose(source, quad, layers)
    middle = (slice(78, 178), slice(78, 178))
    flow = layers.flow[middle].reshape(-1, 2)
    np.testing.assert_allclose(np.median(flow, axis=0), (-3, -2), atol=0.25)
    assert layers.keep[middle].mean() > 0.9
    moved = edited + 0.4 * np.roll(extra, (2, 3), (0, 1))
    still = edited + 0.4 * extra
    error = np.abs(result[middle] - moved[middle]).mean()
    assert error < 0.4 * np.abs(result[middle] - still[middle]).mean()
    assert error < 6


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, -0.6])
def test_a_flow_in_the_crop_is_turned_into_the_frame(angle: float) -> None:
    quad, side = square((150, 150), 192, angle), 192
    frame = noise((300, 300), blur=4)
    flow = np.zeros((S, S, 2), np.float32)
    flow[...] = (8.0, 0.0)
    layers = Layers(np.zeros((S, S, 3), np.float32), np.ones((S, S), np.float32), flow, disc())
    result = compose(frame, quad, layers)
    step = 8.0 * side / S
    matrix = np.array([[1, 0, step * np.cos(angle)], [0, 1, step * np.sin(angle)]])
    moved = cv2.warpAffine(frame, matrix, (300, 300), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    middle = (slice(120, 180), slice(120, 180))
    assert np.abs(result[middle].astype(int) - moved[middle]).mean() < 1.0


def test_disagreeing_flows_close_the_gate() -> None:
    there = np.zeros((S, S, 2), np.float32)
    there[..., 0] = 6
    np.testing.assert_allclose(agreement(there, -there), 1, atol=1e-6)
    back = -there.copy()
    back[:, S // 2 :] = 0  # the way back ends 6 pixels off
    gate = agreement(there, back)
    assert gate[:, : S // 2 - 8].min() > 0.999
    assert gate[:, S // 2 :].max() < 1e-3


def test_what_the_edit_makes_new_is_drawn_and_not_carried() -> None:
    """A mouth that opens where the inversion has none: the flows disagree around it, so the frame's detail fades."""
    inversion, edited = drawn(), drawn()
    edited[140:180, 100:156] = 20
    layers = detail(inversion, edited, disc(110), FaceFlow())
    assert layers.keep[40:90, 90:160].min() > 0.9
    assert layers.keep[140:180, 100:156].min() < 0.5


def test_a_large_change_of_colour_closes_the_gate() -> None:
    one = drawn()
    np.testing.assert_allclose(likeness(one, one), 1, atol=1e-6)
    assert likeness(one, one + 10).min() > 0.95
    changed = one.copy()
    changed[100:160, 100:160] += 150
    gate = likeness(one, changed)
    assert gate[110:150, 110:150].max() < 0.01
    assert gate[:80].min() > 0.999


def test_replace_draws_the_edited_face_alone() -> None:
    quad = WHOLE
    frame = noise((256, 256))
    edited = drawn()
    result = compose(frame, quad, replace_layers(edited, disc()))
    inside = disc() >= 1
    np.testing.assert_array_equal(result[inside], np.clip(np.rint(edited), 0, 255).astype(np.uint8)[inside])
    soft = (disc() > 0.4) & (disc() < 0.6)
    weight = disc()[..., None]
    blend = frame * (1 - weight) + edited * weight
    assert np.abs(result - blend)[soft].max() <= 0.51


def test_colours_are_clipped() -> None:
    quad, frame = WHOLE, noise((256, 256))
    for level, expected in ((400.0, 255), (-100.0, 0)):
        result = compose(frame, quad, replace_layers(np.full((S, S, 3), level, np.float32), disc()))
        assert (result[disc() >= 1] == expected).all()


@pytest.mark.parametrize("centre", [(-300.0, 50.0), (900.0, 900.0), (50.0, -200.0)])
def test_a_quad_outside_the_frame_changes_nothing(centre: tuple[float, float]) -> None:
    frame = noise((320, 280))
    assert compose(frame, square(centre, 120), replace_layers(drawn(), disc())) is frame


def test_an_empty_mask_changes_nothing() -> None:
    frame = noise((320, 280))
    assert compose(frame, QUADS["large"], replace_layers(drawn(), np.zeros((S, S), np.float32))) is frame


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (7, 5)])
def test_tiny_frames(size: tuple[int, int]) -> None:
    frame = noise(size)
    result = compose(frame, square((3, 2), 40), detail(drawn(), drawn((1, 0)), disc(), FaceFlow()))
    assert result.shape == frame.shape


def test_the_composite_of_the_crop_itself_is_the_edit() -> None:
    """Where the inversion is perfect, detail and replace give the same picture."""
    quad = WHOLE
    frame = drawn().astype(np.uint8)
    edited = drawn((2, 1)) + 12
    flow = FaceFlow()
    kept = compose(frame, quad, detail(crop(frame, quad).astype(np.float32), edited, disc(110), flow))
    replaced = compose(frame, quad, replace_layers(edited, disc(110)))
    middle = (slice(70, 186), slice(70, 186))
    assert np.abs(kept[middle].astype(int) - replaced[middle]).mean() < 2


def test_warp() -> None:
    picture = drawn()
    flow = np.zeros((S, S, 2), np.float32)
    np.testing.assert_array_equal(warp(picture, flow), picture)
    flow[...] = (2, -1)
    np.testing.assert_allclose(warp(picture, flow)[1:, :-2], picture[:-1, 2:], atol=1e-3)
    np.testing.assert_allclose(warp(picture[..., 0], flow), warp(picture, flow)[..., 0], atol=1e-5)


def circle(radius: float, centre: tuple[float, float] = (128, 128)) -> npt.NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


def test_the_hull_mask_has_its_soft_edge_inside() -> None:
    mask = hull_mask(circle(80), grow=1.0, feather=6)
    y, x = np.mgrid[0:S, 0:S]
    distance = np.hypot(x - 128, y - 128)
    assert mask.dtype == np.float32
    assert mask[distance > 81].max() == 0
    assert mask[distance < 60].min() > 0.99
    edge = mask[128, 128:]
    assert (np.diff(edge) <= 1e-6).all()
    assert ((edge > 0.05) & (edge < 0.95)).sum() >= 8
    assert np.abs(np.diff(edge)).max() < 0.15


def test_the_hull_grows_about_its_middle() -> None:
    small, large = (hull_mask(circle(60, (100, 140)), grow=grow, feather=3) for grow in (1.0, 1.3))
    assert (large >= small - 1e-6).all()
    rows, columns = np.nonzero(large)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(100, abs=1)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(140, abs=1)
    assert columns.max() - columns.min() == pytest.approx(2 * 78, abs=4)


def test_a_hull_that_leaves_the_crop_still_ends_softly() -> None:
    """A hard edge along the crop's border would be a line across the picture."""
    mask = hull_mask(circle(100, (128, 200)))
    assert mask[200, 128] == pytest.approx(1, abs=1e-3)
    assert mask[-1].max() < 0.06
    assert np.abs(np.diff(mask[200:, 128])).max() < 0.12


def test_modes() -> None:
    assert check_mode("detail") == "detail"
    assert check_mode("replace") == "replace"
    with pytest.raises(EditError, match="unknown mode 'paste'; expected one of detail, replace"):
        check_mode("paste")


def test_what_is_the_frames_own_is_moved_and_not_changed() -> None:
    frame = noise((S, S))
    inversion, edited = drawn(), drawn((3, 0)) + 30
    own = np.zeros((S, S), np.float32)
    own[100:150, 100:150] = 1
    plain = compose(frame, WHOLE, detail(inversion, edited, disc(110), FaceFlow()))
    kept = compose(frame, WHOLE, detail(inversion, edited, disc(110), FaceFlow(), own))
    inside, outside = (slice(115, 135), slice(115, 135)), (slice(60, 80), slice(115, 135))
    assert abs(float(kept[inside].mean()) - float(frame[115:135, 112:132].mean())) < 3
    assert float(plain[inside].mean()) - float(kept[inside].mean()) > 20
    np.testing.assert_array_equal(kept[outside], plain[outside])


def test_the_motion_of_an_edit_is_averaged_over_time() -> None:
    still = Motion(np.zeros((S, S, 2), np.float32), np.ones((S, S), np.float32), np.ones((S, S), np.float32))
    moved = Motion(np.full((S, S, 2), 4, np.float32), np.zeros((S, S), np.float32), np.zeros((S, S), np.float32), 1.0)
    assert follow(None, moved, 0.1) is moved
    after = follow(still, moved, 0.2, seconds=0.2)
    assert after.flow.mean() == pytest.approx(4 * (1 - np.exp(-1)), rel=1e-5)
    assert after.keep.mean() == pytest.approx(np.exp(-1), rel=1e-5)
    assert after.turn == pytest.approx(1 - np.exp(-1), rel=1e-5)
    assert follow(still, moved, 0.0).flow.max() == 0


@pytest.mark.parametrize("middle", [(60.0, 50.0), (4.0, 90.0), (-300.0, 50.0)])
def test_only_the_window_of_the_mask_is_looked_at(middle: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives what the whole crop's window gives, also at the frame's border and beyond it."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (120, 140, 3), dtype=np.uint8)
    quad = np.array(middle) + np.array([[-40, -45], [-48, 42], [40, 50], [48, -37]], dtype=np.float64)
    mask = np.zeros((256, 256), np.float32)
    mask[90:170, 60:200] = 0.7
    smooth = cv2.GaussianBlur(rng.normal(0, 40, (256, 256, 2)).astype(np.float32), (0, 0), 9)
    bared = np.roll(mask, 60, axis=0)
    layers = Layers(
        np.full((256, 256, 3), 30, np.float32), np.full((256, 256), 0.8, np.float32), smooth, mask, bared,
        np.full((256, 256, 3), 200, np.float32),
    )  # fmt: skip
    narrow = compose(pixels, quad, layers)
    monkeypatch.setattr("dynstream.pipelines.compositing.composite.support", lambda _m, q, size, _l: window(q, size))
    wide = compose(pixels, quad, layers)
    assert np.abs(narrow.astype(int) - wide).max() <= 1
    assert ((narrow != pixels).any(axis=2) == (wide != pixels).any(axis=2)).mean() > 0.999
    assert (narrow is pixels) == (middle[0] < -100)
