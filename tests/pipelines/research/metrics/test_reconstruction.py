"""MSE, PSNR and SSIM by hand, by scikit-image, and on a picture against itself."""

import math

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from dynstream.models.metrics.lpips import load_lpips
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.image_ops import mse
from dynstream.pipelines.research.metrics.reconstruction import lpips, psnr, ssim

from ...textures import Pixels, pixels, texture


def noisy(amount: int, size: tuple[int, int] = (48, 64)) -> tuple[Pixels, Pixels]:
    picture = pixels(texture(0, size))
    noise = np.random.default_rng(1).integers(-amount, amount + 1, picture.shape)
    return picture, np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_by_hand() -> None:
    """51 levels are 0.4 of [-1, 1]: squared 0.16, and 10 log10(4 / 0.16) = 13.979 dB."""
    a, b = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 51, np.uint8)
    assert mse(a, b) == pytest.approx(0.16, rel=1e-9)
    assert psnr(0.16) == pytest.approx(13.9794, abs=1e-4)
    # Flat pictures have no variance: (2 ma mb + C1) / (ma^2 + mb^2 + C1) = 6.5025 / 2607.5025.
    assert ssim(a, b) == pytest.approx(6.5025 / 2607.5025, rel=1e-6)


def test_equals_scikit_image() -> None:
    a, b = noisy(20)
    assert mse(a, b) == pytest.approx(mean_squared_error(a, b) / 127.5**2, rel=1e-9)
    assert psnr(mse(a, b)) == pytest.approx(peak_signal_noise_ratio(a, b), rel=1e-9)
    expected = structural_similarity(
        a, b, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_a_picture_against_itself() -> None:
    a, _ = noisy(0)
    assert (mse(a, a), psnr(mse(a, a)), ssim(a, a.copy())) == (0, math.inf, 1)


def test_symmetric_and_unmoved_by_mirroring() -> None:
    a, b = noisy(20)
    for metric in (mse, ssim):
        assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-12)
        mirrored = metric(np.ascontiguousarray(a[:, ::-1]), np.ascontiguousarray(b[:, ::-1]))
        assert mirrored == pytest.approx(metric(a, b), rel=1e-9)


def test_worse_with_more_noise() -> None:
    little, much = noisy(5), noisy(40)
    assert mse(*little) < mse(*much)
    assert ssim(*little) > ssim(*much)


def test_lpips_of_pictures(zoo: Zoo) -> None:
    a, b = noisy(40)
    network = load_lpips(zoo, "alexnet")
    same, other = lpips(network, [a, a], [a, b])
    assert same == 0
    assert other > 0.02


def test_pictures_that_do_not_fit_are_refused() -> None:
    a, _ = noisy(0)
    for metric in (mse, ssim):
        with pytest.raises(PipelineError, match="one size"):
            metric(a, a[:20])
    with pytest.raises(PipelineError, match="at least 11x11"):
        ssim(a[:10], a[:10])
