"""What a browser's guest saw, without a browser."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench import browser
from dynstream.pipelines.research.bench.browser import make_numbers, write_camera


def test_a_camera_plays_a_clip_in_the_size_that_is_asked_for(tmp_path: Path) -> None:
    clip, camera = tmp_path / "clip.mkv", tmp_path / "camera.y4m"
    with av.open(str(clip), "w") as target:
        stream = target.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(0, 200, 10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    write_camera(clip, camera, (32, 24))
    assert camera.read_bytes().startswith(b"YUV4MPEG2 W32 H24 F10:1")
    with av.open(str(camera)) as source:
        levels = [float(frame.to_ndarray(format="rgb24").mean()) for frame in source.decode(video=0)]
    assert np.allclose(levels, [*range(0, 200, 10), *range(190, -1, -10)], atol=2)


def test_numbers_are_those_of_the_pictures_that_were_shown() -> None:
    seen = [(1000.0 + 100 * i, None if i == 3 else 50.0 + i) for i in range(11)]
    seen.append((2500.0, 200.0))
    numbers = make_numbers(seen, 30, 2.0)
    assert (numbers.sent, numbers.received, numbers.legible) == (30, 12, 11)
    assert numbers.frames_per_second == 6
    assert numbers.longest_freeze == pytest.approx(500)
    assert numbers.age_most == 200
    assert numbers.age_p50 == pytest.approx(56)
    assert len(numbers.ages_over_time) == 5
    with pytest.raises(PipelineError, match="no picture in 2 s"):
        make_numbers([], 30, 2.0)


def test_a_machine_without_a_browser_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(PipelineError, match="chromium"), browser.chromium(tmp_path / "camera.y4m"):
        pass
