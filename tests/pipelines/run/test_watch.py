"""Progress: what it says, and how often."""

import pytest

from dynstream.pipelines.run.watch import Progress, telling


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(frames=120, total=472, fps=6.43), "120/472 frames, 6.4 fps"),
        (Progress(frames=120, fps=6.43), "120 frames, 6.4 fps"),
        (Progress(frames=12, total=120, fps=0.5, stage="refine"), "refine: 12/120 steps"),
        (Progress(frames=12, total=120, fps=40, stage="fit"), "fit: 12/120 frames, 40.0 fps"),
    ],
)
def test_its_text(progress: Progress, text: str) -> None:
    assert str(progress) == text


def test_every_half_second_and_at_the_end() -> None:
    now = [10.0]
    told: list[Progress] = []
    with telling(told.append, lambda: now[0])("edit", 9, 0.04) as count:
        for frames in range(1, 9):
            now[0] += 0.2
            count(frames)
    assert [(one.frames, one.total, round(one.fps, 3)) for one in told] == [(3, 9, 5.0), (6, 9, 5.0), (8, 9, 5.0)]


def test_what_fails_has_no_end() -> None:
    told: list[Progress] = []
    with pytest.raises(ZeroDivisionError), telling(told.append, lambda: 0.0)("edit", None, 0.04):
        _ = 1 / 0
    assert told == []
