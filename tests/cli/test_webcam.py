"""`dynstream webcam` from end to end, with fakes for networks, virtual camera, keys and window."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from rich.console import Console

from dynstream.cli import webcam as webcam_module
from dynstream.cli.main import main
from dynstream.cli.preview import Preview, open_preview, to_ppm
from dynstream.cli.webcam import steer
from dynstream.models.directions import directions as directions_module
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.engine import load as engine_module
from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.load import Models, editors
from dynstream.pipelines.run.live import PAUSED, Live, LiveSettings
from dynstream.pipelines.run.prepare_portrait import PreparedPortrait
from dynstream.stream import virtual_camera
from dynstream.stream.drawn_face import BACKGROUND
from dynstream.stream.test_pattern import draw_pattern, read_number

from ..pipelines import fakes
from ..pipelines.portraits import prepared
from ..pipelines.run.live_fakes import HandEditing, ListSink, ListSource
from ..stream.fake_virtualcam import FakeVirtualCam
from ..stream.live import ManualTime
from .test_panel import STATE


def run(*arguments: object) -> int:
    try:
        main(["webcam", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


class ScriptedKeys:
    """Gives each key once its condition holds."""

    def __init__(self, *script: tuple[Any, str]) -> None:
        self.script = list(script)

    def pressed(self) -> list[str]:
        if self.script and self.script[0][0]():
            return [self.script.pop(0)[1]]
        return []


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, object]], tmp_path: Path) -> Iterator[SimpleNamespace]:
    """asked: what load_engine was asked; virtual: pyvirtualcam; keys: set it to ScriptedKeys."""
    found = SimpleNamespace(asked=[], virtual=FakeVirtualCam(), keys=ScriptedKeys((lambda: True, "q")))

    @contextmanager
    def open_keys() -> Iterator[ScriptedKeys]:
        yield found.keys

    def load_engine(_zoo: object, models: Models) -> Engine:
        found.asked.append(models)
        networks = Renderer(fakes.LevelEncoder(), fakes.LevelGenerator())  # type: ignore[arg-type]
        return Engine(networks, editors(networks, fakes.OvalBackend, None))

    monkeypatch.setattr(engine_module, "load_engine", load_engine)
    monkeypatch.setattr(directions_module, "load_directions", lambda: fakes.DIRECTIONS)
    monkeypatch.setenv("DYNSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(webcam_module, "open_keys", open_keys)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", found.virtual)  # type: ignore[arg-type]
    monkeypatch.setattr(virtual_camera.platformdirs, "user_cache_path", lambda _name: tmp_path / "locks")
    yield found
    assert found.virtual.taken == set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("live-")]


def numbers(world: SimpleNamespace) -> list[int]:
    """Of the pictures that were sent, not of notices, which a busy machine may bring on."""
    return [read_number(picture) for picture in world.virtual.sent if tuple(picture[20, 5]) == BACKGROUND]


def test_pictures_of_the_source_reach_the_virtual_camera_and_the_end_is_said(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    world.keys = ScriptedKeys((lambda: len(set(numbers(world))) >= 4, "q"))
    assert run("test", "--size", "320x180", "--fps", "200", "--edit", "smile=1") == 0
    assert world.asked == [Models(generator="mobilestylegan", backend="mesh", device="cpu")]
    assert world.virtual.cameras[0].fps == 200
    seen = numbers(world)
    assert len(set(seen)) >= 4
    assert seen == sorted(seen)  # where nothing new came for a while, the last one is sent again
    assert world.virtual.sent[0].shape == (180, 320, 3)
    assert all(picture[:9].max() == 0 for picture in world.virtual.sent[-3:])  # the goodbye, without a stamp
    said = capsys.readouterr().err
    assert "test pattern to /dev/video10, 320x180" in said
    assert "frames a second" in said


def test_keys_reach_the_run(world: SimpleNamespace) -> None:
    lives: list[Live] = []
    start = Live.start

    def remember(live: Live) -> None:
        lives.append(live)
        start(live)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Live, "start", remember)
        world.keys = ScriptedKeys(
            (lambda: True, "space"),
            (lambda: str(PAUSED) in lives[0].status().outcomes, "right"),
            (lambda: lives[0].status().paused, "space"),
            (lambda: True, "q"),
        )
        assert run("test", "--size", "320x180", "--fps", "200", "--edit", "smile=1", "--ramp", "0") == 0
    assert not lives[0].status().paused
    assert lives[0]._strengths == {"smile": 1.25}


def test_a_run_may_begin_paused_and_end_by_itself(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    world.keys = ScriptedKeys()
    assert run("test", "--size", "320x180", "--paused", "--seconds", "0") == 0


def test_without_a_virtual_camera_it_says_what_to_install_before_anything_is_fetched(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    world.virtual.devices = ()
    assert run("test") == 2
    assert world.asked == []
    error = capsys.readouterr().err
    assert error.startswith("Error: there is no virtual camera on this system")
    assert "Traceback" not in error


def test_two_webcams_for_one_device_are_an_error(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    world.virtual.taken.add("/dev/video10")
    assert run("test", "--output", "/dev/video10") == 2
    assert "is in use by another dynstream webcam" in capsys.readouterr().err
    world.virtual.taken.clear()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.mp4"], "neither a file nor a camera"),
        (["test", "--size", "huge"], "expected WIDTHxHEIGHT"),
        (["test", "--fps", "0"], "--fps from 1 to 240"),
        (["test", "--edit", "smyle=1"], "did you mean 'smile'"),
        (["test", "--mode", "magic"], "magic"),
        (["test", "--no-output", "--output", "x"], "exclude each other"),
        (["test", "--ramp", "-1"], "--ramp"),
    ],
)
def test_wrong_input_is_one_message(
    arguments: list[str], said: str, world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_the_list_says_what_there_is_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dynstream.stream import camera_devices

    monkeypatch.setattr(camera_devices, "list_cameras", lambda: [camera_devices.CameraDevice("/dev/video0", "Desk")])
    monkeypatch.setattr(virtual_camera, "list_devices", lambda: [])
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    assert run("--list") == 0
    out = capsys.readouterr().out
    assert "0: Desk (/dev/video0)" in out
    assert "none: " in out
    assert "pip install 'dynstream[webcam]'" in out
    monkeypatch.setattr(camera_devices, "list_cameras", lambda: [])
    assert run("--list") == 0
    assert "no camera was found" in capsys.readouterr().out


def test_a_lost_camera_ends_the_command_with_its_message(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dynstream.stream import open_live as open_live_module
    from dynstream.stream.errors import SourceError

    source = ListSource([1, 2, SourceError("camera Desk was lost (No such device): was it unplugged?")])
    monkeypatch.setattr(open_live_module, "open_live", lambda *_arguments, **_options: source)
    world.keys = ScriptedKeys()
    assert run() == 2
    assert "Error: camera Desk was lost" in capsys.readouterr().err
    assert source.closed
    assert len(world.virtual.sent) >= 3


def steered(keys: ScriptedKeys, window: Any = None, *, terminal: bool, seconds: float) -> tuple[str, Live]:
    time = ManualTime()
    live = Live(ListSource([]), HandEditing(), ListSink(), LiveSettings(), clock=time.clock)
    console = Console(force_terminal=terminal, width=100, file=io.StringIO())
    steer(live, STATE, keys, window, console, seconds=seconds, clock=time.clock, wait=time.sleep)  # type: ignore[arg-type]
    return console.file.getvalue(), live  # type: ignore[attr-defined]


def test_on_a_terminal_the_panel_is_drawn_and_elsewhere_a_line_now_and_then() -> None:
    shown, _ = steered(ScriptedKeys(), terminal=True, seconds=1)
    assert "dynstream webcam" in shown
    assert "› smile" in shown
    lines, _ = steered(ScriptedKeys(), terminal=False, seconds=31)
    assert lines.count("frames a second") == 3
    assert "› smile" not in lines


class FakeTk:
    """Enough of tkinter for a window."""

    class TclError(Exception):
        pass

    def __init__(self, screen: bool = True) -> None:
        self.screen, self.images, self.destroyed, self.handlers = screen, [], 0, {}

    def Tk(self) -> Any:  # noqa: N802 - as the library
        if not self.screen:
            raise self.TclError("no display name and no $DISPLAY environment variable")
        return SimpleNamespace(
            title=lambda _text: None,
            bind=lambda name, handler: self.handlers.update({name: handler}),
            protocol=lambda name, handler: self.handlers.update({name: handler}),
            update=lambda: None,
            destroy=self._destroy,
        )

    def _destroy(self) -> None:
        self.destroyed += 1

    def Label(self, _root: Any, **_options: Any) -> Any:  # noqa: N802 - as the library
        return SimpleNamespace(pack=lambda: None, configure=lambda **_options: None)

    def PhotoImage(self, *, data: bytes, format: str, master: Any) -> bytes:  # noqa: N802 - as the library
        assert format == "PPM"
        self.images.append(data)
        return data


def test_the_preview_shows_each_new_picture_once_mirrored_or_not_and_gives_its_keys() -> None:
    tk = FakeTk()
    preview = Preview(tk, "title")
    pixels = draw_pattern((160, 120), 5, 0.2)
    assert preview.show(None, mirrored=True) == []
    preview.show(pixels, mirrored=True)
    preview.show(pixels, mirrored=True)
    tk.handlers["<Key>"](SimpleNamespace(keysym="Left", char=""))
    tk.handlers["<Key>"](SimpleNamespace(keysym="space", char=" "))
    tk.handlers["<Key>"](SimpleNamespace(keysym="Shift_L", char=""))
    tk.handlers["<Key>"](SimpleNamespace(keysym="q", char="q"))
    assert preview.show(pixels, mirrored=False) == ["left", "space", "q"]
    assert preview.show(pixels, mirrored=False) == []
    assert tk.images == [to_ppm(pixels, mirrored=True), to_ppm(pixels, mirrored=False)]
    tk.handlers["WM_DELETE_WINDOW"]()
    preview.close()
    assert tk.destroyed == 1
    assert preview.show(pixels, mirrored=True) == []


def test_a_picture_for_tk_is_a_ppm() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert to_ppm(pixels, mirrored=False) == b"P6 3 2 255\n" + bytes(range(18))
    assert to_ppm(pixels, mirrored=True)[11:14] == bytes([6, 7, 8])


def test_a_preview_that_cannot_be_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(typer.BadParameter, match="python3-tk"):
        open_preview("title")
    monkeypatch.setitem(sys.modules, "tkinter", FakeTk(screen=False))  # type: ignore[arg-type]
    with pytest.raises(typer.BadParameter, match="needs a screen"):
        open_preview("title")


@pytest.mark.parametrize(("asked", "shown"), [(60, 60), (50, 40), (24, 20)])
def test_the_pictures_of_a_slow_source_go_out_at_a_higher_rate(world: SimpleNamespace, asked: int, shown: int) -> None:
    world.keys = ScriptedKeys((lambda: len(set(numbers(world))) >= 4, "q"))
    assert run("test", "--size", "320x180", "--fps", "20", "--output-fps", str(asked), "--edit", "smile=1") == 0
    assert world.virtual.cameras[0].fps == shown


def test_a_device_that_is_not_there_is_said_before_the_camera_is_opened(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", "--device", "toaster") == 2
    assert "device 'toaster' cannot be used" in " ".join(capsys.readouterr().err.split())
    assert world.virtual.cameras == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--drawn-person",), "--portrait FILE"),
        (("--portrait", "p.png"), "--i-am-the-subject"),
        (("--portrait", "p.png", "--drawn-person", "--motion-strength", "9"), "0 to 3"),
        (("--portrait", "p.png", "--drawn-person"), "p.png"),
    ],
)
def test_a_portrait_is_asked_for_whose_it_is(
    world: SimpleNamespace, options: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("test", "--no-output", *options) == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert world.asked == []


def test_a_portrait_is_sent_in_place_of_the_camera_and_can_be_calibrated(
    world: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dynstream.pipelines.engine.load import portrait_editors
    from dynstream.pipelines.engine.portrait_renderer import PortraitRenderer
    from dynstream.pipelines.run import prepare_portrait as module

    made = prepared(tmp_path)
    calibrations: list[bool] = []

    def load(_zoo: object, _models: Models, portrait: PreparedPortrait) -> Engine:
        renderer = PortraitRenderer(portrait.fitted, portrait.motion, fakes.OvalBackend())
        return Engine(renderer, portrait_editors(portrait, fakes.OvalBackend))

    monkeypatch.setattr(module, "prepare_portrait", lambda *_arguments, **_options: made)
    monkeypatch.setattr(engine_module, "load_portrait_engine", load)
    monkeypatch.setattr(Live, "calibrate", lambda _live: calibrations.append(True))
    world.keys = ScriptedKeys((lambda: len(world.virtual.sent) >= 3, "c"), (lambda: True, "q"))
    arguments = ("--portrait", tmp_path / "portrait.png", "--drawn-person", "--mark", "none")
    assert run("test", "--size", "320x180", "--fps", "50", *arguments) == 0
    assert calibrations == [True]
    pictures = [picture for picture in world.virtual.sent[:-3] if picture[5, 5].any()]
    assert pictures
    for picture in pictures[1:3]:
        np.testing.assert_array_equal(picture, made.portrait.pixels)
