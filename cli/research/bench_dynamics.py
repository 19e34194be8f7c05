"""`dynstream bench dynamics`: what predictions and fits cost, beside a plain torchdiffeq loop."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..command_line import command_line
from ..options import JsonFile, OverwriteJson
from ..printing import table_console
from ..target import target

WIDTH = 120


def command(
    context: typer.Context,
    repeats: Annotated[int, typer.Option(min=1, help="Timed predictions and observations.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Streams at once, beside one.")] = 8,
    frames: Annotated[int, typer.Option(min=8, help="Of the clip that is fitted.")] = 100,
    paper_steps: Annotated[
        int, typer.Option("--paper-steps", min=1, help="Steps of the slow recipes that are timed and scaled to 5000.")
    ] = 50,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch; default: every usable core.")] = None,
    json_file: JsonFile = None,
    overwrite: OverwriteJson = False,
) -> None:
    """Time the online updater and fits of a made-up clip, and what one would write with torchdiffeq alone.

    Example: `dynstream bench dynamics --json dynamics-bench.json`
    """
    from ...models.dynamics.motion_model import load_motion
    from ...pipelines.common.machine import describe_machine, usable_cores
    from ...pipelines.research.bench.dynamics import Settings, bench_dynamics
    from ...pipelines.research.common.json_files import json_text

    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    settings = Settings(
        frames=frames, batch=batch, repeats=repeats, paper_steps=paper_steps, threads=threads or usable_cores()
    )
    with target(json_file, overwrite) as json_target:
        rows = bench_dynamics(
            load_motion(), settings, progress=lambda what: notes.print(what, style="dim", markup=False)
        )
        if json_target is not None:
            from ...pipelines.research.bench.documents import dynamics_document
            from ...pipelines.research.report.document import with_document

            machine = describe_machine()
            result = {"command": command_line(context), "machine": machine, "settings": settings, "rows": rows}
            json_target.write_text(json_text(with_document(result, dynamics_document)), encoding="utf-8")
    console = table_console(WIDTH)
    table = Table("", "median", "quartiles", "unit", "apart from the codes", box=None)
    for row in rows:
        value = row.value
        table.add_row(
            row.name,
            f"{value.median:.3g}",
            f"{value.low:.3g} to {value.high:.3g}",
            row.unit,
            "" if row.apart is None else f"{row.apart:.1%}",
        )
    console.print(table)
