"""`dynstream evaluate`: a result against its source, in numbers, and as a report to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ...pipelines.research.common.extra import need_research
from ..options import JsonFile, ProgressStyle
from ..progress import count_frames
from ..target import target
from ..weights import IndexUrl, Offline, open_zoo
from . import evaluate_dynamics, evaluate_inversion, evaluate_recurrent, evaluate_text, evaluate_vidstyleode
from .bench_tables import print_document

if TYPE_CHECKING:
    from ...pipelines.research.evaluation.evaluate import Evaluation
    from ...pipelines.research.report.document import Document

DEFAULT = "videos"
WIDTH = 160


class DefaultCommand(TyperGroup):
    """`evaluate SOURCE RESULT` means `evaluate videos SOURCE RESULT`, wherever no other command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default's name in front; options of the group itself (`--help`) stay as they are."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultCommand,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Measure results. `dynstream evaluate SOURCE RESULT` compares two videos (`evaluate videos --help`: options).",
)
app.command("dynamics")(evaluate_dynamics.command)
app.command("inversion")(evaluate_inversion.command)
app.command("recurrent")(evaluate_recurrent.command)
app.command("text")(evaluate_text.command)
app.command("vidstyleode")(evaluate_vidstyleode.command)


@app.command(DEFAULT)
def videos(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The video that was edited.")],
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="What came of it, by this tool or another.")],
    inverted: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The inversion before the edit; measured in the same way.")
    ] = None,
    json_file: JsonFile = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report here: one file with curves, frames and a clip.")
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="GROUPS",
            help="all, or some of reconstruction,time,identity,distribution,motion,edit,cost with commas between.",
        ),
    ] = "all",
    align: Annotated[
        bool, typer.Option("--align", help="Compare the frames whose times agree; scale the result to the source.")
    ] = False,
    edit: Annotated[
        list[str] | None,
        typer.Option("--edit", metavar="NAME=STRENGTH", help="What the result is meant to show. Repeatable."),
    ] = None,
    stats: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="What `dynstream transcode --stats` wrote: cost rows.")
    ] = None,
    flow: Annotated[str, typer.Option(metavar="raft|dis", help="Flow of the warp error: a network, or fast.")] = "raft",
    i3d: Annotated[
        Path | None, typer.Option("--i3d", metavar="FILE", help="StyleGAN-V's i3d_torchscript.pt, for FVD.")
    ] = None,
    inception: Annotated[
        Path | None, typer.Option(metavar="FILE", help="NVIDIA's inception-2015-12-05.pt, for the Inception score.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep flows and embeddings in the cache for the next run.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the JSON and HTML files.")] = False,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Hold a result against its source: reconstruction, steadiness, identity, distribution, motion, edit, cost.

    Examples:

    - `dynstream evaluate in.mp4 out.mp4 --edit smile=2 --html report.html`
    - `dynstream evaluate in.mp4 out.mp4 --metrics time,identity --json numbers.json`
    - `dynstream evaluate in.mp4 other-tool.mp4 --align`
    """
    from ...pipelines.edits.parsing import parse_edit
    from ...pipelines.research.common.json_files import json_text
    from ...pipelines.research.evaluation.documents import video_document
    from ...pipelines.research.evaluation.evaluate import INVERTED, RESULT, SOURCE, EvaluationOptions, evaluate
    from ...pipelines.research.evaluation.html_report import render
    from ...pipelines.research.evaluation.networks import parse_groups
    from ...pipelines.research.evaluation.worst_frames import ReportPictures
    from ...stream.reader import VideoReader

    if html:
        need_research("matplotlib", "jinja2")
    options = EvaluationOptions(
        groups=parse_groups(metrics),
        align=align,
        flow=flow,
        asked=[parse_edit(text) for text in edit or []],
        stats=stats,
        i3d=i3d,
        inception_classes=inception,
        keep=keep,
    )
    with VideoReader(source) as reader:
        total, seconds_per_frame = reader.frame_count_estimate, float(1 / reader.rate)
    names = [SOURCE, RESULT] + ([INVERTED] if inverted else [])
    pictures = ReportPictures(names, SOURCE) if html else None
    with target(json_file, overwrite) as json_target, target(html, overwrite) as html_target:
        with (
            open_zoo(offline=offline, index_url=index_url) as zoo,
            count_frames(progress, result.name, total, seconds_per_frame) as count,
        ):
            found = evaluate(
                source,
                result,
                zoo,
                inverted=inverted,
                options=options,
                progress=count,
                observe=pictures.observe if pictures else None,
            )
        if json_target is not None:
            json_target.write_text(json_text(found.as_dict()), encoding="utf-8")
        if html_target is not None and pictures is not None:
            html_target.write_text(render(found, pictures, SOURCE), encoding="utf-8")
    _print(found, video_document(found, SOURCE))


def _print(found: "Evaluation", document: "Document") -> None:
    print_document(document, "", WIDTH)
    for video, which in found.faceless.items():
        print(f"No face in frames {which} of the {video}: face metrics leave them out")
    for note in found.notes:
        print(f"Note: {note}")
