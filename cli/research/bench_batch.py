"""`dynstream bench batch`: what spreading files over workers costs, and that nothing is lost when they are killed."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from ..options import JsonFile
from ..printing import table_console
from .shared import json_report, say


def command(
    context: typer.Context,
    files: Annotated[int, typer.Option(min=20, help="Files of two seconds that are edited under kills.")] = 1000,
    kills: Annotated[int, typer.Option(min=0, help="Workers that are killed meanwhile.")] = 10,
    workers: Annotated[int, typer.Option(min=1, help="Workers, with one core each.")] = 2,
    simulated: Annotated[int, typer.Option(min=1, help="Workers that pretend to work for a second a file.")] = 32,
    many: Annotated[int, typer.Option(min=100, help="Files over which the driver's memory is watched.")] = 10_000,
    clip: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|sample",
            help="Instead: edit this clip with the real networks, whole and in two pieces by two workers.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=11, metavar="S", help="Of the clip.")] = 12.0,
    every: Annotated[int, typer.Option(min=1, metavar="K", help="Take one frame of the clip in so many.")] = 1,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="An existing folder for the files; default: /tmp.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Run batches with stand-in networks, so that the engine is what is measured, or once with the real ones.

    Examples:

    - `dynstream bench batch --json batch.json`
    - `dynstream bench batch --clip sample --json joint.json`
    """
    from ...models.zoo.zoo import Zoo
    from ...pipelines.research.bench.batch import BatchBenchSettings, bench_batch
    from ...pipelines.research.bench.batch_joint import bench_joint

    settings = BatchBenchSettings(files=files, kills=kills, workers=workers, simulated=simulated, many=many)
    with (
        json_report(context, json_file) as (header, write),
        TemporaryDirectory(prefix="dynstream-bench-", dir=folder) as work,
    ):
        result: Any
        if clip is None:
            result, kind = bench_batch(Path(work), settings, say), "stand-in"
            write(header | {"settings": settings, "batch": result})
        else:
            source = Zoo(offline=True).path("sample-clip") if str(clip) == "sample" else clip
            result, kind = bench_joint(source, Path(work), seconds=seconds, every=every, say=say), "real"
            write(header | {"seconds": seconds, "every": every, "joint": result})
    table = Table("what", "measured", title=f"batch, {kind} networks", title_justify="left")
    for name, value in asdict(result).items():
        table.add_row(name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
    table_console(100).print(table)
    if json_file is not None:
        print(json_file)
