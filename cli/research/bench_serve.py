"""`dynstream bench serve`: age, sound offset, admission, leaks and poor lines of the live server, by real clients."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ..options import JsonFile
from ..printing import table_console
from .shared import json_report, say

if TYPE_CHECKING:
    from ...pipelines.research.bench.serve import ServeRow
    from ...pipelines.research.bench.servers import Resources

WIDTH = 180
MIB = 1 << 20


def command(
    context: typer.Context,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="one, several, half-rate, admission, come-and-go, poor-line, slow-requests; default: all of them. "
            "browser: an edited stream in Chromium, by the real networks. Repeatable.",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=2, help="That count, of each measurement.")] = 10.0,
    warm_up: Annotated[
        float, typer.Option(min=0, metavar="S", help="Before that, from when every client has had a picture.")
    ] = 5.0,
    streams: Annotated[int, typer.Option(min=1, help="Of the scenario with several.")] = 4,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the pictures.")] = "640x360",
    fps: Annotated[float, typer.Option(min=1, max=120, help="Frames a second of each client.")] = 30.0,
    connects: Annotated[int, typer.Option(min=1, help="Of come-and-go.")] = 20,
    sockets: Annotated[int, typer.Option(min=1, help="Of slow-requests.")] = 1000,
    clip: Annotated[
        Path | None, typer.Option(metavar="CLIP", help="That the browser's camera sees.", show_default="sample")
    ] = None,
    loss: Annotated[float, typer.Option(min=0, max=50, metavar="PERCENT", help="Of the poor line, each way.")] = 5.0,
    jitter: Annotated[float, typer.Option(min=0, metavar="MS", help="Of the poor line: 0 to this, by chance.")] = 30.0,
    codec: Annotated[str, typer.Option(metavar="VP8|H264", help="That the clients offer.")] = "VP8",
    json_file: JsonFile = None,
    add: Annotated[
        bool, typer.Option("--add", help="Keep what the JSON file holds; replace the scenarios of this run alone.")
    ] = False,
) -> None:
    """Measure the server with a stand-in for the model and real WebRTC clients that stamp each frame, on loopback.

    Age counts from the sending of a frame until it is back. The clients run on the same cores as the server. Steady
    streams have two lines: after the warm-up, and from the first connection on, in which all of them connect.

    Examples:

    - `dynstream bench serve`
    - `dynstream bench serve --seconds 30 --json serve.json`
    - `dynstream bench serve --scenario several --seconds 600 --json serve.json --add`
    - `dynstream bench serve --scenario come-and-go --connects 200`
    - `dynstream bench serve --scenario slow-requests --seconds 30`
    - `dynstream bench serve --scenario browser --seconds 30 --warm-up 30`
    """
    import asyncio

    from ...pipelines.research.bench.documents import serve_document
    from ...pipelines.research.bench.serve import (
        BY_DEFAULT,
        ServeBenchSettings,
        ServeRun,
        bench_serve,
        make_report,
        read_report,
    )
    from ...stream.rawvideo import parse_size

    if codec not in ("VP8", "H264"):
        raise typer.BadParameter(f"--codec {codec}: expected VP8 or H264")
    settings = ServeBenchSettings(
        seconds=seconds,
        warm_up=warm_up,
        size=parse_size(size),
        rate=fps,
        streams=streams,
        connects=connects,
        sockets=sockets,
        clip=_camera(clip) if "browser" in (scenario or ()) else None,
        loss=loss / 100,
        jitter=jitter / 1000,
        codec=codec,
    )
    if add and json_file is None:
        raise typer.BadParameter("--add: expected --json FILE, to which rows are added")
    kept = read_report(json_file) if add and json_file is not None and json_file.exists() else None
    with json_report(context, json_file, more_packages=("aiortc", "aioice", "aiohttp")) as (header, write):
        rows = asyncio.run(bench_serve(scenario or BY_DEFAULT, settings, say))
        write(make_report(ServeRun(**header, settings=settings), rows, kept), serve_document)
    _print(rows)
    if json_file is not None:
        print(json_file)


def _camera(clip: Path | None) -> Path:
    from ...models.zoo.zoo import Zoo

    return clip or Zoo().path("sample-clip")


def _print(rows: "list[ServeRow]") -> None:
    console = table_console(WIDTH)
    table = Table(
        "scenario", "sent", "back", "each fps", "age p50, p95, most (ms)", "age over time (ms)", "growth (ms/min)",
        "longest freeze (ms)", "sound offset, p95 (ms)", "held by the server", "notes",
        title="serve", title_justify="left",
    )  # fmt: skip
    for row in rows:
        numbers = row.numbers
        cells = ["-"] * 8
        if numbers is not None:
            cells = [
                str(numbers.sent),
                str(numbers.received),
                f"{numbers.frames_per_second:.1f}",
                _join(numbers.age_p50, numbers.age_p95, numbers.age_most),
                _join(*numbers.ages_over_time),
                _join(numbers.growth),
                _join(numbers.longest_freeze),
                _join(numbers.sound_offset, numbers.sound_offset_p95),
            ]
        table.add_row(escape(row.scenario), *cells, _held(row.before, row.after), escape(_notes(row.notes)))
    console.print(table)


def _join(*values: float | None) -> str:
    return ", ".join("-" if value is None else f"{value:.0f}" for value in values)


def _held(before: "Resources | None", after: "Resources | None") -> str:
    if before is None or after is None:
        return "-"
    counts = [f"{name} {getattr(before, name)} to {getattr(after, name)}" for name in ("files", "threads", "tasks")]
    return "\n".join([f"{before.memory / MIB:.0f} to {after.memory / MIB:.0f} MiB", *counts])


def _notes(notes: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} {value}" for name, value in notes.items())
