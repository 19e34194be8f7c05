"""The virtual camera: sizes, one owner a device, and that every failure says what to install or to stop."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dynstream.stream.errors import SinkError
from dynstream.stream.frame import Pixels
from dynstream.stream.virtual_camera import (
    FrameSink,
    NoSink,
    VirtualCamera,
    explain,
    fit,
    install_hint,
    list_devices,
    load_pyvirtualcam,
)

from .fake_virtualcam import FakeVirtualCam

Open = Callable[..., VirtualCamera]


@pytest.fixture
def module() -> FakeVirtualCam:
    return FakeVirtualCam(devices=("/dev/video10", "/dev/video11"))


@pytest.fixture
def virtual(module: FakeVirtualCam, tmp_path: Path) -> Open:
    def open_camera(
        size: tuple[int, int] = (64, 48), device: str | None = None, candidates: tuple[str | None, ...] = (None,)
    ) -> VirtualCamera:
        return VirtualCamera(
            size, 25, device, module=module, platform="linux", candidates=lambda: candidates, locks=tmp_path
        )

    return open_camera


def picture(width: int, height: int) -> Pixels:
    return np.random.default_rng(0).integers(1, 255, (height, width, 3), dtype=np.uint8)


def test_pictures_arrive_as_they_are(virtual: Open, module: FakeVirtualCam) -> None:
    with virtual() as camera:
        assert camera.device == "/dev/video10"
        camera.send(picture(64, 48))
        assert not module.cameras[0].width % 2
    assert np.array_equal(module.sent[0], picture(64, 48))
    assert module.taken == set()


def test_other_sizes_are_fitted_without_distortion(virtual: Open, module: FakeVirtualCam) -> None:
    virtual((65, 49)).send(picture(100, 40))
    sent = module.sent[0]
    assert sent.shape == (48, 64, 3)
    assert sent[:11].max() == 0
    assert sent[-11:].max() == 0
    assert sent[11:37].min() > 0


def test_fitting_keeps_the_size_and_does_not_copy_what_fits() -> None:
    same = picture(64, 48)
    assert fit(same, (64, 48)) is same
    assert fit(picture(10, 10), (40, 20)).shape == (20, 40, 3)
    assert fit(picture(300, 1), (40, 20)).shape == (20, 40, 3)
    turned = same[:, ::-1]
    assert fit(turned, (64, 48)).flags.c_contiguous


def test_two_for_one_device_is_an_error_that_names_it(virtual: Open) -> None:
    first = virtual(device="/dev/video10")
    with pytest.raises(SinkError, match=r"/dev/video10 is in use by another dynstream webcam.*devices=2"):
        virtual(device="/dev/video10")
    first.close()
    virtual(device="/dev/video10").close()


def test_another_process_on_the_device_is_noticed_though_the_driver_would_let_it(
    module: FakeVirtualCam, tmp_path: Path
) -> None:
    first = VirtualCamera((64, 48), 25, "/dev/video10", module=module, platform="linux", locks=tmp_path)
    other_process = FakeVirtualCam(devices=module.devices)  # its driver knows nothing of the first
    with pytest.raises(SinkError, match="is in use"):
        VirtualCamera((64, 48), 25, "/dev/video10", module=other_process, platform="linux", locks=tmp_path)
    with pytest.raises(SinkError, match="is in use"):  # found only once it was opened
        VirtualCamera((64, 48), 25, module=other_process, platform="linux", candidates=lambda: [None], locks=tmp_path)
    assert other_process.taken == set()
    free = VirtualCamera(
        (64, 48), 25, module=other_process, platform="linux", candidates=lambda: list(module.devices), locks=tmp_path
    )
    assert free.device == "/dev/video11"
    first.close()


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        ("linux", "modprobe v4l2loopback devices=1 exclusive_caps=1"),
        ("darwin", "brew install --cask obs"),
        ("win32", "winget install OBSProject.OBSStudio.*UnityCapture"),
        ("freebsd14", "no virtual camera is known"),
    ],
)
def test_without_a_virtual_camera_the_error_says_what_to_install_here(platform: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=f"there is no virtual camera on this system.*{said}"):
        VirtualCamera((64, 48), 25, module=FakeVirtualCam(()), platform=platform, candidates=list, locks=tmp_path)


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ('ID=debian\nNAME="Debian"', "apt-get install v4l2loopback-dkms"),
        ('ID=neon\nID_LIKE="ubuntu debian"', "apt-get install v4l2loopback-dkms"),
        ("ID=fedora", "dnf install akmod-v4l2loopback"),
        ("ID=arch", "pacman -S v4l2loopback-dkms"),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', "zypper install v4l2loopback"),
        ("ID=other", "github.com/v4l2loopback/v4l2loopback"),
    ],
)
def test_every_kind_of_linux_gets_its_own_command(release: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(release)
    hint = install_hint("linux", tmp_path / "os-release")
    assert said in hint
    assert "modprobe v4l2loopback" in hint
    assert "modprobe" in install_hint("linux", tmp_path / "absent")


@pytest.mark.parametrize(
    ("said", "device", "expected"),
    [
        ("Device /dev/video3 is already in use.", "/dev/video3", "stop that one"),
        ("Could not access /dev/video3 due to missing permissions.", "/dev/video3", "usermod -aG video"),
        ("Virtual camera device x could not be configured: Invalid argument", "x", "another size"),
        ("Device /dev/video0 is not a V4L2 device.", "/dev/video0", "no virtual camera that can be written"),
        ("Device /dev/video0 is not a video output device.", "/dev/video0", "no virtual camera that can be written"),
        ("virtual camera output could not be started", None, "in use by another"),
    ],
)
def test_what_the_driver_says_is_turned_into_what_to_do(said: str, device: str | None, expected: str) -> None:
    assert expected in explain(said, device, "linux")


def test_a_device_that_is_not_there_is_named(virtual: Open) -> None:
    with pytest.raises(SinkError, match=r"/dev/video3 is no virtual camera.*--list"):
        virtual(device="/dev/video3")


def test_a_device_that_breaks_is_an_error(virtual: Open, module: FakeVirtualCam) -> None:
    camera = virtual()
    module.broken = True
    with pytest.raises(SinkError, match="takes no more pictures"):
        camera.send(picture(64, 48))
    camera.close()
    camera.close()
    with pytest.raises(SinkError, match="is closed"):
        camera.send(picture(64, 48))


def test_loopback_devices_are_listed_by_number(tmp_path: Path) -> None:
    for name in ("video10", "video9", "v4l-subdev0"):
        (tmp_path / name).mkdir()
    assert list_devices("linux", tmp_path) == ["/dev/video9", "/dev/video10"]
    assert list_devices("linux", tmp_path / "absent") == []
    assert list_devices("darwin") == [None]


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match=r"pip install 'dynstream\[webcam\]'"):
        load_pyvirtualcam()


def test_the_library_itself_has_what_is_used() -> None:
    module = pytest.importorskip("pyvirtualcam")
    assert module.PixelFormat.RGB
    parameters = module.Camera.__init__.__annotations__
    assert {"width", "height", "fps", "fmt", "device"} <= set(parameters)
    assert all(hasattr(module.Camera, name) for name in ("send", "close", "device", "sleep_until_next_frame"))


def test_no_sink_takes_everything() -> None:
    sink: FrameSink = NoSink((64, 48))
    sink.send(picture(3, 3))
    sink.close()
