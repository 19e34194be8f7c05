"""The `dynstream` command: one tree of commands, and one way in which errors reach the user.

Exit status: 0 done, 2 something that the user can mend (one paragraph, no traceback), 130 interrupted, 1 a fault of
dynstream's own (a traceback).
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .. import DynstreamError

COMMANDS = {
    "demo": "demo",
    "transcode": "transcode",
    "batch": "batch",
    "credentials": "credentials",
    "consent": "consent",
    "filter": "filter",
    "webcam": "webcam",
    "gst-plugin": "gst_plugin",
    "serve": "serve",
    "fit": "fit",
    "interpolate": "interpolate",
    "extrapolate": "extrapolate",
    "animate": "animate",
    "transfer": "animate",
    "synth": "research.synth",
    "doctor": "doctor",
    "evaluate": "research.evaluate",
    "bench": "research.bench",
    "results": "research.results",
    "models": "models",
    "directions": "research.directions",
    "train": "research.train",
}
"""Command -> module in this folder, in the order of `--help`.

A module offers either `app`, a typer.Typer with sub-commands, or `command`, a function with typer's annotations whose
docstring is the help, perhaps with typer's settings as `CONTEXT`. It is imported when its
command is called; whatever is slow is imported inside its functions.
"""

SUMMARIES = {
    "demo": "Edit the sample clip and make a contact sheet of it; running it again replaces its own files.",
    "transcode": "Edit the faces of a video file; sound, subtitles, times and everything around "
    "the face stay as they are.",
    "batch": "Edit the faces of many files; the same command again goes on where it was stopped.",
    "credentials": "Sign results with Content Credentials (C2PA), and read those of a file.",
    "consent": "Record who agreed that another's motion moves their face, and read it.",
    "filter": "Edit the faces of video that comes through a pipe: one frame out for each one "
    "in, nothing else on the output.",
    "webcam": "Edit the face of your webcam live: other programs see the result as a camera.",
    "gst-plugin": "Install the GStreamer element `dynstream`, which edits faces in any pipeline of this user.",
    "serve": "Serve live editing: a page for the browser, WHIP and WHEP for programs.",
    "fit": "Learn how the face of one clip moves: dz/dt = f(t, z) through the codes of its frames (DynODE).",
    "interpolate": "Write a clip at another frame rate: its frames as they are, and new ones "
    "between them. Sound is copied.",
    "extrapolate": "Write a clip and what might come after it: the last frame, with its face moved on. Sound ends "
    "with the clip.",
    "animate": "Make the face of a picture or clip follow the motion of a face in another clip; "
    "background and detail stay.",
    "transfer": "Make the face of a picture or clip follow the motion of a face in another clip; "
    "background and detail stay.",
    "synth": "Draw a talking head whose codes, place, movement, light and edits are all known.",
    "doctor": "Check this machine: packages, codecs, processor, GPU, memory, weights, cameras, ports.",
    "evaluate": "Measure results. `dynstream evaluate SOURCE RESULT` compares two videos "
    "(`evaluate videos --help`: options).",
    "bench": "Measure speed and quality: median, spread, machine and versions.",
    "results": "Measure everything, and write docs/results.md from the JSON files of the measurements.",
    "models": "List, fetch, check and import the weights that dynstream uses.",
    "directions": "Find, measure and import edit directions, and see which there are.",
    "train": "Train the project's own networks; the same command again goes on where it stopped.",
}
"""Command -> the first paragraph of its help, so that `--help` need not import them all; a test compares them."""

DRAWING = frozenset({"demo", "transcode", "batch", "filter", "webcam", "serve", "animate", "transfer", "extrapolate"})
"""Commands that need PyTorch and the editor in any case."""

INTERRUPTED = 130
RESTING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line `arguments` (sys.argv where not given); ends in SystemExit, or in the fault itself."""
    _occupy_closed_descriptors()
    _let_threads_rest()
    if threading.current_thread() is threading.main_thread():
        _clean_up_when_stopped()
    try:
        _tree(_Commands)(args=arguments, prog_name="dynstream")
    except DynstreamError as error:
        _say("Error: ", str(error), "red")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Interrupted", "", "yellow")
        sys.exit(INTERRUPTED)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer turns Ctrl-C into this
            _say("Interrupted", "", "yellow")
        raise


def _let_threads_rest() -> None:
    """Threads of PyTorch's pools sleep between two operations instead of spinning: the other stages need the cores.

    Read when PyTorch is loaded, which is later. A tenth of the time of a file with every frame drawn.
    """
    for name, value in RESTING.items():
        os.environ.setdefault(name, value)


def _occupy_closed_descriptors() -> None:
    """Where standard input, output or error is closed, else a result would get its number, and messages in it.

    Reading or writing them still fails, as it would; Python's own streams swallow what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # opening gives the lowest number that is free
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it stays open like those it stands for


def _clean_up_when_stopped() -> None:
    """SIGTERM, and the SIGHUP of a closed terminal, end a run as Ctrl-C does; under nohup it goes on."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def build(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """The tree of commands with those `names`, their modules imported."""
    app = _tree()
    for name in names:
        found = import_module(f".{COMMANDS[name]}", __package__)
        if hasattr(found, "app"):
            app.add_typer(found.app, name=name)
        else:
            kind = _DrawingCommand if name in DRAWING else TyperCommand
            app.command(name, cls=kind, context_settings=getattr(found, "CONTEXT", None))(found.command)
    return app


def _tree(group: type[TyperGroup] | None = None) -> typer.Typer:
    app = typer.Typer(
        cls=group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    return app


class _DrawingCommand(TyperCommand):
    def invoke(self, ctx: Any) -> Any:
        from .start import import_networks

        import_networks()
        return super().invoke(ctx)


class _Commands(TyperGroup):
    """All COMMANDS by name and summary; the one that is called is imported."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name in COMMANDS:
            self.commands[name] = TyperCommand(name, help=SUMMARIES[name]) if name in SUMMARIES else _imported(name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _imported(name), rest


def _imported(name: str) -> Any:
    group = typer.main.get_command(build([name]))
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"dynstream {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Edit faces in video while it plays: smile, age and more, steady over time."""


def _say(start: str, message: str, colour: str) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble((start, f"bold {colour}"), (message, colour))
    # Wrapped by the terminal alone, so that a command inside the message can be copied whole.
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)
