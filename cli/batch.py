"""`dynstream batch`: many files, on this machine or on a Ray cluster."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .options import (
    DEFAULT_ENCODER,
    Backend,
    Codec,
    Crf,
    Edit,
    Encoder,
    EncoderPreset,
    Faces,
    Generator,
    Mark,
    MarkOpacity,
    MarkSize,
    MarkText,
    Mode,
    PixFmt,
    Precision,
    Preset,
    Region,
    SignCert,
    Signed,
    SignKey,
)
from .weights import Offline
from .wording import Text as Words
from .wording import TextFrom, TextStrength, edits_and_texts

if TYPE_CHECKING:
    from ..pipelines.batch.run import BatchStatus


def command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCES...", help="Files, globs, folders, URLs, .csv or .jsonl lists.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Folder or URL of the results.")],
    edit: Edit = None,
    preset: Preset = None,
    text: Words = None,
    text_from: TextFrom = None,
    text_strength: TextStrength = 1.0,
    mode: Mode = "detail",
    region: Region = "auto",
    faces: Faces = "largest",
    encode_every: Annotated[
        str, typer.Option("--encode-every", metavar="K|auto", help="Encode one frame in so many.")
    ] = "1",
    draw_every: Annotated[
        str, typer.Option("--draw-every", metavar="K|auto", help="Draw one frame in so many.")
    ] = "auto",
    fps: Annotated[str | None, typer.Option("--fps", metavar="RATE", help="Frames a second of the results.")] = None,
    generator: Generator = "mobilestylegan",
    backend: Backend = "mesh",
    encoder: Encoder = DEFAULT_ENCODER,
    precision: Precision = "auto",
    codec: Codec = "libx264",
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    pix_fmt: PixFmt = None,
    suffix: Annotated[
        str, typer.Option("--suffix", metavar=".EXT", help="Suffix of the results; default: each source's.")
    ] = "",
    segments: Annotated[
        str, typer.Option("--segments", metavar="auto|N", help="Edit each file in so many pieces, and join them.")
    ] = "1",
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: all cores.")] = None,
    cores: Annotated[int, typer.Option("--cores", min=1, help="Cores of each worker.")] = 1,
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where the networks run.")] = "cpu",
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS|auto", help="A Ray cluster that is running.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that were made otherwise.")] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE.jsonl", help="What is done; default: in --out.")
    ] = None,
    summary: Annotated[Path | None, typer.Option("--summary", metavar="FILE.json", help="Write the figures here.")] = (
        None
    ),
    mark: Mark = "none",
    mark_text: MarkText = None,
    mark_size: MarkSize = None,
    mark_opacity: MarkOpacity = None,
    credentials: Signed = True,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    offline: Offline = False,
) -> None:
    """Edit the faces of many files; the same command again goes on where it was stopped.

    A manifest has the columns source, result, edits, text and the options of `dynstream transcode`, each by choice but
    the first. Everything is checked before anything starts. What is done is written beside the results. A file that
    fails three times is set aside and the rest goes on; the exit status is 0 only if every file is made.

    Examples:

    - `dynstream batch season/ --out edited --edit smile=2`
    - `dynstream batch 'clips/*.mp4' --out edited --preset older.toml --workers 4`
    - `dynstream batch clips/ --out edited --text "a little older, with grey hair"`
    - `dynstream batch shots.csv --out edited --ray 10.0.0.1:6379 --cores 2`
    - `dynstream batch film.mkv --out edited --edit age=2 --segments auto`
    """
    from ..pipelines.api.batch import batch
    from ..pipelines.common.errors import BatchError
    from ..pipelines.edits.parsing import read_region
    from ..pipelines.edits.regions import AUTO
    from ..stream.atomic import check_target, write_whole

    console = Console(stderr=True, highlight=False, markup=False)
    if segments != "auto" and not (segments.isdecimal() and int(segments) > 0):
        raise typer.BadParameter(f"--segments: expected auto or a number of pieces from 1, got {segments!r}")
    if summary is not None:
        check_target(summary, overwrite=True)
    specs = edits_and_texts(
        edit or [], preset, text or [], console, text_from=text_from, text_strength=text_strength, offline=offline
    ).specs
    chosen = read_region(preset) if preset and region == AUTO else region
    with Live(console=console, refresh_per_second=2, transient=True) as live:

        def show(status: "BatchStatus") -> None:
            if console.is_terminal:
                live.update(_table(status))

        status = batch(
            sources, out, specs, suffix=suffix, ledger=ledger, overwrite=overwrite,
            segments="auto" if segments == "auto" else int(segments), workers=workers, cores=cores, device=device,
            ray=ray, offline=offline, progress=show, mode=mode, region=chosen, faces=faces,
            encode_every=encode_every, draw_every=draw_every, fps=fps, generator=generator, backend=backend,
            encoder=encoder, precision=precision, codec=codec, crf=crf, encoder_preset=encoder_preset, pix_fmt=pix_fmt,
            mark=mark, mark_text=mark_text, mark_size=mark_size, mark_opacity=mark_opacity,
            signing=(sign_cert, sign_key) if credentials else None,
        )  # fmt: skip
    for note in status.notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True)
    console.print(_line(status), soft_wrap=True)
    if summary is not None:
        write_whole(summary, (json.dumps(status.as_dict(), indent=2) + "\n").encode())
    if status.failed:
        shown = "\n".join(f"{source}: {error}" for source, error in status.failed[:10])
        raise BatchError(
            f"{len(status.failed)} of {status.files} files were set aside; the same command tries them again:\n{shown}"
        )


def _line(status: "BatchStatus") -> str:
    figures = status.as_dict()
    failed = f", {len(status.failed)} set aside" if status.failed else ""
    return (
        f"{status.already + status.done} of {status.files} files{failed}; {status.frames} frames in "
        f"{_clock(status.seconds)}, {figures['frames_per_second']:.1f} a second"
    )


def _table(status: "BatchStatus") -> Group:
    made = status.done + len(status.failed)
    rest = _clock(status.seconds / made * status.left) if made else "unknown"
    table = Table("worker", "machine", "", "files and pieces", "frames/s", "deaths")
    for number, worker in enumerate(status.workers[:32]):
        speed = f"{worker.frames / worker.seconds:.1f}" if worker.seconds else ""
        row = (str(number), worker.host, worker.state, str(worker.tasks), speed, str(worker.deaths or ""))
        table.add_row(*(Text(cell) for cell in row))
    return Group(Text(f"{_line(status)}; left: {status.left} files, about {rest}"), table)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
