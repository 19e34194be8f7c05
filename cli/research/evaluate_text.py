"""`dynstream evaluate text`: how well edits in words do what they say."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import JsonFile, OverwriteJson
from ..weights import IndexUrl, Offline, open_zoo
from .bench_tables import print_document
from .shared import Clips, json_report, say

WIDTH = 180


def command(
    context: typer.Context,
    clip: Clips = None,
    run: Annotated[Path, typer.Option(metavar="FOLDER", help="Keeps rows and pictures.")] = Path("runs/evaluate-text"),
    frames: Annotated[int, typer.Option(min=2, metavar="N", help="Frames of each clip.")] = 12,
    start: Annotated[int, typer.Option(min=0, metavar="N", help="First frame.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="WORDS", help="Of the descriptions. Repeatable.")
    ] = None,
    judge: Annotated[str, typer.Option(metavar="own|clip", help="Embedding that judges.")] = "own",
    mode: Annotated[str, typer.Option(metavar="detail|replace", help="How faces are put back.")] = "detail",
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow that steadiness is judged by.")] = "dis",
    json_file: JsonFile = None,
    overwrite: OverwriteJson = False,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Edit clips by 24 descriptions and judge the result; and read 200 sentences as people type them.

    The embedding that judges is trained by another seed on other faces than any that edits. --judge clip takes the
    user's CLIP (`dynstream models import clip-vit-b32 FILE`). Running the same command again goes on where it was
    stopped.

    Example: `dynstream evaluate text --clip a.mp4 --clip b.mp4 --json text.json`
    """
    from dataclasses import replace

    from ...models.directions.directions import load_directions
    from ...models.metrics.lpips import load_lpips
    from ...models.text.clip import find_clip
    from ...models.text.concept_head import load_concept_reader
    from ...models.text.embedding import TextImageEmbedding
    from ...models.text.face_text import load_face_text
    from ...pipelines.common.flow import load_flow
    from ...pipelines.compositing.composite import check_mode
    from ...pipelines.editor.load import load_editor
    from ...pipelines.edits.concepts import CONCEPTS
    from ...pipelines.edits.edit import Edits
    from ...pipelines.edits.text import TextReader, load_text_reader
    from ...pipelines.research.metrics.identity import load_embedder
    from ...pipelines.research.text.evaluate import TextJudges, evaluate_text, read_descriptions, text_document
    from ...pipelines.research.text.measured_faces import load_measurer
    from ...pipelines.research.text.sentences import read_sentences
    from ...stream.reader import VideoReader

    if judge not in ("own", "clip"):
        raise typer.BadParameter(f"--judge {judge}: expected own or clip")
    descriptions = [one for one in read_descriptions() if not only or one.words in only]
    if not descriptions:
        known = ", ".join(one.words for one in read_descriptions())
        raise typer.BadParameter(f"--only: expected some of {known}")
    checked, directions = check_mode(mode), load_directions()
    for path in clip or []:
        VideoReader(path).close()
    run.mkdir(parents=True, exist_ok=True)
    with (
        json_report(context, json_file, overwrite=overwrite) as (header, write),
        open_zoo(offline=offline, index_url=index_url) as zoo,
    ):
        embedding: TextImageEmbedding = find_clip(zoo) if judge == "clip" else load_face_text(zoo, head="judge")
        judges = TextJudges(
            embedding, load_measurer(zoo), load_embedder("arcface", zoo), load_lpips(zoo), load_flow(flow, zoo)
        )
        editor, reader = load_editor(zoo, Edits((), directions), mode=checked), load_text_reader(zoo, directions)
        rows = evaluate_text(
            clip or [zoo.path("sample-clip")], editor, reader, directions, judges, run,
            descriptions=descriptions, frames=frames, start=start, progress=say,
        )  # fmt: skip
        # Whether words are understood does not depend on which of their edits there are.
        everything = TextReader(
            load_concept_reader(zoo), {edit: (-3.0, 3.0) for one in CONCEPTS.values() for edit in one.moves}
        )
        halves = [
            ("seen while it was made", read_sentences(0), everything),
            ("not seen", read_sentences(1), everything),
        ]
        found = replace(text_document(rows, halves), **header)
        write(found)
    print_document(found, found.title, WIDTH)
