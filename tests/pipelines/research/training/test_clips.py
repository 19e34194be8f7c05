"""Clips as aligned faces: found once, cut into stretches with a face, drawn ones with their codes."""

from pathlib import Path

import numpy as np
import pytest

from dynstream.pipelines.common.errors import TrainingError
from dynstream.pipelines.common.flow import DisFlow
from dynstream.pipelines.research.training import clips as clips_module
from dynstream.pipelines.research.training.clips import clip_files, read_clips
from dynstream.pipelines.tracking.tracker import Tracker

from ...fakes import OvalBackend, scene, write_clip


class Counting(OvalBackend):
    def __init__(self) -> None:
        self.located = 0

    def locate(self, pixels, region):  # type: ignore[no-untyped-def]
        self.located += 1
        return super().locate(pixels, region)


def write(folder: Path, name: str = "a.mp4", gap: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    pictures = [scene((90 + i, 60)) for i in range(10)] + [scene(None)] * gap + [scene((100 + i, 60)) for i in range(9)]
    return write_clip(folder / name, pictures)


def test_a_clip_is_followed_once(tmp_path: Path) -> None:
    path, backend, told = write(tmp_path / "data"), Counting(), []
    first = read_clips([path], Tracker(backend), DisFlow(), tmp_path / "kept", progress=told.append)
    located = backend.located
    again = read_clips([path], Tracker(backend), DisFlow(), tmp_path / "kept")
    assert backend.located == located > 0
    assert told[0] == "a.mp4: looking for its face"
    (one,), (other,) = first, again
    assert len(one) == 19
    assert one.faces.shape == (19, 256, 256, 3)
    assert one.faces.dtype == np.uint8
    assert one.points.shape == (19, 478, 2)
    assert one.codes is None
    assert one.flows.back.shape == (18, 128, 128, 2)
    np.testing.assert_allclose(np.diff(one.seconds), 1 / 25)
    assert np.array_equal(one.faces, other.faces)
    assert np.array_equal(one.flows.ahead, other.flows.ahead)
    assert one.faces[5][110:150, 100:150].mean((0, 1)) == pytest.approx([225, 180, 70], abs=12)
    assert 100 < one.points[:, :, 0].mean() < 156


def test_a_gap_makes_two_stretches(tmp_path: Path) -> None:
    path = write(tmp_path / "data", gap=9)
    found = read_clips([path], Tracker(OvalBackend()), DisFlow(), tmp_path / "kept")
    assert [one.name for one in found] == ["a.mp4[0:10]", "a.mp4[19:28]"]
    assert [len(one) for one in found] == [10, 9]


def test_what_gives_nothing_is_told(tmp_path: Path) -> None:
    path, told = write(tmp_path / "data"), {}
    (tmp_path / "data" / "broken.mp4").write_bytes(b"no clip")
    write_clip(tmp_path / "data" / "empty.mp4", [scene(None)] * 10)
    files = clip_files([tmp_path / "data"])
    assert path in files
    found = read_clips(
        files, Tracker(OvalBackend()), DisFlow(), tmp_path / "kept", skipped=lambda p, why: told.update({p.name: why})
    )
    assert len(found) == 1
    assert told["broken.mp4"].startswith("cannot be read: ")
    assert told["empty.mp4"] == "has no stretch of 8 frames with a face"
    with pytest.raises(TrainingError, match="none of 1 clips shows a face for 8 frames"):
        read_clips([tmp_path / "data" / "empty.mp4"], Tracker(OvalBackend()), DisFlow(), tmp_path / "kept")


def test_codes_of_a_drawn_clip_come_with_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "data", gap=9)
    truth = np.arange(28, dtype=np.float32)[:, None, None] * np.ones((1, 18, 512), np.float32)
    monkeypatch.setattr(clips_module, "_drawn_codes", lambda _path: truth)
    _, second = read_clips([path], Tracker(OvalBackend()), DisFlow(), tmp_path / "kept")
    assert second.codes is not None
    assert second.codes[:, 0, 0].tolist() == list(range(19, 28))


def test_which_files_are_clips(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.edited.mp4", "b.MOV", "c.jpg", "held-out.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in clip_files([tmp_path], ["held*"])] == ["a.mp4", "b.MOV"]
