"""The notice of a live output without a new picture: the last one dimmed, or black, with a line of text."""

from typing import Final, cast

import cv2
import numpy as np

from ...stream.frame import Pixels

DIMMED: Final = 0.25
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def notice_picture(size: tuple[int, int], text: str, last: Pixels | None = None) -> Pixels:
    """(H, W, 3) uint8 RGB. size: (width, height). last: the last picture, of any size; black if None."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    if last is not None:
        pixels = cast(Pixels, cv2.convertScaleAbs(cv2.resize(last, size, interpolation=cv2.INTER_AREA), alpha=DIMMED))
    scale = height / 480
    thickness = max(1, round(1.5 * scale))
    (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    scale *= min(1.0, 0.9 * width / max(1, text_width))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    place = (width - text_width) // 2, (height + text_height) // 2
    cv2.putText(pixels, text, place, _FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return pixels
