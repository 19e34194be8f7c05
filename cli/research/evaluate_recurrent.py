"""`dynstream evaluate recurrent`: what the recurrent encoder gains over E0, and what each of its parts is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Exclude, Generator, Include, JsonFile, OverwriteJson, ProgressStyle
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import json_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ...pipelines.research.evaluation.long_run import LongRun
    from ...pipelines.research.evaluation.networks import Networks
    from ...pipelines.research.evaluation.recurrent import InverterRow, PreparedClip, RowScores

REFINED = ("E0 averaged", "recurrent")
WIDTH = 180
EDITS = ("smile=2", "age=2", "age=-2", "chubby=2")


def command(
    context: typer.Context,
    data: Annotated[list[Path], typer.Option("--data", metavar="PATH", help="Clips: a file or a folder. Repeatable.")],
    include: Include = None,
    exclude: Exclude = None,
    frames: Annotated[int, typer.Option(min=3, metavar="N", help="The first frames of each clip.")] = 150,
    edit: Annotated[
        list[str] | None,
        typer.Option("--edit", metavar="NAME=STRENGTH", help="For TL-ID and TG-ID; none for no edit. Repeatable."),
    ] = None,
    recurrent: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The recurrent encoder, in place of the shipped one.")
    ] = None,
    encoder: Annotated[Path | None, typer.Option(metavar="FILE", help="E0, in place of the shipped one.")] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            "--other", metavar="NAME=FILE", help="One more row: other weights, as of a training without a loss."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only these rows. Repeatable.")
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            metavar="replace|detail",
            help="How edited faces are put back; both unless one is named. Repeatable.",
        ),
    ] = None,
    refine: Annotated[
        int,
        typer.Option(min=0, metavar="STEPS", help="Also E0 averaged and the recurrent encoder after `--refine`: slow."),
    ] = 0,
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow of the warp error.")] = "raft",
    long: Annotated[
        int,
        typer.Option(metavar="FRAMES", help="Instead: does it drift? So many frames of the first clip, to and fro."),
    ] = 0,
    generator: Generator = "mobilestylegan",
    json_file: JsonFile = None,
    overwrite: OverwriteJson = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """E0 frame by frame, E0 averaged, the recurrent encoder, and it without each of its parts, on the same frames.

    Columns: MSE and LPIPS of the inverted faces, warp error of the inverted video as a ratio to the source's own
    (inside the face's quad, and of the whole frame), seconds for 100 frames, and TL-ID and TG-ID of each edited video
    (STIT: ratios to the source), once with the drawn face in the frame and once as `detail` puts it back. What is
    measured of a picture is kept in the cache.

    Examples:

    - `dynstream evaluate recurrent --data clips --include "lp_d1[08]*"`
    - `dynstream evaluate recurrent --data me.mp4 --long 10000`
    - `dynstream evaluate recurrent --data me.mp4 --other no-composition=runs/no-composition/recurrent.safetensors`
    """
    from ...models.directions.directions import load_directions
    from ...models.encoders.encoder import WEIGHTS as ENCODER
    from ...models.encoders.encoder import load_encoder
    from ...models.encoders.recurrent_encoder import WEIGHTS, load_recurrent_encoder
    from ...models.generator.load import load_generator
    from ...pipelines.common.clips import VIDEO_SUFFIXES
    from ...pipelines.common.errors import PipelineError
    from ...pipelines.compositing.composite import MODES, check_mode
    from ...pipelines.editor.face_editor import FaceEditor
    from ...pipelines.editor.renderer import Renderer
    from ...pipelines.edits.edit import Edits
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.fitting.pivotal_tuning import UNHURRIED, FitSettings
    from ...pipelines.fitting.refinement import refine_clip
    from ...pipelines.research.common.cache import open_cache
    from ...pipelines.research.common.timing import plain
    from ...pipelines.research.evaluation.cached_features import CachedFeatures
    from ...pipelines.research.evaluation.documents import recurrent_document
    from ...pipelines.research.evaluation.face_sets import files_of
    from ...pipelines.research.evaluation.networks import load_networks
    from ...pipelines.research.evaluation.recurrent import (
        KnownCodes,
        make_rows,
        prepare_clip,
        refined_name,
        refined_row,
        score_row,
    )

    modes = [check_mode(name) for name in dict.fromkeys(mode or MODES)]
    files = [
        path for one in data for path in files_of(one, include or [], exclude or []) if path.suffix in VIDEO_SUFFIXES
    ]
    if not files:
        raise PipelineError("found no clips; mend --data, --include or --exclude")
    directions = load_directions()
    texts = [text for text in edit or EDITS if text != "none"]
    if not edit:
        texts = [text for text in texts if text.partition("=")[0] in directions]
    edits = {text: parse_edits([text], None, directions) for text in texts}
    offsets = {text: one.offset(0.0) for text, one in edits.items()}
    moves = {text: offset for text, offset in offsets.items() if offset is not None}
    named = dict(_named(text) for text in other or [])
    with (
        json_report(context, json_file, overwrite=overwrite) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        networks = load_networks({"reconstruction", "time", "identity"}, zoo, flow=flow)
        draw = load_generator(generator, zoo)
        invert = load_encoder(encoder or ENCODER)
        codes = KnownCodes(invert)
        own = load_recurrent_encoder(recurrent or WEIGHTS)
        rows = make_rows(codes, draw, own, {name: load_recurrent_encoder(path) for name, path in named.items()})
        assert networks.tracker is not None
        names = [row.name for row in rows] + [refined_name(name) for name in REFINED if refine]
        unknown = [name for name in only or [] if name not in names]
        if unknown:
            raise PipelineError(f"--only {unknown[0]}: expected one of {', '.join(names)}")
        wanted = [row for row in rows if row.name in REFINED and (not only or refined_name(row.name) in only)]
        if refine and wanted:
            start, fits = FaceEditor(networks.tracker, Renderer(invert, draw), Edits((), {})), {}
            settings, kept = FitSettings(steps=refine, seconds=UNHURRIED), zoo.cache / "refined"
            for path in files:
                with count_frames(progress, f"fit to {path.name}", refine) as count:
                    fitted = refine_clip(start, path, zoo, settings=settings, cache=kept, progress=count)
                fits[path.name] = fitted.plain_renderer()
            rows += [refined_row(row, fits) for row in wanted]
        rows = [row for row in rows if not only or row.name in only]
        clips = [prepare_clip(path, networks.tracker, rows[0].renderer, frames) for path in files]
        total = sum(len(clip.looks) for clip in clips) * (1 + len(moves))
        if long:
            chosen = next(row for row in rows if row.name == (only or ["recurrent"])[0])
            with count_frames(progress, chosen.name, long) as count:
                write(_long(chosen, clips[0], moves, networks, long, zoo.cache / "flow", count))
            return
        with open_cache(zoo.cache) as cache:
            found: dict[str, RowScores] = {}
            for row in rows:
                with count_frames(progress, row.name, total) as count:
                    found[row.name] = score_row(
                        row, clips, moves, networks, CachedFeatures(networks, cache), modes=modes, progress=count
                    )
        result = header | {"clips": [path.name for path in files], "frames": frames, "flow": flow, "rows": found}
        write(result, recurrent_document)
    print_document(recurrent_document(plain(result)), "", WIDTH)


def _long(
    row: "InverterRow",
    clip: "PreparedClip",
    moves: "dict[str, Tensor]",
    networks: "Networks",
    frames: int,
    folder: Path,
    count: "Callable[[int], None]",
) -> "LongRun":
    import numpy as np

    from ...pipelines.common.flow import DisFlow
    from ...pipelines.research.common.flow_cache import FlowCache
    from ...pipelines.research.evaluation.long_run import run_long

    faces = np.stack([job.face for look in clip.looks for job in look.jobs])
    flows = FlowCache(folder).get(faces, DisFlow())
    embedder = networks.embedders["arcface"]
    offset = next(iter(moves.values()), None)
    found = run_long(row.renderer, faces, flows, offset, embedder, frames, progress=count)
    print(f"{row.name}, {frames} frames of {clip.name}, {next(iter(moves), 'no edit')}; first and last:")
    for name, unit in (("mse", ""), ("warp", ""), ("identity", ""), ("memory", " MiB")):
        first, last = getattr(found.first, name), getattr(found.last, name)
        print(f"  {name:9} {first:10.5f} {last:10.5f}{unit}  {100 * (last / first - 1):+.2f} %")
    return found


def _named(text: str) -> tuple[str, Path]:
    from ...pipelines.common.errors import PipelineError

    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise PipelineError(f"--other {text}: expected NAME=FILE, such as no-composition=recurrent.safetensors")
    return name, Path(path)
