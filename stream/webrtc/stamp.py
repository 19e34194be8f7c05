"""The frame stamp of docs/protocol.md: 24 bits and a check in the top rows, still readable after video coding."""

from typing import Final

from ..frame import Pixels
from ..test_pattern import read_number, stamp_number

MODULUS: Final = 1 << 24


def write_stamp(pixels: Pixels, number: int) -> None:
    """Draw `number` modulo 2^24 into a picture (H, W, 3)."""
    number %= MODULUS
    stamp_number(pixels, number << 8 | _check(number))


def read_stamp(pixels: Pixels) -> int | None:
    """The number in a picture (H, W, 3); None without a stamp."""
    if pixels.shape[1] < 32:
        return None
    word = read_number(pixels)
    number, check = word >> 8, word & 0xFF
    return number if _check(number) == check else None


def copy_stamp(source: Pixels, target: Pixels) -> None:
    """Put the source's stamp rows into a result of the same size."""
    rows = max(4, source.shape[0] // 45)
    target[:rows] = source[:rows]


def _check(number: int) -> int:
    return ((number >> 16) * 3 + (number >> 8 & 255) * 5 + (number & 255) * 7 + 0xA5) % 256
