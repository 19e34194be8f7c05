"""Which frames belong together, and what is said where they do not."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.evaluation.frame_pairs import match, nearest, read, scan

from ....stream.media import Clip, make


def clip(path: Path, *, frames: int = 6, rate: int = 25, size: tuple[int, int] = (64, 48), skip: int = 0) -> Path:
    step = 12800 // rate
    return make(
        path, Clip(pts=[i * step for i in range(frames) if i != skip or not skip], rate=rate, size=size, audio=None)
    )


def test_equal_videos_match_frame_by_frame(tmp_path: Path) -> None:
    one, other = scan(clip(tmp_path / "a.mp4")), scan(clip(tmp_path / "b.mkv"))
    videos = {"source": one, "result": other}
    matching = match("source", videos, align=False)
    steps = list(read("source", videos, matching))
    assert [step.number for step in steps] == list(range(6))
    assert all(step.pixels["result"].shape == (48, 64, 3) for step in steps)
    assert np.array_equal(steps[3].pixels["source"], steps[3].frame.pixels)


def test_unequal_lengths_are_refused(tmp_path: Path) -> None:
    videos = {"source": scan(clip(tmp_path / "a.mp4")), "result": scan(clip(tmp_path / "b.mp4", frames=5))}
    with pytest.raises(PipelineError, match=r"6 frames.* 5; pass --align"):
        match("source", videos, align=False)


def test_unequal_sizes_are_refused(tmp_path: Path) -> None:
    videos = {"source": scan(clip(tmp_path / "a.mp4")), "result": scan(clip(tmp_path / "b.mp4", size=(32, 24)))}
    with pytest.raises(PipelineError, match=r"64x48.*32x24; pass --align"):
        match("source", videos, align=False)


def test_unequal_rates_are_refused(tmp_path: Path) -> None:
    videos = {"source": scan(clip(tmp_path / "a.mp4")), "result": scan(clip(tmp_path / "b.mp4", rate=50))}
    with pytest.raises(PipelineError, match=r"frame 2 of .*25 frames a second.*50.*--align"):
        match("source", videos, align=False)


def test_align_pairs_frames_by_time_and_says_what_is_left(tmp_path: Path) -> None:
    videos = {
        "source": scan(clip(tmp_path / "a.mp4", frames=6)),
        "result": scan(clip(tmp_path / "b.mp4", frames=12, rate=50, size=(32, 24))),
    }
    matching = match("source", videos, align=True)
    assert matching.indices["source"].tolist() == [0, 1, 2, 3, 4, 5]
    assert matching.indices["result"].tolist() == [0, 2, 4, 6, 8, 10]
    assert any("6 of 12 frames have no partner" in note for note in matching.notes)
    assert any("scaled from 32x24 to 64x48" in note for note in matching.notes)
    steps = list(read("source", videos, matching))
    assert len(steps) == 6
    assert steps[2].pixels["result"].shape == (48, 64, 3)


def test_align_leaves_out_a_lost_frame(tmp_path: Path) -> None:
    videos = {"source": scan(clip(tmp_path / "a.mp4")), "result": scan(clip(tmp_path / "b.mp4", skip=3))}
    matching = match("source", videos, align=True)
    assert matching.indices["source"].tolist() == [0, 1, 2, 4, 5]
    assert matching.indices["result"].tolist() == [0, 1, 2, 3, 4]


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    late = make(tmp_path / "late.mkv", Clip(pts=[25600 + 512 * i for i in range(4)], audio=None))
    assert scan(late).seconds == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-3)


def test_nearest() -> None:
    found = nearest(np.array([0.0, 0.4, 0.5, 9.0]), np.array([0.0, 1.0, 2.0]))
    assert found.tolist() == [0, 0, 0, 2]
