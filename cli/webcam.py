"""`dynstream webcam`: a camera in, a virtual camera with edited faces out, steered by keys while it runs."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live as Screen

from . import panel, portraits
from .keys import Keys, open_keys
from .options import (
    DEFAULT_ENCODER,
    Backend,
    Conceal,
    ConsentFile,
    Device,
    DrawnPerson,
    Edit,
    Encoder,
    Faces,
    Generator,
    IAmTheSubject,
    LivePortrait,
    Mark,
    MarkOpacity,
    MarkSize,
    MarkText,
    Mode,
    MotionStrength,
    OutputRate,
    PortraitFace,
    PortraitMethod,
    Precision,
    Preset,
    Refine,
    RefineSeconds,
    Region,
)
from .preview import Preview, open_preview
from .weights import IndexUrl, Offline, open_zoo
from .wording import Text, TextBy, TextFrom, TextStrength, edits_and_texts

if TYPE_CHECKING:
    from ..models.directions.directions import Direction
    from ..pipelines.edits.text import TextReader
    from ..pipelines.edits.wording import Reading
    from ..pipelines.run.live import Live
    from ..stream.virtual_camera import FrameSink

LOOK_SECONDS = 0.03
"""Between two looks at the keys."""
PANEL_SECONDS = 0.125
LINE_SECONDS = 10.0
"""Between two lines of numbers where there is no terminal."""


def command(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help='Camera (number or name; default: the first), video file, or "test".'),
    ] = None,
    edit: Edit = None,
    text: Text = None,
    text_from: TextFrom = None,
    text_strength: TextStrength = 1.0,
    text_by: TextBy = "directions",
    preset: Preset = None,
    mode: Mode = "detail",
    region: Region = "auto",
    faces: Faces = "largest",
    size: Annotated[str, typer.Option(metavar="WxH", help="Camera size in pixels; the nearest is taken.")] = "640x360",
    fps: Annotated[float, typer.Option(metavar="RATE", help="Camera frames a second; the nearest is taken.")] = 30.0,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Virtual camera (/dev/video10); default: the first free one.")
    ] = None,
    no_output: Annotated[
        bool, typer.Option("--no-output", help="Use no virtual camera, to try edits out with --preview.")
    ] = False,
    max_latency: Annotated[
        float, typer.Option(metavar="MS", help="Show a frame at this age, whatever the edit has come to.")
    ] = 250.0,
    preview: Annotated[bool, typer.Option("--preview", help="Open a window that shows what is sent.")] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror/--no-mirror", help="Mirror the preview, never what is sent.")
    ] = True,
    paused: Annotated[bool, typer.Option("--paused", help="Begin paused: the source passes through.")] = False,
    ramp: Annotated[float, typer.Option(metavar="MS", min=0, help="Milliseconds over which a change moves.")] = 250.0,
    reconnect: Annotated[
        float, typer.Option(metavar="S", min=0, help="Wait so long for a camera that was unplugged; 0: do not.")
    ] = 10.0,
    seconds: Annotated[float | None, typer.Option(metavar="S", min=0, help="Stop after so long.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show cameras and virtual cameras, and stop.")] = False,
    portrait: LivePortrait = None,
    portrait_method: PortraitMethod = "landmarks",
    portrait_face: PortraitFace = None,
    motion_strength: MotionStrength = 1.0,
    refine: Refine = 60,
    refine_seconds: RefineSeconds = 180.0,
    consent: ConsentFile = None,
    i_am_the_subject: IAmTheSubject = False,
    drawn_person: DrawnPerson = False,
    mark: Mark = "corner",
    mark_text: MarkText = None,
    mark_size: MarkSize = None,
    mark_opacity: MarkOpacity = None,
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    precision: Precision = "auto",
    device: Device = "cpu",
    conceal: Conceal = False,
    output_fps: OutputRate = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Edit the face of your webcam live: other programs see the result as a camera.

    With `--portrait FILE` your face moves that picture, and you are not seen: look into the camera at rest for half a
    second, which is what motion counts from; the key c does so again. Whose face it is has to be said.

    Keys: up and down choose an edit, left and right change it, 0 resets, t opens a line for words, space pauses
    (the source passes through), m mirrors the preview, q quits. When the camera or the edit stops, the picture says
    so.

    Examples:

    - `dynstream webcam --edit smile=1 --preview`
    - `dynstream webcam 1 --size 1280x720 --output /dev/video10`
    - `dynstream webcam clip.mp4 --edit age=2`
    - `dynstream webcam --fps 15 --output-fps 30 --edit smile=1`
    - `dynstream webcam test --no-output --preview`
    - `dynstream webcam --portrait me.jpg --i-am-the-subject --preview`
    - `dynstream webcam --portrait drawn.png --drawn-person --portrait-method scores`
    """
    if listing:
        _list()
        return
    from ..models.directions.directions import load_directions
    from ..pipelines.compositing.composite import check_mode
    from ..pipelines.compositing.mark import read_mark
    from ..pipelines.engine.frame_interpolation import slots_of
    from ..pipelines.engine.load import Models, load_engine, load_portrait_engine
    from ..pipelines.engine.settings import SessionSpec
    from ..pipelines.run.live import Live, LiveSettings
    from ..stream.open_live import open_live
    from ..stream.rawvideo import parse_size

    console = Console(stderr=True, highlight=False, markup=False)
    moving = portraits.read(
        portrait, method=portrait_method, strength=motion_strength, face=portrait_face, refine=refine,
        refine_seconds=refine_seconds, consent=consent, is_subject=i_am_the_subject, is_drawn=drawn_person,
    )  # fmt: skip
    directions = load_directions()
    checked, wanted_size = check_mode(mode), parse_size(size)
    edits = edits_and_texts(
        edit or [], preset, text or [], console, region=region, text_from=text_from, text_strength=text_strength,
        text_by=text_by,
        offline=offline, index_url=index_url,
    )  # fmt: skip
    strengths = {spec.name: spec.end for spec in edits.specs}
    style = read_mark(mark, mark_text, mark_size, mark_opacity)
    models = Models(
        generator=generator, backend=backend, encoder=encoder, device=device, precision=precision, conceal=conceal
    )
    prepared = None
    if moving is not None:
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            prepared, _ = portraits.prepare(
                moving, zoo, console, consent=consent, is_subject=i_am_the_subject, is_drawn=drawn_person
            )
    stand_in = None if prepared is None else prepared.portrait.pixels
    stop, told = threading.Event(), _Told()
    live_source = open_live(
        source,
        size=wanted_size,
        rate=fps,
        reconnect=reconnect,
        lost=told.lost,
        found=told.found,
        sleep=stop.wait,
    )
    with ExitStack() as opened:
        opened.callback(live_source.close)
        for note in live_source.notes:
            console.print(f"Note: {note}", style="yellow", soft_wrap=True)
        pictures = slots_of(1 / live_source.rate, output_fps) if output_fps else 1
        shown = live_source.size if prepared is None else prepared.portrait.size
        sink = _open_sink(shown, pictures * live_source.rate, output, no_output)
        opened.callback(sink.close)
        spec = SessionSpec(
            edits=edits,
            mode=checked,
            faces=faces,
            max_latency_ms=max_latency,
            rate=live_source.rate,
            output_rate=output_fps,
            stand_in=stand_in,
        )
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            engine = load_engine(zoo, models) if prepared is None else load_portrait_engine(zoo, models, prepared)
        opened.callback(engine.close)
        window = open_preview("dynstream webcam") if preview else None
        settings = LiveSettings(in_flight=engine.settings.live_flight, ramp_ms=ramp)
        session = engine.open(spec)
        live = Live(live_source, session, sink, settings, strengths=strengths, stop=stop, mark=style, stand_in=stand_in)
        opened.pop_all()  # from here on the run lets source and sink go
    told.live = live
    console.print(f"{live_source.name} to {sink.device}, {sink.size[0]}x{sink.size[1]}; q or Ctrl-C ends it")
    state = panel.start(directions, strengths, paused=paused, mirrored=mirror, portrait=prepared is not None)
    if paused:
        live.pause()
    live.start()
    try:
        with open_keys() as keys:
            steer(live, state, keys, window, console, read=reader_of(directions, offline, index_url), seconds=seconds)
    finally:
        live.stop()
        engine.close()
        if window is not None:
            window.close()
    status = live.status()
    console.print(f"{panel.summary(status)} ({panel.outcomes(status)})", soft_wrap=True)
    if live.error is not None:
        raise live.error


def steer(
    live: "Live",
    state: panel.PanelState,
    keys: Keys,
    window: Preview | None,
    console: Console,
    *,
    read: "Callable[[str], Reading] | None" = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> panel.PanelState:
    """Pass keys on to the run and show how it goes, until it ends, the user quits or `seconds` are over.

    read: what words ask for, for the key that opens a line of them.
    """
    began = shown = clock()
    with Screen(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as screen:
        while live.running and not state.quitting and (seconds is None or clock() - began < seconds):
            pressed = keys.pressed()
            if window is not None:
                pressed += window.show(live.picture, mirrored=state.mirrored)
            for key in pressed:
                before, state = state, panel.press(state, key)
                if state.entered and read is not None:
                    state = panel.with_words(state, read)
                apply(live, before, state)
            if console.is_terminal and (pressed or clock() - shown >= PANEL_SECONDS):
                screen.update(panel.draw(state, live.status()), refresh=True)
                shown = clock()
            elif not console.is_terminal and clock() - shown >= LINE_SECONDS:
                console.print(panel.summary(live.status()))
                shown = clock()
            wait(LOOK_SECONDS)
    return state


def reader_of(
    directions: "Mapping[str, Direction]", offline: bool, index_url: str | None
) -> "Callable[[str], Reading]":
    """Reads words as edits; its networks are loaded with the first ones."""

    @cache
    def reader() -> "TextReader":
        from ..pipelines.edits.text import load_text_reader

        with open_zoo(offline=offline, index_url=index_url) as zoo:
            return load_text_reader(zoo, directions)

    return lambda text: reader().read(text)


def apply(live: "Live", before: panel.PanelState, after: panel.PanelState) -> None:
    """Do to the run what the user did to the panel."""
    changed: Mapping[str, float] = panel.changes(before, after)
    if changed:
        live.set(changed)
    if after.calibrations != before.calibrations:
        live.calibrate()
    if after.paused and not before.paused:
        live.pause()
    elif before.paused and not after.paused:
        live.resume()


class _Told:
    """Reports a lost camera to the run, which does not exist yet when the camera is opened."""

    live: "Live | None" = None

    def lost(self, reason: str) -> None:
        if self.live is not None:
            self.live.source_lost(reason)

    def found(self) -> None:
        if self.live is not None:
            self.live.source_found()


def _open_sink(size: tuple[int, int], rate: float, output: str | None, no_output: bool) -> "FrameSink":
    from ..stream.virtual_camera import NoSink, VirtualCamera

    if no_output:
        if output is not None:
            raise typer.BadParameter(f"--no-output and --output {output} exclude each other; leave one out")
        return NoSink(size)
    return VirtualCamera(size, rate, output)


def _list() -> None:
    from ..stream.camera_devices import list_cameras, no_camera
    from ..stream.errors import SinkError
    from ..stream.virtual_camera import install_hint, list_devices, load_pyvirtualcam

    cameras = list_cameras()
    print("Cameras:")
    for number, camera in enumerate(cameras):
        print(f"  {number}: {camera}{' (virtual)' if camera.virtual else ''}")
    if not cameras:
        print(f"  {no_camera()}")
    print("Virtual cameras:")
    devices = list_devices()
    for name in devices:
        print(f"  {name or 'asked for when it is opened'}")
    if not devices:
        print(f"  none: {install_hint()}")
    try:
        load_pyvirtualcam()
    except SinkError as error:
        print(f"  {error}")
