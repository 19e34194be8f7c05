"""Annotation of pictures: text on a picture, and a picture fitted into a box."""

from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from ...stream.frame import Pixels

WHITE: Final = (255, 255, 255)
FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def write_words(picture: Pixels, words: str, left: int, bottom: int, *, height: int = 14) -> None:
    """Write ASCII `words` into the picture, in place, white on a dark box so that they show on anything.

    left, bottom: of the letters' base line, in pixels. height: of a capital letter, in pixels.
    """
    scale = height / 22  # the font's capitals are 22 pixels high at scale 1
    thickness = max(1, round(height / 11))
    (width, above), below = cv2.getTextSize(words, FONT, scale, thickness)
    margin = max(2, height // 4)
    top, right = bottom - above - margin, left + width + margin
    box = picture[max(0, top) : bottom + below + margin, max(0, left - margin) : right]
    box //= 3
    cv2.putText(picture, words, (left, bottom), FONT, scale, WHITE, thickness, cv2.LINE_AA)


def fit(picture: Pixels, width: int, height: int) -> Pixels:
    """(h, w, 3) uint8: the picture as large as fits into width x height with its shape kept, never enlarged twofold."""
    factor = min(width / picture.shape[1], height / picture.shape[0], 2.0)
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cast("Pixels", cv2.resize(picture, size, interpolation=how))


def clock(seconds: float) -> str:
    """`m:ss.cc`, as a time stamp."""
    sign = "-" if seconds < 0 else ""
    minutes, rest = divmod(round(abs(seconds) * 100), 6000)
    return f"{sign}{minutes}:{rest // 100:02d}.{rest % 100:02d}"


def encode_png(picture: Pixels) -> bytes:
    """The PNG file of an RGB picture."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} could not be encoded as PNG")
    return cast("npt.NDArray[np.uint8]", data).tobytes()
