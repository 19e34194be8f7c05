"""What a user calls a source, and what is opened for it."""

from pathlib import Path

import av
import pytest

from dynstream.stream.camera import Camera
from dynstream.stream.camera_devices import CameraDevice
from dynstream.stream.errors import SourceError
from dynstream.stream.live_source import LiveSource
from dynstream.stream.loop import FileLoop
from dynstream.stream.open_live import open_live
from dynstream.stream.reconnect import Reconnecting
from dynstream.stream.test_pattern import TestPattern

from .fake_camera import FakeInput
from .live import ManualTime
from .media import make

DESK, LID = CameraDevice("/dev/video0", "Desk Cam"), CameraDevice("/dev/video2", "Lid Cam")


def opened(wanted: str | None, *cameras: CameraDevice, fake: FakeInput | None = None, **options: object) -> LiveSource:
    return open_live(
        wanted,
        platform="linux",
        cameras=lambda _platform: list(cameras),
        open_input=fake or FakeInput([1]),
        **options,  # type: ignore[arg-type]
    )


def test_names_lead_to_sources(tmp_path: Path) -> None:
    pattern = opened("test", size=(320, 180), rate=10)
    assert isinstance(pattern, TestPattern)
    assert (pattern.size, pattern.rate) == ((320, 180), 10)
    assert isinstance(opened(str(make(tmp_path / "clip.mp4"))), FileLoop)
    camera = opened(None, DESK, LID)
    assert isinstance(camera, Camera)
    assert camera.device == DESK
    chosen = opened("lid", DESK, LID, reconnect=5)
    assert isinstance(chosen, Reconnecting)
    assert chosen.name == str(LID)


def test_a_device_file_is_opened_though_nothing_could_be_listed() -> None:
    assert opened("/dev/video7").name == "/dev/video7"


@pytest.mark.parametrize("wanted", ["clip.mp4", "nowhere/clip.mkv"])
def test_a_file_that_is_missing_is_not_looked_for_among_cameras(wanted: str) -> None:
    with pytest.raises(SourceError, match="neither a file nor a camera"):
        opened(wanted, DESK)


def test_a_folder_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        opened(str(tmp_path))


def test_no_camera_at_all_is_an_error() -> None:
    with pytest.raises(SourceError, match="no camera was found"):
        opened(None)


def test_a_camera_that_comes_back_under_another_number_is_found_by_its_name() -> None:
    time = ManualTime()
    present = [[DESK], [LID], [LID, CameraDevice("/dev/video4", "Desk Cam")]]
    fake = FakeInput([1, OSError(19, "No such device")])
    # LID is not opened in its place.
    fake.refuse = lambda _options: av.error.FileNotFoundError(2, "No such file") if len(fake.asked) in (2, 3) else None
    live = open_live(
        None,
        reconnect=10,
        platform="linux",
        cameras=lambda _platform: present.pop(0) if len(present) > 1 else present[0],
        open_input=fake,
        clock=time.clock,
        sleep=time.sleep,
    )
    assert live.read() is not None
    assert live.read() is not None
    assert live.name == "Desk Cam (/dev/video4)"
    assert {call["path"] for call in fake.asked} == {"/dev/video0", "/dev/video4"}
