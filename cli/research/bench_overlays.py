"""`dynstream bench overlays`: how much of what lies in front of a face an edit changes."""

from dataclasses import replace
from typing import Annotated

import typer

from ...pipelines.research.common.extra import need_research
from ..options import JsonFile
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import Clips, json_report, say

WIDTH = 120


def command(
    context: typer.Context,
    clip: Clips = None,
    edit: Annotated[str, typer.Option("--edit", metavar="NAME=STRENGTH", help="The edit.")] = "smile=2",
    frames: Annotated[int, typer.Option(min=1, metavar="N", help="Frames of each clip.")] = 4,
    start: Annotated[int, typer.Option(min=0, metavar="N", help="First frame.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Overlays of each kind on each clip.")] = 3,
    kind: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Kinds; all by default. Repeatable.")] = None,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Draw captions, lower thirds, stickers, hands, microphones, masks, hats and bars in front of faces, and edit.

    Example: `dynstream bench overlays --clip a.mp4 --edit smile=2 --json overlays.json`
    """
    need_research("PIL")
    from ...models.directions.directions import load_directions
    from ...pipelines.editor.load import load_editor
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.bench.edits import read_frames
    from ...pipelines.research.bench.overlays import bench_overlays, overlays_document
    from ...pipelines.research.synth.overlays import KINDS

    for name in kind or []:
        if name not in KINDS:
            raise typer.BadParameter(f"--kind {name}: unknown; expected one of {', '.join(KINDS)}")
    edits = parse_edits([edit], None, load_directions())
    with (
        json_report(context, json_file) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        paths = clip or [zoo.path("sample-clip")]
        clips = [read_frames(path, start, frames) for path in paths]
        rows = bench_overlays(clips, load_editor(zoo, edits), seeds=seeds, kinds=kind or list(KINDS), progress=say)
        found = replace(overlays_document(rows, edit, paths), **header)
        write(found)
    print_document(found, found.title, WIDTH)
    print(found.note)
