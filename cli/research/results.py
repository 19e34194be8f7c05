"""`dynstream results`: the page of results, from its JSON files; and everything that those are made of."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ...pipelines.research.common.extra import need_research
from ..command_line import command_line
from ..weights import IndexUrl, Offline, open_zoo

if TYPE_CHECKING:
    from ...pipelines.research.results.plan import Step

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Measure everything, and write docs/results.md from the JSON files of the measurements.",
)

Folder = Annotated[
    Path, typer.Option("--results", metavar="FOLDER", help="The JSON files; the page is written beside the folder.")
]
RESULTS = Path("docs/results")


@app.command()
def write(results: Folder = RESULTS) -> None:
    """Write FOLDER.md, and its plots into FOLDER/plots, from FOLDER/*.json.

    Example: `dynstream results write`
    """
    need_research("matplotlib")
    _write_page(results)


@app.command()
def run(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With clips/ and portraits/: the table's clips and the held-out faces.",
        ),
    ] = None,
    clip: Annotated[
        list[Path] | None, typer.Option("--clip", metavar="FILE", help="Another clip for the table. Repeatable.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample/--no-sample", help="The sample clip of the demo.")] = True,
    synthetic: Annotated[int, typer.Option(min=0, metavar="N", help="Synthetic clips with known truth.")] = 10,
    frames: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of each clip's beginning at most; 0 for whole clips.")
    ] = 100,
    edit: Annotated[str, typer.Option(metavar="NAME=STRENGTH", help="The edit that is measured.")] = "smile=2",
    cores: Annotated[int, typer.Option(min=0, metavar="N", help="For the timed commands; 0 for all.")] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="transcode, generator, peers, edits, compositing or inversion. Repeatable."),
    ] = None,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Clips, numbers and what is done.")] = Path(
        "runs/results"
    ),
    results: Folder = RESULTS,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would be run.")] = False,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Run every measurement of the page that is not done yet, then write the page.

    Stopped or killed, the same command goes on. A step is run again when its command, its input or the project's own
    weights have changed; to measure all anew, remove the work folder.

    Examples:

    - `dynstream results run --data ../data --cores 2`
    - `dynstream results run --clip me.mp4 --synthetic 2 --frames 50 --only edits`
    """
    from ...models.directions.directions import load_directions
    from ...pipelines.edits.parsing import parse_edits
    from ...pipelines.research.common.json_files import write_json
    from ...pipelines.research.report.document import with_document
    from ...pipelines.research.results.edits import edits_document
    from ...pipelines.research.results.plan import MEASURED, PARTS, ResultsSettings, steps
    from ...pipelines.research.results.run import Ledger, cut_clips, gather, run_steps
    from ...stream.reader import VideoReader

    if not dry:
        need_research("matplotlib")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    parse_edits([edit], None, load_directions())  # refuse a wrong one before anything is run
    clips = [data / "clips" / name for name in MEASURED] if data else []
    clips += clip or []
    for path in clips:
        VideoReader(path).close()
    folders = [data / "portraits", data / "clips"] if data else []
    named = work / "sources" / "sample.mp4"  # the table goes by the name of the file
    if sample:
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            fetched = zoo.path("sample-clip")
        clips.insert(0, named)
    settings = ResultsSettings(
        clips=clips,
        synthetic=synthetic,
        frames=frames,
        edit=edit,
        data=folders,
        work=work,
        results=results,
        cores=cores,
        parts=only or PARTS,
    )
    planned = steps(settings)
    ledger = Ledger(work / "done")
    console.print(_estimate(planned, dry), markup=False)
    if dry:
        for step in planned:
            print(f"dynstream {' '.join(step.command)}")
        return
    for folder in (named.parent, results):
        folder.mkdir(parents=True, exist_ok=True)
    if sample:
        shutil.copyfile(fetched, named)
    cut_clips(settings)
    run_steps(planned, ledger, say=lambda line: console.print(line, style="bold", markup=False))
    if "edits" in settings.parts:
        found = {"command": command_line(context)} | gather(settings)
        write_json(results / "edits.json", with_document(found, edits_document))
    _write_page(results)


@app.command()
def learning(
    logs: Annotated[
        list[str], typer.Argument(metavar="NAME=RUN...", help="What was trained, and its run folder or log.jsonl.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The JSON file.")] = RESULTS / "learning.json",
) -> None:
    """Keep the learning curves of trainings for the page, thinned, from the logs that `dynstream train` writes.

    Example: `dynstream results learning encoder=runs/encoder tail=runs/tail`
    """
    from ...pipelines.research.common.json_files import write_json
    from ...pipelines.research.results.learning import learning_curves

    write_json(out, learning_curves(logs))
    print(out)


def _write_page(results: Path) -> None:
    from ...pipelines.research.results.page import make_page, write_page

    for path in write_page(make_page(results), results):
        print(path)


def _estimate(steps: "list[Step]", dry: bool) -> str:
    minutes = sum(step.seconds for step in steps) / 60
    return f"{len(steps)} steps, about {minutes:.0f} minutes on two cores{' (nothing is run)' if dry else ''}"
