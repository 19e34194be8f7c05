"""`dynstream bench live`: how many edited frames a second, and how old, on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..options import (
    DEFAULT_ENCODER,
    Backend,
    Compiled,
    Conceal,
    Device,
    Encoder,
    Faces,
    Generator,
    JsonFile,
    Mode,
    OutputRate,
    Precision,
)
from ..printing import table_console
from ..weights import IndexUrl, Offline, open_zoo
from .shared import Edits, json_report, say

if TYPE_CHECKING:
    from ...pipelines.research.bench.live import LiveResult, Overhead

WIDTH = 180


def command(
    context: typer.Context,
    clip: Annotated[
        Path | None, typer.Option("--clip", metavar="FILE", help="A video; default: the sample clip.")
    ] = None,
    edit: Edits = None,
    streams: Annotated[
        list[int] | None, typer.Option("--streams", min=1, help="Streams at once; default: 1. Repeatable.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="That count, for each number of streams.")] = 30.0,
    warm_up: Annotated[float, typer.Option("--warm-up", min=0, help="Seconds before them.")] = 10.0,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size that the clip is scaled to.")] = "640x360",
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Frames a second; default: the clip's.")] = None,
    max_latency: Annotated[
        float, typer.Option("--max-latency", metavar="MS", help="Show the source where an edit takes longer.")
    ] = 250.0,
    mode: Mode = "detail",
    faces: Faces = "largest",
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    device: Device = "cpu",
    compiled: Compiled = False,
    precision: Precision = "auto",
    conceal: Conceal = False,
    output_fps: OutputRate = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch; default: every usable core.")] = None,
    quality_level: Annotated[
        str | None, typer.Option(metavar="NAME", help="Hold one quality level instead of choosing by load.")
    ] = None,
    overhead: Annotated[bool, typer.Option("--overhead/--no-overhead", help="Also the engine without models.")] = True,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Feed a clip at its own pace into the live engine, and report edited frames a second, their age and the rest.

    Examples:

    - `dynstream bench live --seconds 300 --fps 24 --json live.json`
    - `dynstream bench live --fps 15 --output-fps 30`
    - `dynstream bench live --streams 1 --streams 4 --streams 16 --fps 30 --device cuda --compile`
    """
    from ...models.directions.directions import load_directions
    from ...pipelines.common.machine import usable_cores
    from ...pipelines.compositing.composite import check_mode
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.engine.load import Models, defaults, hold, load_engine
    from ...pipelines.research.bench.documents import live_document
    from ...pipelines.research.bench.live import LiveBenchSettings, bench_live, bench_overhead, read_frames
    from ...pipelines.tracking.face_selection import parse_policy
    from ...stream.rawvideo import parse_size

    edits = parse_edits(edit or ["smile=2"], None, load_directions())
    parse_policy(faces)
    models = Models(
        generator=generator,
        backend=backend,
        encoder=encoder,
        device=device,
        compiled=compiled,
        precision=precision,
        conceal=conceal,
    )
    settings = defaults(device) if quality_level is None else hold(defaults(device), quality_level)
    scaled, checked = parse_size(size), check_mode(mode)
    import torch

    torch.set_num_threads(threads or usable_cores())
    results: list[LiveResult] = []
    with (
        json_report(context, json_file) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        pictures, own_rate = read_frames(clip or zoo.path("sample-clip"), scaled)
        rate = fps or own_rate
        for count in streams or [1]:
            say(f"{count} streams for {warm_up + seconds:.0f} s")
            options = LiveBenchSettings(
                streams=count,
                rate=rate,
                seconds=seconds,
                warm_up=warm_up,
                size=scaled,
                max_latency_ms=max_latency,
                mode=checked,
                faces=faces,
                output_rate=output_fps,
            )
            with load_engine(zoo, models, settings) as engine:
                results.append(bench_live(engine, pictures, rate, edits, options))
        cost = bench_overhead() if overhead else None
        said = {
            "models": models, "edits": edit or ["smile=2"], "rate": rate, "max_latency_ms": max_latency, "size": scaled,
            "quality_level": quality_level, "output_rate": output_fps, "engine": settings,
            "threads": torch.get_num_threads(),
        }  # fmt: skip
        write(header | {"settings": said, "live": results, "overhead": cost}, live_document)
    _print(results, cost, rate)
    if json_file is not None:
        print(json_file)


def _print(results: "list[LiveResult]", cost: "Overhead | None", rate: float) -> None:
    console = table_console(WIDTH)
    table = Table(
        "streams", "shown/s", "edited/s", "drawn/s", "drawings/s", "age p50, p95, most (ms)", "cores",
        "memory growth, second half (MiB)", "mean batch", "quality_level", "outcomes",
        title=f"live, {rate:g} frames/s in, for each stream", title_justify="left",
    )  # fmt: skip
    for result in results:
        ages = ", ".join("-" if age is None else f"{age:.0f}" for age in result.age_ms.values())
        growths = (result.memory_growth_mb, result.late_memory_growth_mb)
        table.add_row(
            str(result.streams),
            *(f"{value:.1f}" for value in (result.fps_out, result.fps_edited, result.fps_drawn, result.drawings)),
            ages,
            f"{result.cores_busy:.2f}",
            ", ".join("-" if growth is None else f"{growth:+.1f}" for growth in growths),
            f"{result.engine['mean_batch']:.1f}",
            str(result.engine["quality_level"]),
            escape("\n".join(f"{count} {outcome}" for outcome, count in result.outcomes.items())),
        )
    console.print(table)
    names = results[-1].stages if results else ()
    stages = Table("streams", *names, title="stages (ms): mean, p50, p95", title_justify="left")
    for result in results:
        cells = (f"{s['mean_ms']:.1f}, {s['p50_ms']:.1f}, {s['p95_ms']:.1f}" for s in result.stages.values())
        stages.add_row(str(result.streams), *cells)
    console.print(stages)
    if cost is not None:
        age = cost.age_ms["p95"]
        console.print(
            f"the engine itself, {cost.streams} streams: {cost.processor_ms:.2f} ms of processor time a frame "
            f"(2 or less is wanted), age p95 {'-' if age is None else f'{age:.1f}'} ms"
        )
