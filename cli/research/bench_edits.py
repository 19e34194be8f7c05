"""`dynstream bench edits`: what arrives of each edit in the finished frame."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import JsonFile
from ..printing import note_on
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import Clips, json_report, notes, say

WIDTH = 180


def command(
    context: typer.Context,
    clip: Clips = None,
    name: Annotated[
        list[str] | None, typer.Option("--edit", metavar="NAME", help="Edits to measure; all by default. Repeatable.")
    ] = None,
    run: Annotated[Path, typer.Option(metavar="FOLDER", help="Keeps rows and pictures.")] = Path("runs/edits"),
    frames: Annotated[int, typer.Option(min=1, metavar="N", help="Frames of each clip.")] = 12,
    scored: Annotated[int, typer.Option(min=1, metavar="N", help="Of them, those to be scored.")] = 3,
    start: Annotated[int, typer.Option(min=0, metavar="N", help="First frame.")] = 0,
    region: Annotated[str, typer.Option(metavar="auto|face|hair|head", help="What may change.")] = "auto",
    mode: Annotated[str, typer.Option(metavar="detail|replace", help="How faces are put back.")] = "detail",
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow that steadiness is judged by.")] = "dis",
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Draw every edit at both ends of its range, and measure how much of it arrives in the finished frame.

    Running the same command again goes on where it was stopped. The folder of --run gets a contact sheet of each edit:
    source, inversion, drawn edit and finished frame of each clip.

    Examples:

    - `dynstream bench edits --clip a.mp4 --clip b.mp4 --json edits.json`
    - `dynstream bench edits --edit blond --edit yaw --frames 30`
    """
    from dataclasses import asdict, replace

    from ...models.directions.directions import load_directions
    from ...pipelines.common.errors import EditError
    from ...pipelines.common.flow import load_flow
    from ...pipelines.compositing.composite import check_mode
    from ...pipelines.editor.load import load_editor
    from ...pipelines.edits.edit import Edits
    from ...pipelines.edits.regions import parse_region
    from ...pipelines.research.bench.edits import EditScorers, bench_edits, contact_sheets, edits_document, is_scored
    from ...pipelines.research.common.json_files import json_text
    from ...pipelines.research.directions.face_scores import load_face_scorer
    from ...pipelines.research.metrics.identity import load_embedders
    from ...stream.reader import VideoReader

    known = load_directions()
    for each in name or []:
        if each not in known:
            raise EditError(f"unknown edit {each!r}; known are {', '.join(known)}")
    for path in clip or []:
        VideoReader(path).close()
    checked, forced = check_mode(mode), parse_region(region)
    run.mkdir(parents=True, exist_ok=True)
    with (
        json_report(context, json_file) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        embedders = load_embedders(("arcface", "dlib"), zoo, note_on(notes()))
        scorers = EditScorers(load_face_scorer(zoo), embedders, load_flow(flow, zoo))
        editor = load_editor(zoo, Edits((), known, region=forced), mode=checked)
        wanted = [known[each] for each in name or filter(is_scored, known)]
        rows = bench_edits(
            clip or [zoo.path("sample-clip")], editor, scorers, wanted, run,
            frames=frames, scored=scored, start=start, progress=say,
        )  # fmt: skip
        found = replace(edits_document(rows), **header)
        write(found)
    print_document(found, found.title, WIDTH)
    print(found.note)
    (run / "rows.json").write_text(json_text([asdict(row) for row in rows]))
    for sheet in contact_sheets(rows, run):
        print(sheet)
