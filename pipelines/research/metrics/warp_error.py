"""Flow warp error: how far each frame is from the one before it, carried along by the source's own motion.

Lai, Huang, Wang, Shechtman, Yumer, Yang, "Learning Blind Video Temporal Consistency", ECCV 2018, equation 7, with the
occlusion test of Sundaram, Brox, Keutzer, "Dense Point Trajectories by GPU-accelerated Large Displacement Optical
Flow", ECCV 2010, equation 5. The flow is always the source's: what the result invents in motion counts as error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from ....models.arrays import FlowField, Mask
from ....stream.frame import Pixels
from ...common.flow import FlowPair
from ...common.image_ops import source_places, warp_pixels

SCALES: Final[Mapping[str, float]] = MappingProxyType({"rigid": 1e3, "vidstyleode": 1.0})
"""What the mean square in [0, 1] is multiplied by to stand beside a paper's table: RIGID (arXiv 2308.06097) prints
thousandths, VidStyleODE (arXiv 2304.06020) the plain mean. These are readings of the tables: neither paper's published
code holds its evaluation. Both name Lai et al., whose own program (evaluate_WarpError.py of the repository
phoenix104104/fast_blind_video_consistency) takes the mean of squares in [0, 1] over the pixels and channels that are
not hidden, as we do, but warps the later frame back to the earlier one, by FlowNet2; and what it computes of its
authors' results is several times smaller than what their paper prints (that repository's issue 16). So figures of
different papers agree in their order of magnitude at best; what compares is the ratio to the source's own error."""


@dataclass(frozen=True, slots=True)
class WarpError:
    """One pair of consecutive frames, mean squares of pixels in [0, 1].

    Attributes:
        result: of the result.
        source: the same of the source, the floor: noise, light and errors of the flow.
        visible: 0..1, share of the pixels that count.
    """

    result: float
    source: float
    visible: float


@dataclass(frozen=True, slots=True)
class VideoWarpError:
    """Means over a video; lower is better, 0 for a still picture.

    Attributes:
        result, source: mean square in [0, 1], see `warp_error`.
        pairs: how many pairs of frames they are the mean of.
    """

    result: float
    source: float
    pairs: int

    @property
    def ratio(self) -> float:
        """result / source; 1 for a result as steady as its source. NaN where the source does not change at all."""
        return self.result / self.source if self.source else float("nan")


def visible(pair: FlowPair) -> Mask:
    """Which pixels of the second frame were in sight in the first: 1 or 0.

    A pixel counts where going back and forth again returns to it: |b + f(x + b)|^2 < 0.01 (|b|^2 + |f|^2) + 0.5, and
    where it came from inside the frame.

    Returns:
        (H, W) float32.
    """
    back = pair.backward
    places = source_places(back)
    forth = cv2.remap(pair.forward, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    miss = np.square(back + forth).sum(-1)
    limit = 0.01 * (np.square(back).sum(-1) + np.square(forth).sum(-1)) + 0.5
    height, width = back.shape[:2]
    inside = (places >= 0).all(-1) & (places[..., 0] <= width - 1) & (places[..., 1] <= height - 1)
    seen: Mask = ((miss < limit) & inside).astype(np.float32)
    return seen


def warp_error(before: Pixels, after: Pixels, back: FlowField, mask: Mask) -> float:
    """Mean over the masked pixels of (after - warp(before))^2.

    Formula: sum_x m(x) |I_t(x) - I_{t-1}(x + b(x))|^2 / (3 sum_x m(x)), with b the flow from t to t-1.
    Source: Lai et al. 2018, equation 7. Range: 0..1. Direction: lower is better. Unit: square of the range [0, 1].

    Args:
        before, after: (H, W, 3) uint8 RGB.
        back: (H, W, 2), the source's flow from `after` to `before`.
        mask: (H, W) weights; NaN is returned where all are zero.
    """
    return _mean(squares(before, after, back), mask)


def squares(before: Pixels, after: Pixels, back: FlowField) -> Mask:
    """(H, W) float32: the square of what is left of each pixel after warping, mean over its channels, in [0, 1]."""
    difference = cv2.subtract(after, warp_pixels(before, back), dtype=cv2.CV_32F) / 255
    left: Mask = np.square(difference).mean(-1)
    return left


def _mean(values: Mask, mask: Mask) -> float:
    total = float(mask.sum(dtype=np.float64))
    return float((values * mask).sum(dtype=np.float64)) / total if total else float("nan")


def pair_error(
    source: tuple[Pixels, Pixels], result: tuple[Pixels, Pixels], pair: FlowPair, region: Mask | None = None
) -> WarpError:
    """`warp_error` of the result and of the source over the same visible pixels.

    source, result: the frames before and after. pair: the source's flow. region: (H, W) weights of what is looked at;
    everything where it is not given.
    """
    return pair_errors(source, result, pair, [region])[0]


def pair_errors(
    source: tuple[Pixels, Pixels], result: tuple[Pixels, Pixels], pair: FlowPair, regions: Sequence[Mask | None]
) -> list[WarpError]:
    """`pair_error` for several regions at once."""
    seen = visible(pair)
    share = float(seen.mean())
    of_source = squares(*source, pair.backward)
    same = all(a is b for a, b in zip(source, result, strict=True))
    of_result = of_source if same else squares(*result, pair.backward)
    masks = [seen if region is None else seen * region for region in regions]
    return [WarpError(_mean(of_result, mask), _mean(of_source, mask), share) for mask in masks]
