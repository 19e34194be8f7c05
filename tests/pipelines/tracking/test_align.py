import cv2
import numpy as np
import pytest
import torch

from dynstream.models.faces.faces import Face
from dynstream.models.faces.mesh import load_mesh_backend
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.tracking.align import (
    CROP,
    alignment_points,
    crop,
    ffhq_quad,
    side,
    to_crop,
    to_frame,
    unalign,
    window,
)

from ...drawn_face import draw_face


def picture(height: int = 300, width: int = 400, *, detail: float = 2.0, contrast: float = 50) -> np.ndarray:
    """Coloured noise without anything finer than `detail` pixels; `contrast` is its standard deviation."""
    noise = np.random.default_rng(5).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), detail)
    return np.clip(128 + contrast * smooth / smooth.std(), 0, 255).astype(np.uint8)


def square(x: float, y: float, length: float, degrees: float = 0.0) -> np.ndarray:
    turn = np.radians(degrees)
    across = length / 2 * np.array([np.cos(turn), np.sin(turn)])
    down = np.array([-across[1], across[0]])
    centre = np.array([x, y])
    return np.stack([centre - across - down, centre - across + down, centre + across + down, centre + across - down])


def test_quad_of_a_face_worked_by_hand() -> None:
    # eye_to_eye = (60, 0), eye_to_mouth = (0, 66); x = (60, 0) - rot90(0, 66) = (126, 0), of length
    # max(2 * 60, 1.8 * 66) = 120; centre = (130, 100) + 0.1 * (0, 66).
    quad = ffhq_quad(np.array([[100.0, 100.0], [160.0, 100.0], [130.0, 166.0]]))
    np.testing.assert_allclose(quad, [[10, -13.4], [10, 226.6], [250, 226.6], [250, -13.4]])


def test_a_long_face_is_scaled_by_its_mouth() -> None:
    quad = ffhq_quad(np.array([[100.0, 100.0], [160.0, 100.0], [130.0, 200.0]]))
    assert side(quad) == pytest.approx(2 * 1.8 * 100)


def test_quads_follow_every_similarity() -> None:
    points = np.array([[100.0, 104.0], [160.0, 97.0], [133.0, 166.0]])
    turn = 1.3 * np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(ffhq_quad(points @ turn.T + (7, -3)), ffhq_quad(points) @ turn.T + (7, -3))


def test_points_that_coincide_are_refused() -> None:
    with pytest.raises(ValueError, match="do not span a face"):
        ffhq_quad(np.full((3, 2), 5.0))
    with pytest.raises(ValueError, match=r"expected \(3, 2\)"):
        ffhq_quad(np.zeros((5, 2)))


def test_points_of_the_68_are_those_of_ffhq() -> None:
    landmarks = np.random.default_rng(0).uniform(0, 100, (68, 3)).astype(np.float32)
    points = alignment_points(Face(landmarks, "dlib-68", 1.0))
    expected = [landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[[48, 54]].mean(0)]
    np.testing.assert_allclose(points, np.array(expected)[:, :2], rtol=1e-5)


def test_mesh_points_lie_in_the_eyes_and_at_the_mouth(zoo: Zoo) -> None:
    backend = load_mesh_backend(zoo)
    pixels = draw_face(x=320, y=180, width=200)
    face = backend.locate(pixels, backend.follow(backend.locate(pixels, backend.detect(pixels)[0])))
    np.testing.assert_allclose(alignment_points(face), [(278, 164), (362, 164), (320, 259)], atol=6)


def test_generated_faces_get_the_whole_picture_as_their_quad(zoo: Zoo) -> None:
    """The generator draws FFHQ-aligned faces, so the quad found on one is the picture's own border."""
    from dynstream.models.generator.mobile_stylegan import load_mobile_stylegan

    generator, backend = load_mobile_stylegan(zoo), load_mesh_backend(zoo)
    z = torch.randn(4, 512, generator=torch.Generator().manual_seed(2))
    quads = []
    with torch.no_grad():
        mean = generator.mean_w()
        for w in mean + 0.6 * (generator.map(z) - mean):
            drawn = generator.synthesize(w.expand(1, generator.codes, -1), size=512)[0]
            pixels = ((drawn.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
            face = backend.locate(pixels, backend.detect(pixels)[0])
            quads.append(ffhq_quad(alignment_points(backend.locate(pixels, backend.follow(face)))))
    mean_quad = np.mean(quads, axis=0)
    np.testing.assert_allclose(
        mean_quad, [(-0.5, -0.5), (-0.5, 511.5), (511.5, 511.5), (511.5, -0.5)], atol=0.025 * 512
    )


def test_a_quad_on_the_pixel_grid_is_the_identity() -> None:
    pixels = picture()
    quad = square(150 - 0.5, 140 - 0.5, 200)
    values = crop(pixels, quad, 200).astype(int)
    # Two by two samples a pixel blur a little, but do not shift.
    assert np.abs(values - pixels[40:240, 50:250]).mean() < 2
    shifted = np.abs(values[:, 1:] - pixels[40:240, 50:249]).mean()
    assert shifted > 3 * np.abs(values - pixels[40:240, 50:250]).mean()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_quarter_turns_are_exact(degrees: int) -> None:
    pixels = picture()
    upright = crop(pixels, square(150, 140, 128), 64)
    turned = crop(pixels, square(150, 140, 128, degrees), 64)
    np.testing.assert_allclose(turned.astype(int), np.rot90(upright.astype(int), degrees // 90), atol=1)


def test_a_crop_samples_pixel_centres() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    quad = square(100, 50, 64, 0)
    values = crop(ramp, quad, 32)[16, :, 0]
    expected = to_frame(np.stack([np.arange(32), np.full(32, 16)], axis=1).astype(float), quad, 32)[:, 0]
    np.testing.assert_allclose(values, expected, atol=0.51)


def test_point_transforms_are_inverse() -> None:
    quad = square(150.3, 140.7, 222, 17)
    points = np.random.default_rng(1).uniform(0, 256, (5, 7, 2))
    np.testing.assert_allclose(to_crop(to_frame(points, quad), quad), points)
    np.testing.assert_allclose(to_crop(quad, quad), [(-0.5, -0.5), (-0.5, 255.5), (255.5, 255.5), (255.5, -0.5)])
    np.testing.assert_allclose(to_frame(np.array([127.5, 127.5]), quad), (150.3, 140.7))


@pytest.mark.parametrize("length", [120.0, 200.0, 256.0])
@pytest.mark.parametrize("degrees", [0.0, 13.0, -40.0])
def test_there_and_back_again(length: float, degrees: float) -> None:
    pixels = picture()
    quad = square(199.6, 151.2, length, degrees)
    placed = unalign(crop(pixels, quad), quad, (400, 300))
    inside = unalign(np.ones((CROP, CROP), np.float32), quad, (400, 300), outside="zero").values > 0.999
    error = (placed.values.astype(float) - pixels[placed.window])[inside]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40
    # OpenCV rounds halves up in a mean of two by two: an eighth of a level in each direction.
    assert abs(error.mean()) < 0.3


def test_a_shrunk_crop_keeps_the_mean_and_the_place() -> None:
    pixels = picture(900, 900, detail=8.0)
    quad = square(450.2, 440.9, 800, 5)
    placed = unalign(crop(pixels, quad), quad, (900, 900))
    inside = unalign(np.ones((CROP, CROP), np.float32), quad, (900, 900), outside="zero").values > 0.999
    error = (placed.values.astype(float) - pixels[placed.window])[inside]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40


def test_only_the_quads_bounding_box_is_touched() -> None:
    assert window(square(149.5, 139.5, 100), (400, 300)) == (100, 90, 200, 190)
    placed = unalign(np.zeros((64, 64, 3), np.uint8), square(150, 140, 100, 30), (400, 300))
    reach = 100 * (np.cos(np.pi / 6) + np.sin(np.pi / 6)) / 2
    assert placed.left == pytest.approx(150 - reach, abs=1)
    assert placed.values.shape[1] == pytest.approx(2 * reach, abs=2)
    frame = np.full((300, 400, 3), 9, np.uint8)
    frame[placed.window] = placed.values
    assert frame[0, 0, 0] == 9
    assert frame[140, 150, 0] == 0


def test_masks_end_at_the_quad_and_stay_in_range() -> None:
    quad = square(149.5, 139.5, 100)
    mask = unalign(np.ones((CROP, CROP), np.float32), quad, (400, 300), outside="zero")
    assert mask.values.shape == (100, 100)
    assert mask.values[1:-1, 1:-1].min() == pytest.approx(1)
    assert 0 <= mask.values.min() <= mask.values.max() <= 1 + 1e-6
    turned = unalign(np.ones((CROP, CROP), np.float32), square(150, 140, 100, 45), (400, 300), outside="zero")
    assert turned.values[0, 0] == 0
    assert turned.values.sum() == pytest.approx(100 * 100, rel=0.01)


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (399.0, 150.0), (200.0, 320.0), (-30.0, 310.0)])
def test_quads_may_leave_the_frame(x: float, y: float) -> None:
    pixels = picture()
    quad = square(x, y, 180, 20)
    cut = crop(pixels, quad)
    placed = unalign(cut, quad, (400, 300))
    assert placed.values.shape[:2] == pixels[placed.window].shape[:2]
    mask = unalign(np.ones((CROP, CROP), np.float32), quad, (400, 300), outside="zero").values > 0.999
    error = (placed.values.astype(float) - pixels[placed.window])[mask]
    assert mask.any()
    assert np.abs(error).mean() < 2


def test_the_mirror_fills_what_is_outside() -> None:
    pixels = picture()
    values = crop(pixels, square(-0.5, 150, 100), 100).astype(int)
    # Column 50 is the frame's first column, the axis of the mirror.
    np.testing.assert_allclose(values[:, 50:90], values[:, 50:10:-1], atol=1)


def test_a_quad_outside_the_frame_is_empty() -> None:
    placed = unalign(np.zeros((64, 64, 3), np.uint8), square(-500, 100, 80), (400, 300))
    assert 0 in placed.values.shape
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[placed.window] = placed.values


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1), (64, 64, 2), (64, 64, 3), (64, 64, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_crop_of_up_to_four_channels(shape: tuple[int, ...], dtype: type) -> None:
    placed = unalign(np.ones(shape, dtype), square(100, 100, 90, 10), (200, 200))
    assert placed.values.shape[2:] == shape[2:]
    assert placed.values.dtype == dtype


@pytest.mark.parametrize(
    "patch", [np.zeros((64, 32), np.uint8), np.zeros((64, 64), np.float64), np.zeros((8, 8, 5), np.uint8)]
)
def test_other_crops_are_refused(patch: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        unalign(patch, square(100, 100, 90), (200, 200))
