"""What commands of research share: options, notes on standard error, the JSON file of numbers, the trained weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..command_line import command_line
from ..target import target

if TYPE_CHECKING:
    import torch

    from ...pipelines.research.report.document import Data, Document

Clips = Annotated[
    list[Path] | None, typer.Option("--clip", metavar="FILE", help="A video; default: the sample clip. Repeatable.")
]
Edits = Annotated[
    list[str] | None, typer.Option("--edit", metavar="NAME=STRENGTH", help="Default: smile=2. Repeatable.")
]
HeldOut = Annotated[list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="File names to hold out.")]
TrainedGenerator = Annotated[str, typer.Option(metavar="NAME", help="Generator to invert.")]
TrainingDevice = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to train.")]
Float32 = Annotated[bool, typer.Option("--float32", help="No mixed precision.")]
Run = Annotated[Path, typer.Option("--run", metavar="FOLDER", help="Checkpoint, log and TensorBoard events.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The weights; by default in the run folder.")]
Rate = Annotated[float | None, typer.Option("--lr", min=1e-8, help="Peak learning rate.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps in all.")]

Write = Callable[..., None]


def notes() -> Console:
    """Standard error, for lines that are no result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A dim line on standard error: what is measured next."""
    notes().print(text, style="dim", markup=False)


@contextmanager
def json_report(
    context: typer.Context, path: Path | None, *, overwrite: bool = True, more_packages: Sequence[str] = ()
) -> Iterator[tuple[dict[str, Any], Write]]:
    """(`command` and `machine` of this run, a function that writes a result into the file), for one block.

    The function takes the result and, where that is no document itself, what makes one of it: see `with_document`.

    The file is checked before the block runs, and appears under its name when the block ends well. Where no path is
    given, writing does nothing. more_packages: further packages whose versions the machine's description names.
    """
    from ...pipelines.common.machine import PACKAGES, describe_machine
    from ...pipelines.research.common.json_files import json_text
    from ...pipelines.research.report.document import with_document

    header = {"command": command_line(context), "machine": describe_machine((*PACKAGES, *more_packages))}
    with target(path, overwrite) as place:

        def write(result: Any, make: "Callable[[Data], Document] | None" = None) -> None:
            if place is not None:
                found = result if make is None else with_document(result, make)
                place.write_text(json_text(found), encoding="utf-8")

        yield header, write


def save_trained(network: "torch.nn.Module", out: Path | None, default: Path) -> Path:
    """Write the weights to `out`, or to `default` where none is given; the file."""
    from ...pipelines.research.training.loop import save_weights

    save_weights(network, out or default)
    return out or default
