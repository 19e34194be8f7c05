import numpy as np
import pytest

from dynstream.models.faces.patch import cut, patch_to_frame, refine, supersampling

SQUARE = np.array([[9.5, 19.5], [9.5, 29.5], [19.5, 29.5], [19.5, 19.5]])


def test_corner_pixels_lie_inside_the_corners() -> None:
    matrix = patch_to_frame(SQUARE, 10)
    np.testing.assert_allclose(matrix @ [0, 0, 1], (10, 20))
    np.testing.assert_allclose(matrix @ [9, 9, 1], (19, 29))
    np.testing.assert_allclose(patch_to_frame(SQUARE, 5) @ [0, 0, 1], (10.5, 20.5))


def test_a_quad_on_the_pixel_grid_copies_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(pixels[::4, ::4], 4, axis=0), 4, axis=1)
    quad = np.array([[7.5, 7.5], [7.5, 31.5], [31.5, 31.5], [31.5, 7.5]])
    patch = cut(smooth, patch_to_frame(quad, 6), 6)
    np.testing.assert_allclose(patch, smooth[8:32:4, 8:32:4], atol=1)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_refined_samples_average_to_the_pixel_centre(factor: int) -> None:
    matrix = patch_to_frame(SQUARE + 0.3, 7)
    fine = refine(matrix, factor)
    samples = [fine @ [2 * factor + i, 4 * factor + j, 1] for i in range(factor) for j in range(factor)]
    np.testing.assert_allclose(np.mean(samples, axis=0), matrix @ [2, 4, 1])


def test_shrinking_takes_more_samples() -> None:
    assert [supersampling(patch_to_frame(SQUARE * scale, 10)) for scale in (0.5, 1, 1.9, 2, 2.1, 5)] == [
        2,
        2,
        2,
        2,
        3,
        5,
    ]


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    quad = np.array([[-0.5, -0.5], [-0.5, 255.5], [255.5, 255.5], [255.5, -0.5]]) * 0.97 + 3
    patch = cut(stripes, patch_to_frame(quad, 50), 50)
    # Single samples would swing by the full 127.5; a box as wide as a patch pixel lets about a tenth through.
    assert patch[:, 2:-2].std() < 0.15 * 127.5
    assert abs(float(patch.mean()) - 127.5) < 3
