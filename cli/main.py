"""The `dynstream` command: one tree of commands, and one way in which errors reach the user.

Exit status: 0 done, 2 something that the user can mend (one paragraph, no traceback), 130 interrupted, 1 a fault of
dynstream's own (a traceback).
"""

import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from .. import __version__
from ..models.errors import ModelError
from ..pipelines.common.errors import PipelineError
from ..stream.errors import StreamError

COMMANDS = {
    "demo": "demo",
    "transcode": "transcode",
    "filter": "filter",
    "webcam": "webcam",
    "gst-plugin": "gst_plugin",
    "serve": "serve",
    "fit": "fit",
    "interpolate": "interpolate",
    "synth": "research.synth",
    "evaluate": "research.evaluate",
    "bench": "research.bench",
    "results": "research.results",
    "doctor": "doctor",
    "models": "models",
    "directions": "research.directions",
    "train": "research.train",
}
"""Command -> module in this folder, in the order of `--help`.

A module offers either `app`, a typer.Typer with sub-commands, or `command`, a function with typer's annotations whose
docstring is the help. All of them are imported for `--help`: whatever is slow to import is imported inside functions.
"""

USER_ERRORS = (StreamError, ModelError, PipelineError)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line `arguments` (sys.argv where not given); ends in SystemExit, or in the fault itself."""
    if threading.current_thread() is threading.main_thread():
        _clean_up_when_stopped()
    try:
        build()(args=arguments, prog_name="dynstream")
    except USER_ERRORS as error:
        _say("Error: ", str(error), "red")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Interrupted", "", "yellow")
        sys.exit(INTERRUPTED)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer turns Ctrl-C into this
            _say("Interrupted", "", "yellow")
        raise


def _clean_up_when_stopped() -> None:
    """SIGTERM, and the SIGHUP of a closed terminal, end a run as Ctrl-C does; under nohup it goes on."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def build() -> typer.Typer:
    """The tree of all COMMANDS."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, module in COMMANDS.items():
        found = import_module(f".{module}", __package__)
        if hasattr(found, "app"):
            app.add_typer(found.app, name=name)
        else:
            app.command(name)(found.command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dynstream {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Edit faces in video while it plays: smile, age and more, steady over time."""


def _say(start: str, message: str, colour: str) -> None:
    text = Text.assemble((start, f"bold {colour}"), (message, colour))
    # Wrapped by the terminal alone, so that a command inside the message can be copied whole.
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)
