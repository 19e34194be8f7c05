"""`dynstream bench dynamics`: what predictions and fits cost, beside a plain torchdiffeq loop."""

from typing import Annotated

import typer
from rich.table import Table

from ..options import JsonFile, OverwriteJson
from ..printing import table_console
from .shared import json_report, say

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
    from ...pipelines.common.machine import usable_cores
    from ...pipelines.research.bench.documents import dynamics_document
    from ...pipelines.research.bench.dynamics import DynamicsBenchSettings, bench_dynamics

    settings = DynamicsBenchSettings(
        frames=frames, batch=batch, repeats=repeats, paper_steps=paper_steps, threads=threads or usable_cores()
    )
    with json_report(context, json_file, overwrite=overwrite) as (header, write):
        rows = bench_dynamics(load_motion(), settings, progress=say)
        write(header | {"settings": settings, "rows": rows}, dynamics_document)
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
