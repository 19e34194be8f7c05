"""Flicker: what changes from frame to frame and back again."""

import cv2
import numpy as np

from ....stream.frame import Pixels


def flicker(before: Pixels, now: Pixels, after: Pixels) -> float:
    """Flicker index at the middle one of three consecutive frames.

    Formula: mean over pixels and channels of |I_t - (I_{t-1} + I_{t+1}) / 2|; a video's is the mean over its frames.
    Source: ours, the second difference in place of the first of VBench's "temporal flickering" (Huang et al., CVPR
    2024), so that a steady change, such as light that comes up, counts as none. Motion of edges counts, which is why
    the source's own index stands beside it as the floor. Range: 0..255. Direction: lower is better. Unit: levels.

    Args:
        before, now, after: (H, W, 3) uint8 of one shape.
    """
    middle = cv2.addWeighted(before, 0.5, after, 0.5, 0, dtype=cv2.CV_32F)
    return float(cv2.norm(now.astype(np.float32), middle, cv2.NORM_L1)) / now.size
