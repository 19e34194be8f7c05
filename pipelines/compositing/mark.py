"""A visible mark on edited pictures: a small, legible text in a corner, outside of what was edited."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ...stream.frame import Frame, Pixels
from ..common.errors import OptionError

Place = Literal["corner", "none"]
MARGIN: Final = 0.02  # of the picture's height
STAY_SECONDS: Final = 1.0
"""Seconds for which the mark stays after the last edited picture, so that it does not blink."""
AROUND: Final = 0.5
"""The face around what was changed: by so much of its size it is grown on each side."""
LONGEST: Final = 40
_STEP: Final = 4
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT: Final = 22.0
_SMALLEST: Final = 0.45  # of the font, below which letters cannot be read

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, the last two not part of it."""


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """How a mark looks.

    Raises OptionError for a text that cannot be drawn, a size or an opacity out of range.

    Attributes:
        text: ASCII letters.
        size: of the letters, as a share of the picture's height.
        opacity: 0..1.
    """

    text: str = "EDITED"
    size: float = 0.0275
    opacity: float = 0.625

    def __post_init__(self) -> None:
        if not (self.text.isascii() and self.text.isprintable() and 0 < len(self.text.strip()) <= LONGEST):
            raise OptionError(f"expected a mark of 1 to {LONGEST} ASCII letters, got {self.text!r}")
        if not 0.01 <= self.size <= 0.2 or not 0.1 <= self.opacity <= 1:
            raise OptionError(
                "expected a mark's size from 0.01 to 0.2 of the picture's height and an opacity from 0.1 to 1, got "
                f"{self.size:g} and {self.opacity:g}"
            )


PLAIN: Final = MarkStyle()


def read_mark(place: str, text: str | None, size: float | None, opacity: float | None) -> MarkStyle | None:
    """The style of options; None for "none". Raises OptionError."""
    if place not in get_args(Place):
        raise OptionError(f"unknown mark {place!r}; expected one of {', '.join(get_args(Place))}")
    given = {"text": text, "size": size, "opacity": opacity}
    style = MarkStyle(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    return style if place == "corner" else None


class Marker:
    """Marks the pictures of one stream.

    The mark lies in the lower right corner; where the edit reaches there, in another one, which it then keeps as long
    as that is free. A picture too small for it stays as it is.
    """

    def __init__(self, style: MarkStyle = PLAIN) -> None:
        self.style = style
        self._size: tuple[int, int] | None = None
        self._label: npt.NDArray[np.float32] = np.zeros((0, 0, 1), np.float32)
        self._corner = 0
        self._face: Box | None = None
        self._marked: float | None = None

    def __call__(self, source: Frame | None, result: Frame, *, edited: bool) -> Pixels:
        """(H, W, 3) uint8: the result's pixels, with the mark where it is edited or was a moment ago.

        source: the frame before the edit, None where it is not known.
        """
        if edited:
            self._marked = result.seconds
            if source is not None:
                self._face = _grown(changed(source.pixels, result.pixels), result.size)
        elif self._marked is None or result.seconds - self._marked > STAY_SECONDS:
            return result.pixels
        return self.draw(result.pixels)

    def draw(self, pixels: Pixels) -> Pixels:
        """(H, W, 3) uint8 with the mark, as a copy."""
        height, width = pixels.shape[:2]
        if self._size != (width, height):
            self._label, self._size = _drawn(self.style, height), (width, height)
        rows, columns = self._label.shape[:2]
        margin = max(2, round(MARGIN * height))
        if rows + margin > height or columns + margin > width:
            return pixels
        tops, lefts = (height - margin - rows, margin), (width - margin - columns, margin)
        corners = [(left, top, left + columns, top + rows) for top in tops for left in lefts]
        if _overlap(corners[self._corner], self._face):
            free = [number for number, box in enumerate(corners) if not _overlap(box, self._face)]
            self._corner = free[0] if free else 0
        left, top, right, bottom = corners[self._corner]
        out = pixels.copy()
        place = out[top:bottom, left:right]
        place[:] = np.rint(place + self.style.opacity * (self._label - place)).astype(np.uint8)
        return out


def changed(before: Pixels, after: Pixels) -> Box | None:
    """The box around what differs between two pictures of one size, to a few pixels; None where nothing does."""
    if before is after:
        return None
    differs = (before[::_STEP, ::_STEP] != after[::_STEP, ::_STEP]).any(2)
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    if not rows.size:
        return None
    top, bottom, left, right = (int(value) * _STEP for value in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    return left, top, right, bottom


def _grown(box: Box | None, size: tuple[int, int]) -> Box | None:
    if box is None:
        return None
    left, top, right, bottom = box
    across, down = round(AROUND * (right - left)), round(AROUND * (bottom - top))
    return max(0, left - across), max(0, top - down), min(size[0], right + across), min(size[1], bottom + down)


def _overlap(one: Box, other: Box | None) -> bool:
    if other is None:
        return False
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _drawn(style: MarkStyle, height: int) -> npt.NDArray[np.float32]:
    """(h, w, 1) in 0..255: white letters on black."""
    scale = max(_SMALLEST, style.size * height / _FONT_HEIGHT)
    thickness = max(1, round(style.size / 0.0275 * height / 480))
    (width, rise), base = cv2.getTextSize(style.text, _FONT, scale, thickness)
    pad = max(3, rise // 3)
    label = np.zeros((rise + base + 2 * pad, width + 2 * pad), np.uint8)
    cv2.putText(label, style.text, (pad, pad + rise), _FONT, scale, 255, thickness, cv2.LINE_AA)
    return label[:, :, None].astype(np.float32)
