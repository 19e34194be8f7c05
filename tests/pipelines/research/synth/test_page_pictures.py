"""The pictures of the server's page: how before and after are put together, and that they stay small."""

from pathlib import Path

import numpy as np
from PIL import Image

from dynstream.models.directions.directions import load_directions
from dynstream.pipelines.research.synth.page_pictures import (
    CELL,
    COLUMNS,
    LOOKS,
    PAGE,
    loop,
    read_clip,
    sweep,
    write_clip,
)

DARK, BRIGHT = (np.full((32, 64, 3), level, np.uint8) for level in (40, 200))


def test_before_is_left_of_the_line_and_after_right_of_it() -> None:
    picture = sweep(DARK, BRIGHT, 0.25)
    assert (picture[:, :15] == 40).all()
    assert (picture[:, 15:17] == 255).all()
    assert (picture[:, 17:] == 200).all()


def test_a_loop_goes_there_and_back_and_can_be_written(tmp_path: Path) -> None:
    before, after = [DARK] * 8, [np.full((32, 64, 3), 100 + 10 * place, np.uint8) for place in range(8)]
    pictures = loop(before, [after, after])
    assert [int(picture[0, -1, 0]) for picture in pictures] == [*range(100, 180, 10), *range(170, 90, -10)]
    write_clip(tmp_path / "clip.mp4", pictures, 12)
    assert len(read_clip(tmp_path / "clip.mp4")) == 16


def test_looks_are_edits_that_are_shipped_within_their_range() -> None:
    directions = load_directions()
    for look in LOOKS:
        for name, strength in look.items():
            assert directions[name].low <= strength <= directions[name].high


def test_the_pages_pictures_are_small_and_of_the_size_that_the_page_expects() -> None:
    files = [PAGE / name for name in ("looks.webp", "intro.webp", "intro.mp4")]
    assert sum(path.stat().st_size for path in files) < 150_000
    with Image.open(PAGE / "looks.webp") as sheet:
        assert sheet.size == (COLUMNS * CELL, CELL * -(-len(LOOKS) // COLUMNS))
    clip = read_clip(PAGE / "intro.mp4")
    assert clip[0].shape == (360, 480, 3)
