"""How near a picture is to another, pixel by pixel and as seen: MSE, PSNR, SSIM, LPIPS."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....stream.frame import Pixels
from ...common import tensors
from ...common.errors import PipelineError
from ...common.image_ops import check_alike

if TYPE_CHECKING:
    from ....models.metrics.lpips import LPIPS

SSIM_SIGMA: Final = 1.5
SSIM_RADIUS: Final = 5
SSIM_CONSTANTS: Final = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)


def psnr(mean_square: float) -> float:
    """Peak signal to noise ratio.

    Formula: 10 log10(4 / MSE), MSE in [-1, 1], so a peak of 2. Source: ITU-T J.340. Range: -infinity..infinity, and
    infinity for equal pictures. Direction: higher is better. Unit: dB. For a video: of the mean MSE over its frames, so
    that frames that are equal do not make it infinite.
    """
    return 10 * math.log10(4 / mean_square) if mean_square > 0 else math.inf


def ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of two pictures.

    Formula: mean over pixels and channels of (2 ma mb + C1)(2 sab + C2) / ((ma^2 + mb^2 + C1)(sa^2 + sb^2 + C2)), means
    and covariances under an 11x11 Gaussian window with sigma 1.5, C1 = (0.01 255)^2, C2 = (0.03 255)^2, where the
    window lies inside the picture. Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, equation 13.
    Range: -1..1. Direction: higher is better, 1 for equal pictures. Unit: none.

    Args:
        a, b: (H, W, 3) uint8 of one shape, at least 11x11.

    Raises:
        PipelineError: the shapes differ, or are too small.
    """
    check_alike(a, b)
    if min(a.shape[:2]) < 2 * SSIM_RADIUS + 1:
        raise PipelineError(f"SSIM needs pictures of at least 11x11 pixels, got {a.shape[1]}x{a.shape[0]}")
    if np.array_equal(a, b):
        return 1.0
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    both = _blur(x * y) - mean_x * mean_y
    first, second = SSIM_CONSTANTS
    similarity = (2 * mean_x * mean_y + first) * (2 * both + second)
    similarity /= (mean_x**2 + mean_y**2 + first) * (var_x + var_y + second)
    inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
    return float(similarity[inner, inner].mean())


def lpips(network: "LPIPS", a: Sequence[Pixels], b: Sequence[Pixels]) -> list[float]:
    """Learned perceptual distance of pairs of pictures.

    Formula: sum over five layers of the weighted mean square difference of unit-length features. Source: Zhang, Isola,
    Efros, Shechtman, Wang, CVPR 2018, equation 1, heads of version 0.1 (see `models.lpips`). Range: 0 up, about 0.7 for
    unrelated pictures. Direction: lower is better. Unit: none.

    Args:
        network: AlexNet's is the paper's metric, VGG16's the usual training loss.
        a, b: as many (H, W, 3) uint8 pictures, all of one shape.
    """
    with torch.inference_mode():
        distances: list[float] = network(to_tensor(a), to_tensor(b)).tolist()
    return distances


def to_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """N of (H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1]."""
    return tensors.to_tensor(np.stack(pictures))


def _blur(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    side = 2 * SSIM_RADIUS + 1
    return cast("npt.NDArray[np.float64]", cv2.GaussianBlur(values, (side, side), SSIM_SIGMA))
