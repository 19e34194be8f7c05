"""A contact sheet: source and result side by side, at times spread evenly over the video."""

import math
from collections import deque
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...stream.atomic import AtomicFile
from ...stream.errors import SinkError
from ...stream.frame import Frame, Pixels
from ...stream.reader import VideoReader
from ..common.annotate import clock, encode_png, fit, write_words
from .transcode import Seal

GAP = 8
HEADING = 30
PICTURE_WIDTH, PICTURE_HEIGHT = 560, 420
BACKGROUND = 24

Pair = tuple[Frame, Frame]


def write_contact_sheet(
    source: Path,
    result: Path,
    target: Path,
    *,
    rows: int = 6,
    labels: tuple[str, str] = ("source", "edited"),
    overwrite: bool = False,
    seal: Seal | None = None,
) -> list[float]:
    """Write the PNG and return the times shown, in seconds. seal: signs it. Raises SourceError, SinkError."""
    file = AtomicFile(target, overwrite=overwrite)
    try:
        pairs = pick_pairs(source, result, rows)
        try:
            file.path.write_bytes(encode_png(sheet(pairs, labels)))
        except OSError as error:
            raise SinkError(f"cannot write {target}: {error.strerror}; free some space or name another file") from error
        if seal is not None:
            seal(file.path)
        file.commit()
    finally:
        file.discard()
    return [before.seconds for before, _ in pairs]


def pick_pairs(source: Path, result: Path, count: int) -> list[Pair]:
    """Up to `count` frames of the source at evenly spread times, each with the frame that the result shows then.

    Both are decoded once and in step; only the chosen frames stay in memory. Raises ValueError if `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"expected one row or more, got {count}")
    start, length = _extent(source)
    wanted = deque(start + length * (2 * index + 1) / (2 * count) for index in range(count))
    pairs: list[Pair] = []
    last: Pair | None = None
    with VideoReader(source) as sources, VideoReader(result) as results:
        edited = iter(results)
        shown = next(edited, None)
        after = next(edited, None)
        for frame in sources:
            time = frame.pts * frame.time_base
            _take(wanted, time, last, pairs)
            if not wanted:
                return pairs
            while after is not None and after.pts * after.time_base <= time:
                shown, after = after, next(edited, None)
            assert shown is not None  # a reader gives at least one frame
            last = (frame, shown)
    _take(wanted, None, last, pairs)
    return pairs


def _take(wanted: "deque[Fraction]", until: Fraction | None, shown: Pair | None, pairs: list[Pair]) -> None:
    """Remove the times before `until` (all if None) from `wanted`, and add the pair shown then to `pairs`, once."""
    hit = False
    while wanted and (until is None or wanted[0] < until):
        wanted.popleft()
        hit = True
    if hit and shown is not None:
        pairs.append(shown)


def _extent(source: Path) -> tuple[Fraction, Fraction]:
    """(time of the first frame, length) in seconds; frames are counted if the file has no duration."""
    with VideoReader(source) as reader:
        first = next(iter(reader))
        start = first.pts * first.time_base
        if reader.duration is not None:
            return start, reader.duration
        last = first
        for frame in reader:
            last = frame
        return start, last.pts * last.time_base - start + 1 / reader.rate


def sheet(pairs: list[Pair], labels: tuple[str, str]) -> Pixels:
    """(H, W, 3) uint8: a heading, then a row per pair with the time written on both pictures."""
    rows = [[fit(frame.pixels, PICTURE_WIDTH, PICTURE_HEIGHT) for frame in pair] for pair in pairs]
    width = max(picture.shape[1] for row in rows for picture in row)
    height = max(picture.shape[0] for row in rows for picture in row)
    columns = 2 if height > width and len(rows) > 2 else 1  # upright video: two pairs side by side fill a screen better
    lines = math.ceil(len(rows) / columns)
    across = 2 * width + GAP
    canvas = np.full(
        (HEADING + lines * (height + GAP), columns * across + (columns - 1) * 3 * GAP + 2 * GAP, 3),
        BACKGROUND,
        dtype=np.uint8,
    )
    for column in range(columns):
        for side, label in enumerate(labels):
            write_words(canvas, label, GAP + column * (across + 3 * GAP) + side * (width + GAP) + 4, HEADING - 10)
    for index, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
        line, column = index % lines, index // lines
        for side, (picture, frame) in enumerate(zip(row, pair, strict=True)):
            top = HEADING + line * (height + GAP)
            left = GAP + column * (across + 3 * GAP) + side * (width + GAP)
            stamped = picture.copy()
            write_words(stamped, clock(frame.seconds), 8, stamped.shape[0] - 10)
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = stamped
    return canvas
