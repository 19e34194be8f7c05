"""The mark is seen, lies outside of what was edited, and does not blink."""

from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.errors import OptionError
from dynstream.pipelines.compositing.mark import Marker, MarkStyle, changed, read_mark
from dynstream.stream.frame import Frame, Pixels

HEIGHT, WIDTH = 360, 640


def frame(pts: int, edit: tuple[slice, slice] | None = None) -> Frame:
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if edit is not None:
        pixels[edit] += 7
    return Frame(pixels, pts, Fraction(1, 25))


def where(pixels: Pixels, plain: Pixels) -> tuple[int, int]:
    """(column, row) of the middle of what differs."""
    rows, columns = np.nonzero((pixels != plain).any(2))
    return int(columns.mean()), int(rows.mean())


@pytest.mark.parametrize(
    ("edit", "corner"),
    [
        ((slice(100, 200), slice(200, 300)), (1, 1)),
        ((slice(260, 360), slice(440, 600)), (0, 1)),
        ((slice(260, 360), slice(100, 540)), (1, 0)),
        ((slice(200, 300), slice(500, 640)), (0, 1)),  # its hair and chin reach lower than what was changed
        ((slice(0, 360), slice(0, 640)), (1, 1)),  # nowhere is free
    ],
)
def test_the_mark_lies_outside_of_the_face(edit: tuple[slice, slice], corner: tuple[int, int]) -> None:
    edited = frame(0, edit)
    column, row = where(Marker()(frame(0), edited, edited=True), edited.pixels)
    assert (column > WIDTH / 2, row > HEIGHT / 2) == (bool(corner[0]), bool(corner[1]))


def test_it_keeps_its_corner_while_that_is_free() -> None:
    marker = Marker()
    for pts, edit in enumerate([(slice(260, 360), slice(440, 600)), (slice(100, 200), slice(200, 300))]):
        edited = frame(pts, edit)
        assert where(marker(frame(pts), edited, edited=True), edited.pixels)[0] < WIDTH / 2


def test_it_stays_for_a_second_after_the_last_edit() -> None:
    marker = Marker()
    assert marker(frame(0), frame(0), edited=False) is frame(0).pixels or (frame(0).pixels == 90).all()
    marker(frame(1), frame(1, (slice(100, 200), slice(200, 300))), edited=True)
    marked = [bool((marker(frame(pts), frame(pts), edited=False) != 90).any()) for pts in (2, 26, 27)]
    assert marked == [True, True, False]


def test_text_size_and_opacity() -> None:
    plain = frame(0).pixels

    def box(style: MarkStyle) -> tuple[int, int]:
        rows, columns = np.nonzero((Marker(style).draw(plain) != plain).any(2))
        return int(np.ptp(columns)), int(np.ptp(rows))

    assert box(MarkStyle("EDITED BY ANN"))[0] > 1.5 * box(MarkStyle())[0]
    assert box(MarkStyle(size=0.1))[1] > 2 * box(MarkStyle(size=0.05))[1] * 0.9
    strong, weak = (Marker(MarkStyle(opacity=opacity)).draw(plain).astype(int) for opacity in (1, 0.2))
    assert strong.min() == 0
    assert strong.max() == 255
    assert abs(weak - plain).max() < 0.25 * 255


def test_options() -> None:
    assert read_mark("none", None, None, None) is None
    assert read_mark("corner", None, None, None) == MarkStyle()
    assert read_mark("corner", "FILM", 0.05, 1.0) == MarkStyle("FILM", 0.05, 1.0)
    for wrong, said in [
        (("middle", None, None, None), "unknown mark 'middle'; expected one of corner, none"),
        (("corner", "édité", None, None), "ASCII"),
        (("none", " ", None, None), "ASCII"),
        (("corner", "A" * 41, None, None), "1 to 40"),
        (("corner", None, 0.5, None), "from 0.01 to 0.2"),
        (("corner", None, None, float("nan")), "opacity from 0.1 to 1"),
    ]:
        with pytest.raises(OptionError, match=said):
            read_mark(*wrong)


def test_what_was_changed() -> None:
    before = frame(0).pixels
    assert changed(before, before) is None
    assert changed(before, before.copy()) is None
    assert changed(before, frame(0, (slice(40, 81), slice(100, 164))).pixels) == (100, 40, 164, 84)
