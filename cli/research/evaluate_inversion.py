"""`dynstream evaluate inversion`: E0 on faces of pictures and clips, beside two baselines in the same run."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..options import Exclude, Generator, Include, JsonFile, ProgressStyle
from ..printing import note_on, table_console
from ..progress import count_frames
from ..target import target
from ..weights import IndexUrl, Offline, open_zoo
from .shared import json_report, notes

if TYPE_CHECKING:
    from ...pipelines.research.evaluation.inversion import SetResult

WIDTH = 150


def command(
    context: typer.Context,
    data: Annotated[
        list[Path], typer.Option("--data", metavar="PATH", help="Pictures and clips: a file or a folder. Repeatable.")
    ],
    include: Include = None,
    exclude: Exclude = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Take every Nth frame of a clip.")] = 10,
    optimize: Annotated[int, typer.Option(min=0, metavar="STEPS", help="Baseline: optimize W+; 0 for not.")] = 150,
    optimize_faces: Annotated[
        int, typer.Option("--optimize-faces", min=1, metavar="N", help="So many faces of each --data, as it is slow.")
    ] = 8,
    refine: Annotated[int, typer.Option(min=0, metavar="STEPS", help="Also after `--refine` of each clip: slow.")] = 0,
    encoder: Annotated[Path | None, typer.Option(metavar="FILE", help="Another encoder than the shipped one.")] = None,
    generator: Generator = "mobilestylegan",
    device: Annotated[str, typer.Option(metavar="NAME", help="Where to draw and optimize: cpu, cuda, cuda:1.")] = "cpu",
    json_file: JsonFile = None,
    sheet_file: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Write source and drawings side by side.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the JSON and PNG files.")] = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Invert faces and hold the drawings against them: MSE, LPIPS, ArcFace cosine, dlib distance.

    Each as its mean and as the value that the worst tenth of the faces do not reach. Each --data is a table of its own.
    Optimized codes are kept in the cache: the same command after an interruption goes on.

    Examples:

    - `dynstream evaluate inversion --data portraits --data clips --include "*0.jpg" --include "lp_d1[08]*"`
    - `dynstream evaluate inversion --data me.mp4 --every 5 --optimize 0 --sheet me.png`
    """
    from ...pipelines.common.annotate import encode_png
    from ...pipelines.research.common.cache import open_cache
    from ...pipelines.research.evaluation.documents import inversion_document
    from ...pipelines.research.evaluation.face_sets import FaceSet, cut_faces, files_of
    from ...pipelines.research.evaluation.face_sheet import sheet
    from ...pipelines.research.evaluation.inversion import InversionSettings
    from ...pipelines.research.evaluation.load_inversion import load_inversions
    from ...pipelines.tracking.backends import load_backend

    console = notes()
    settings = InversionSettings(optimize=optimize, optimize_faces=optimize_faces, device=device)
    files = [files_of(path, include or [], exclude or []) for path in data]
    skipped: list[str] = []

    def note(path: Path, why: str) -> None:
        skipped.append(f"{path.name} {why}")
        console.print(f"Note: left out: {path} {why}", style="yellow", markup=False)

    watch = partial(count_frames, progress)
    with (
        json_report(context, json_file, overwrite=overwrite) as (header, write),
        target(sheet_file, overwrite) as sheet_target,
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        backend = load_backend("mesh", zoo)
        sets: list[FaceSet] = []
        for path, chosen in zip(data, files, strict=True):
            name = _unique(path.resolve().stem, [one.name for one in sets])
            with watch(f"{name}: faces", len(chosen)) as count:
                sets.append(cut_faces(name, chosen, backend, every=every, skipped=note, progress=count))
        with open_cache(zoo.cache) as cache:
            inversions = load_inversions(
                zoo,
                settings,
                encoder=encoder,
                generator=generator,
                refine=refine,
                cache=cache,
                report=note_on(console),
            )
            seconds = inversions.encoder_time(sets[0].faces[0])
            results = []
            for one in sets:
                results.append(inversions.score(one, watch))
                _print(results[-1])
        milliseconds = seconds.scaled(1e3)
        threads = header["machine"]["threads"]["torch"]
        print(f"E0, one face at a time: {milliseconds.median:.1f} ms ({threads} threads)")
        said = {
            "include": include or [], "exclude": exclude or [], "every": every, "optimize": optimize, "refine": refine,
            "encoder": encoder.name if encoder else "shipped", "generator": generator, "device": device,
        }  # fmt: skip
        found = {"settings": said, "encoder_ms": milliseconds, "sets": [one.as_dict() for one in results]}
        write(header | found | {"skipped": skipped}, inversion_document)
        if sheet_target is not None:
            sheet_target.write_bytes(encode_png(sheet(results)))
    for written in (json_file, sheet_file):
        if written is not None:
            print(written)


def _unique(name: str, taken: list[str]) -> str:
    same = sum(one == name or one.startswith(f"{name} (") for one in taken)
    return f"{name} ({same + 1})" if same else name


def _print(result: "SetResult") -> None:
    from ...pipelines.research.evaluation.inversion import MEASURES

    console = table_console(WIDTH)
    title = f"{result.name}, {result.faces} faces: mean (a tenth is worse than)"
    table = Table("", "faces", title=escape(title), title_justify="left", box=None, pad_edge=False)
    for measure in MEASURES:
        table.add_column(f"{measure.label}, {measure.better}", justify="right")
    for row in result.rows:
        scores = [row.scores.get(measure.name) for measure in MEASURES]
        cells = ["-" if one is None else f"{one.mean:.3f} ({one.worst_tenth:.3f})" for one in scores]
        table.add_row(escape(row.name), str(row.faces), *cells)
    console.print(table)
