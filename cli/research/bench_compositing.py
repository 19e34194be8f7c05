"""`dynstream bench compositing`: ways of putting an edited face back, side by side."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..options import JsonFile
from ..printing import note_on
from ..progress import count_frames
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import Clips, json_report, notes

WIDTH = 160


def command(
    context: typer.Context,
    clip: Clips = None,
    edit: Annotated[str, typer.Option("--edit", metavar="NAME=STRENGTH", help="The edit.")] = "smile=2",
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Score every Nth frame.")] = 10,
    json_file: JsonFile = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Score each way of putting the edited face into the frame, on the same drawings.

    Example: `dynstream bench compositing --clip a.mp4 --clip b.mp4 --edit smile=2 --json compositing.json`
    """
    from ...models.directions.directions import load_directions
    from ...pipelines.editor.load import load_editor
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.bench.compositing import CompositingScorers, bench_compositing
    from ...pipelines.research.directions.attributes import load_attribute_scorer
    from ...pipelines.research.metrics.identity import load_embedders
    from ...stream.reader import VideoReader

    edits = parse_edits([edit], None, load_directions())
    for path in clip or []:
        VideoReader(path).close()
    with (
        json_report(context, json_file) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        embedders = load_embedders(("arcface", "dlib"), zoo, note_on(notes()))
        scorers = CompositingScorers(embedders, load_attribute_scorer(zoo), edits.specs[0].name)
        clips = clip or [zoo.path("sample-clip")]
        editor = load_editor(zoo, edits)
        with count_frames("auto", "frames", _frames(clips)) as count:
            found = bench_compositing(clips, editor, scorers, every=every, progress=count)
        found = replace(found, **header)
        write(found)
    print_document(found, found.title, WIDTH)
    print(found.note)
    if json_file is not None:
        print(json_file)


def _frames(clips: list[Path]) -> int | None:
    from ...stream.reader import VideoReader

    total = 0
    for clip in clips:
        with VideoReader(clip) as reader:
            if reader.frame_count_estimate is None:
                return None
            total += reader.frame_count_estimate
    return total
