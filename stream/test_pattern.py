"""A source that needs no camera: a drawn face that moves and smiles, with the frame's number and time burnt in."""

import math
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from .drawn_face import draw_face
from .errors import SourceError
from .frame import Frame, Pixels
from .live_source import Pacer

NUMBER_BITS: Final = 32
TURN_SECONDS: Final = 4.0
"""Once to the left, to the right, and back."""


class TestPattern:
    """A LiveSource that never ends.

    size: (width, height), even, at least 160x120. rate: frames a second. frames: where it ends after all.
    clock, sleep: see `Pacer`.
    """

    __test__ = False  # for pytest: no test, whatever its name says
    name = "test pattern"
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        size: tuple[int, int] = (640, 360),
        rate: float = 25.0,
        *,
        frames: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if size[0] < 160 or size[1] < 120 or size[0] % 2 or size[1] % 2:
            raise SourceError(
                f"a test pattern of {size[0]}x{size[1]} is not drawn; give even numbers of at least 160x120 to --size"
            )
        if not 1 <= rate <= 240:
            raise SourceError(f"a test pattern of {rate:g} frames a second is not drawn; give --fps from 1 to 240")
        self.size = size
        self.rate = rate
        self._interval = 1 / Fraction(rate).limit_denominator(1001)
        self._frames = frames
        self._pacer = Pacer(clock, sleep)
        self._next = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next picture at its time; pts count frames."""
        number = self._next
        if self._closed or number == self._frames:
            return None
        self._next += 1
        seconds = float(number * self._interval)
        self._pacer.wait(seconds)
        return Frame(draw_pattern(self.size, number, seconds), number, self._interval)

    def close(self) -> None:
        """The next read gives None."""
        self._closed = True


def draw_pattern(size: tuple[int, int], number: int, seconds: float) -> Pixels:
    """(H, W, 3) uint8 RGB of one moment. size: (width, height)."""
    width, height = size
    turn = math.sin(2 * math.pi * seconds / TURN_SECONDS)
    pixels = draw_face(
        (height, width),
        x=width / 2 + 0.12 * height * turn,
        y=0.54 * height,
        width=0.4 * height,
        angle=6 * turn,
        smile=0.5 + 0.5 * math.sin(2 * math.pi * seconds / 3),
    )
    text = f"{number:06d}  {int(seconds // 60):02d}:{seconds % 60:06.3f}"
    scale = height / 720
    cv2.putText(
        pixels, text, (round(0.02 * width), height - round(0.025 * height)), cv2.FONT_HERSHEY_SIMPLEX,
        1.1 * scale, (255, 255, 255), max(1, round(2.4 * scale)), cv2.LINE_AA,
    )  # fmt: skip
    stamp_number(pixels, number)
    return pixels


def stamp_number(pixels: Pixels, number: int) -> None:
    """Draw a number into the top rows: 32 black and white blocks, the highest bit left, legible after a codec."""
    blocks = [255 * (number >> bit & 1) for bit in reversed(range(NUMBER_BITS))]
    pixels[: _stamp_height(pixels)] = 0
    row = cv2.resize(np.array([blocks], np.uint8), (_stamp_width(pixels), 1), interpolation=cv2.INTER_NEAREST)
    pixels[: _stamp_height(pixels), : row.shape[1]] = row[..., None]


def read_number(pixels: Pixels) -> int:
    """The number that `stamp_number` drew."""
    block = _stamp_width(pixels) // NUMBER_BITS
    strip = pixels[_stamp_height(pixels) // 2, block // 2 : _stamp_width(pixels) : block, 1]
    return int("".join("1" if level > 127 else "0" for level in strip), 2)


def _stamp_height(pixels: Pixels) -> int:
    height: int = pixels.shape[0]
    return max(4, height // 45)


def _stamp_width(pixels: Pixels) -> int:
    width: int = pixels.shape[1]
    return width // NUMBER_BITS * NUMBER_BITS
