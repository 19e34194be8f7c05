"""Cameras: finding, choosing, opening, losing and finding again, with FFmpeg's input faked, and once with its own."""

import errno
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import pytest

from dynstream.stream import camera as camera_module
from dynstream.stream.camera import DAMAGED_PACKETS, SILENT_SECONDS, Camera
from dynstream.stream.camera_devices import (
    CameraDevice,
    CameraMode,
    find_camera,
    list_cameras,
    list_modes,
    nearest_mode,
    parse_modes,
)
from dynstream.stream.errors import SourceError
from dynstream.stream.live_source import LiveSource
from dynstream.stream.reconnect import Reconnecting
from dynstream.stream.test_pattern import TestPattern

from .fake_camera import Event, FakeInput
from .live import ManualTime

DEVICE = CameraDevice("/dev/video0", "Desk Cam")
V4L2_LOG = (
    "Raw       :     yuyv422 :           YUYV 4:2:2 : 640x480 320x240 1280x720\n"
    "Compressed:       mjpeg :          Motion-JPEG : 640x480 1280x720 1920x1080\n"
)
DSHOW_LOG = (
    "  pixel_format=yuyv422  min s=640x480 fps=15 max s=640x480 fps=30\n"
    "  pixel_format=yuyv422  min s=1280x720 fps=5 max s=1280x720 fps=10\n"
    "  vcodec=mjpeg  min s=1280x720 fps=15 max s=1280x720 fps=30.0003\n"
)
AVFOUNDATION_LOG = (
    "Selected video size (1x1) is not supported by the device.\nSupported modes:\n"
    "  640x480@[1.000000 30.000000]fps\n  1280x720@[15.000000 60.000000]fps\n"
)


@dataclass
class Listed:
    name: str
    description: str
    media_types: list[str] = field(default_factory=lambda: ["video"])


def camera(fake: FakeInput, time: ManualTime | None = None, **options: object) -> Camera:
    time = time or ManualTime()
    settings = {"platform": "linux", "open_input": fake, "clock": time.clock, "sleep": time.sleep, **options}
    return Camera(DEVICE, **settings)  # type: ignore[arg-type]


def gone(number: int = errno.ENODEV) -> OSError:
    return OSError(number, "No such device")


def test_cameras_are_listed_real_ones_first_and_without_microphones(tmp_path: Path) -> None:
    (tmp_path / "video0").mkdir()
    found = list_cameras(
        "linux",
        lambda format_name: [
            Listed("/dev/video0", "dynstream"),
            Listed("/dev/video2", "Desk Cam", []),
            Listed("hw:0", "Microphone", ["audio"]),
        ],
        tmp_path,
    )
    assert found == [CameraDevice("/dev/video2", "Desk Cam"), CameraDevice("/dev/video0", "dynstream", virtual=True)]
    windows = list_cameras("win32", lambda _: [Listed("@pnp_1", "Desk Cam"), Listed("x", "OBS Virtual Camera")])
    assert windows == [
        CameraDevice("video=@pnp_1", "Desk Cam"),
        CameraDevice("video=x", "OBS Virtual Camera", virtual=True),
    ]


def test_a_list_that_ffmpeg_cannot_make_is_empty() -> None:
    def fail(format_name: str) -> list[Listed]:
        raise ValueError(f"no such input format: {format_name!r}")

    assert list_cameras("linux", fail) == []


CAMERAS = [
    CameraDevice("/dev/video0", "Desk Cam"),
    CameraDevice("/dev/video2", "Lid Cam"),
    CameraDevice("/dev/video9", "Loopback", virtual=True),
]


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (None, "/dev/video0"), ("1", "/dev/video2"), ("/dev/video9", "/dev/video9"), ("lid", "/dev/video2"),
        ("Desk Cam", "/dev/video0"),
    ],
)  # fmt: skip
def test_a_camera_is_found_by_number_path_or_part_of_its_name(wanted: str | None, path: str) -> None:
    assert find_camera(wanted, CAMERAS).path == path


@pytest.mark.parametrize(
    ("wanted", "cameras", "said"),
    [
        (None, [], "no camera was found.*usermod -aG video.*dynstream webcam test"),
        (None, CAMERAS[2:], "no camera was found"),
        ("front", CAMERAS, "'front' is no camera of this machine; there are 0: Desk Cam .*1: Lid Cam"),
        ("cam", CAMERAS, "'cam' is the name of more than one camera"),
        ("7", CAMERAS, "'7' is no camera"),
        ("front", [], "there is no camera 'front'"),
    ],
)
def test_a_camera_that_is_not_there_is_an_error_that_says_what_is(
    wanted: str | None, cameras: list[CameraDevice], said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        find_camera(wanted, cameras, "linux")


@pytest.mark.parametrize(("system", "said"), [("darwin", "Privacy & Security > Camera"), ("win32", "desktop apps")])
def test_no_camera_says_what_to_do_on_each_system(system: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        find_camera(None, [], system)


def test_a_system_without_a_camera_format_is_named() -> None:
    with pytest.raises(SourceError, match=r"this system \(haiku\)"):
        Camera(DEVICE, platform="haiku")


def test_modes_are_read_from_what_ffmpeg_logs() -> None:
    assert parse_modes(V4L2_LOG) == [
        CameraMode(640, 480, pixel_format="yuyv422"),
        CameraMode(320, 240, pixel_format="yuyv422"),
        CameraMode(1280, 720, pixel_format="yuyv422"),
        CameraMode(640, 480, pixel_format="mjpeg", compressed=True),
        CameraMode(1280, 720, pixel_format="mjpeg", compressed=True),
        CameraMode(1920, 1080, pixel_format="mjpeg", compressed=True),
    ]
    assert parse_modes(DSHOW_LOG)[2] == CameraMode(1280, 720, 15.0, 30.0003, "mjpeg", True)
    assert parse_modes(AVFOUNDATION_LOG) == [CameraMode(640, 480, 1.0, 30.0), CameraMode(1280, 720, 15.0, 60.0)]
    assert parse_modes("Cannot open video device /dev/video0: Permission denied\n") == []


@pytest.mark.parametrize(
    ("log", "size", "rate", "expected"),
    [
        (V4L2_LOG, (640, 480), 30, (640, 480, "yuyv422")),
        (V4L2_LOG, (1280, 720), 30, (1280, 720, "mjpeg")),
        (V4L2_LOG, (640, 360), 30, (640, 480, "yuyv422")),
        (V4L2_LOG, (7680, 4320), 30, (1920, 1080, "mjpeg")),
        (DSHOW_LOG, (1280, 720), 30, (1280, 720, "mjpeg")),
        (DSHOW_LOG, (1280, 720), 10, (1280, 720, "yuyv422")),
        (AVFOUNDATION_LOG, (1280, 720), 30, (1280, 720, "")),
    ],
)
def test_the_nearest_mode_is_chosen(log: str, size: tuple[int, int], rate: float, expected: object) -> None:
    mode = nearest_mode(parse_modes(log), size, rate)
    assert mode is not None
    assert (mode.width, mode.height, mode.pixel_format) == expected
    assert nearest_mode([], size, rate) is None


def test_listing_modes_leaves_ffmpegs_logging_as_it_was() -> None:
    before = av.logging.get_level()
    assert list_modes(CameraDevice("/nowhere/video0", "x"), "v4l2", FakeInput()) == []
    assert av.logging.get_level() == before


def test_pictures_come_with_the_cameras_own_times_from_zero() -> None:
    live = camera(FakeInput([5000, 5033, 5033, 5100]), size=(640, 480))
    frames = [live.read() for _ in range(4)]
    assert [frame and frame.pts for frame in frames] == [0, 33_000, 33_001, 100_000]
    assert [frame and int(frame.pixels[0, 0, 0]) for frame in frames] == [n % 256 for n in (5000, 5033, 5033, 5100)]
    assert live.notes == ()
    assert (live.size, live.rate, live.name) == ((640, 480), 30.0, "Desk Cam (/dev/video0)")
    live.close()
    assert live.read() is None


def test_what_the_camera_does_not_offer_is_replaced_by_the_nearest_and_said() -> None:
    live = camera(FakeInput([1], (800, 600), Fraction(15)), size=(640, 360), rate=30)
    assert live.size == (800, 600)
    assert live.notes == (
        "Desk Cam does not offer 640x360; taken: 800x600",
        "Desk Cam does not offer 30 frames a second; taken: 15",
    )


def test_a_known_mode_is_asked_for_with_its_format_and_a_rate_in_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_module, "list_modes", lambda *_: parse_modes(DSHOW_LOG))
    fake = FakeInput([1], (1280, 720))
    camera(fake, size=(1280, 720), rate=60, platform="win32")
    assert fake.asked == [
        {"path": "/dev/video0", "format": "dshow", "video_size": "1280x720", "framerate": "30.0003", "vcodec": "mjpeg"}
    ]


def test_a_camera_that_refuses_the_wish_is_opened_as_it_comes() -> None:
    fake = FakeInput([1], refuse=lambda options: OSError(errno.EIO, "Input/output error") if options else None)
    live = camera(fake, size=(1234, 567))
    assert len(fake.asked) == 2
    assert "does not offer 1234x567" in live.notes[0]


@pytest.mark.parametrize(
    ("number", "platform", "said"),
    [
        (errno.ENOENT, "linux", "dynstream webcam --list"),
        (errno.EACCES, "linux", "usermod -aG video"),
        (errno.EPERM, "darwin", "Privacy & Security"),
        (errno.EBUSY, "linux", "close the program that uses it"),
        (errno.EIO, "win32", "close the program that uses it"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_why_and_what_to_do(number: int, platform: str, said: str) -> None:
    fake = FakeInput(refuse=lambda _: OSError(number, "because"))
    with pytest.raises(SourceError, match=rf"Desk Cam .* cannot be opened \(because\): .*{said}"):
        camera(fake, platform=platform)


def test_a_camera_without_a_single_picture_is_closed_and_told() -> None:
    fake = FakeInput([])
    with pytest.raises(SourceError, match="ended before the first picture"):
        camera(fake)
    assert fake.opened[0].closed == 1


def test_an_absurd_wish_is_refused() -> None:
    with pytest.raises(SourceError, match="--size"):
        camera(FakeInput([1]), size=(0, 480))


def test_an_unplugged_camera_is_an_error_once_and_stays_one() -> None:
    live = camera(FakeInput([0, 33, gone()]))
    assert live.read() is not None
    assert live.read() is not None
    with pytest.raises(SourceError, match=r"was lost \(No such device\): was it unplugged.*--reconnect"):
        live.read()
    with pytest.raises(SourceError, match="was lost"):
        live.read()


def test_a_damaged_picture_is_skipped_and_too_many_are_the_end() -> None:
    damaged: Event = av.InvalidDataError(1, "Invalid data found")
    live = camera(FakeInput([0, damaged, damaged, 99]))
    assert live.read() is not None
    frame = live.read()
    assert frame is not None
    assert frame.pts == 99_000
    with pytest.raises(SourceError, match="cannot be decoded"):
        camera(FakeInput([damaged] * DAMAGED_PACKETS)).read()


def test_a_camera_with_nothing_yet_is_waited_for_but_not_for_ever() -> None:
    time = ManualTime()
    patient = camera(FakeInput([0, *[BlockingIOError(errno.EAGAIN, "again")] * 3, 40]), time)
    patient.read()
    frame = patient.read()
    assert frame is not None
    assert len(time.slept) == 3
    silent = camera(FakeInput([0, *[BlockingIOError(errno.EAGAIN, "again")] * 5000]), time)
    silent.read()
    with pytest.raises(SourceError, match=f"no picture for {SILENT_SECONDS:g} s"):
        silent.read()


def test_ffmpegs_own_input_is_read() -> None:
    def open_input(_path: str, **_options: object) -> object:
        return av.open("testsrc=size=320x240:rate=15", format="lavfi")

    live = Camera(DEVICE, (320, 240), 15, platform="linux", open_input=open_input)  # type: ignore[arg-type]
    frames = [live.read() for _ in range(3)]
    assert [frame and frame.pts for frame in frames] == [0, 66_667, 133_333]
    assert live.notes == ()
    live.close()


class Losing:
    """Opens test patterns that are lost after some frames; `fails` openings in between find nothing."""

    def __init__(self, time: ManualTime, frames: list[int], fails: int) -> None:
        self.time, self.frames, self.fails = time, frames, fails
        self.opened: list[TestPattern] = []

    def __call__(self) -> LiveSource:
        if self.opened and self.fails:
            self.fails -= 1
            raise SourceError("not there")
        pattern = TestPattern((160, 120), 25, frames=self.frames.pop(0), clock=self.time.clock, sleep=self.time.sleep)
        give = pattern.read

        def read() -> object:
            frame = give()
            if frame is None:
                raise SourceError("camera was lost")
            return frame

        pattern.read = read  # type: ignore[method-assign, assignment]
        self.opened.append(pattern)
        return pattern


def reconnecting(
    losing: Losing, seconds: float, said: list[str], sleep: Callable[[float], bool | None] | None = None
) -> Reconnecting:
    return Reconnecting(
        losing,
        seconds,
        lost=said.append,
        found=lambda: said.append("found"),
        clock=losing.time.clock,
        sleep=sleep or losing.time.sleep,
    )


def test_a_source_that_comes_back_goes_on_with_growing_times_over_the_gap() -> None:
    time, said = ManualTime(), list[str]()
    live = reconnecting(Losing(time, [3, 3], fails=4), 10, said)
    frames = [live.read() for _ in range(6)]
    assert [round(frame.seconds, 2) for frame in frames if frame] == [0, 0.04, 0.08, 2.56, 2.6, 2.64]
    assert said == ["camera was lost", "found"]


def test_a_source_that_stays_away_is_an_error_after_its_time() -> None:
    time, said = ManualTime(), list[str]()
    live = reconnecting(Losing(time, [1, 1], fails=10**6), 10, said)
    live.read()
    before = time.now
    with pytest.raises(SourceError, match="camera was lost"):
        live.read()
    assert time.now - before == pytest.approx(10)


def test_without_reconnection_a_lost_source_is_an_error_at_once() -> None:
    time, said = ManualTime(), list[str]()
    live = reconnecting(Losing(time, [1, 1], fails=0), 0, said)
    live.read()
    with pytest.raises(SourceError, match="camera was lost"):
        live.read()
    assert said == []


def test_waiting_for_a_source_ends_when_it_is_told_to() -> None:
    time, said = ManualTime(), list[str]()
    live = reconnecting(Losing(time, [1, 1], fails=10**6), 10**9, said, sleep=lambda _seconds: True)
    live.read()
    assert live.read() is None
    assert live.read() is None


def test_a_source_that_is_missing_from_the_start_is_an_error_at_once() -> None:
    def missing() -> LiveSource:
        raise SourceError("not there")

    with pytest.raises(SourceError, match="not there"):
        Reconnecting(missing, 100)


def test_a_mode_says_nothing_of_rates_that_it_was_not_told() -> None:
    assert CameraMode(640, 480).high == math.inf
