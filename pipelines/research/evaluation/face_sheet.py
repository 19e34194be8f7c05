"""A sheet of small pictures to look at: a row for each face, a column for each way of drawing it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ....stream.frame import Pixels
from ...common.annotate import fit, write_words

if TYPE_CHECKING:
    from .inversion import SetResult

CELL: Final = 192
GAP: Final = 4
HEADING: Final = 28
BACKGROUND: Final = 24


def sheet(results: "Sequence[SetResult]") -> Pixels:
    """(H, W, 3) uint8: each set's faces under the names of its columns."""
    blocks = [_block(result) for result in results if result.shown]
    if not blocks:
        raise ValueError("no faces to show")
    width = max(block.shape[1] for block in blocks)
    padded = [np.pad(b, ((0, 0), (0, width - b.shape[1]), (0, 0)), constant_values=BACKGROUND) for b in blocks]
    return np.concatenate(padded)


def _block(result: "SetResult") -> Pixels:
    step = CELL + GAP
    size = (HEADING + len(result.shown) * step, len(result.labels) * step, 3)
    block = np.full(size, BACKGROUND, np.uint8)
    for column, label in enumerate(result.labels):
        write_words(
            block, f"{result.name}: {label}" if column == 0 else label, column * step + 4, HEADING - 9, height=9
        )
    for row, pictures in enumerate(result.shown):
        for column, picture in enumerate(pictures):
            top, left = HEADING + row * step, column * step
            block[top : top + CELL, left : left + CELL] = fit(picture, CELL, CELL)
    return block
