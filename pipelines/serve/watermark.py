"""A visible watermark on edited pictures: a small, legible word in a corner that is distinct from the scene."""

import cv2
import numpy as np
import numpy.typing as npt

from ...stream.frame import Pixels

TEXT = "EDITED"
MARGIN = 0.02  # of the picture's height


class Watermark:
    """Drawn once for each size of picture, then blended into the lower right corner."""

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._label: npt.NDArray[np.uint16] = np.zeros((0, 0, 1), np.uint16)

    def apply(self, pixels: Pixels) -> Pixels:
        """(H, W, 3) uint8 with the mark, as a copy. A picture too small for it stays."""
        height, width = pixels.shape[:2]
        if self._size != (width, height):
            self._label, self._size = _draw(height), (width, height)
        label, margin = self._label, max(2, round(MARGIN * height))
        rows, columns = label.shape[:2]
        if rows + margin > height or columns + margin > width:
            return pixels
        out = pixels.copy()
        place = out[height - margin - rows : height - margin, width - margin - columns : width - margin]
        place[:] = (place.astype(np.uint16) * 96 + label * 160) >> 8
        return out


def _draw(height: int) -> npt.NDArray[np.uint16]:
    """(h, w, 1): white letters on black."""
    scale = max(0.45, height / 720 * 0.9)
    thickness = max(1, round(height / 480))
    (width, rise), base = cv2.getTextSize(TEXT, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    pad = max(3, rise // 3)
    label = np.zeros((rise + base + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(label, TEXT, (pad, pad + rise), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    return label[:, :, None].astype(np.uint16)
