"""`dynstream demo`: edit the sample clip and print the paths of the results."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .options import DEFAULT_ENCODER, ProgressStyle, SignCert, Signed, SignKey
from .progress import count_frames
from .weights import IndexUrl, Offline, open_zoo


def command(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the files go.")] = Path("out/demo"),
    edit: Annotated[
        list[str] | None, typer.Option("--edit", metavar="NAME=STRENGTH", help="Default: smile=2. Repeatable.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", min=0.1, help="Edit only the first N seconds of the clip.")
    ] = None,
    credentials: Signed = True,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    progress: ProgressStyle = "auto",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Edit the sample clip and make a contact sheet of it; running it again replaces its own files.

    Examples:

    - `dynstream demo`
    - `dynstream demo --seconds 4 --edit age=2 --out /tmp/older`
    """
    from ..models.directions.directions import load_directions
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.editor.load import load_editor
    from ..pipelines.edits.parsing import parse_edits
    from ..pipelines.run.demo import prepare, run_demo
    from ..pipelines.run.model_digests import model_files
    from ..pipelines.run.sealing import sealing

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    wanted = edit or ["smile=2"]
    edits = parse_edits(wanted, None, load_directions())
    identity = find_identity(sign_cert, sign_key) if credentials else None
    for warning in edits.outside_range():
        console.print(f"Warning: {warning}", style="yellow", markup=False)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        clip = zoo.path("sample-clip")
        editor = load_editor(zoo, edits)
        models = model_files("mobilestylegan", "mesh", DEFAULT_ENCODER, zoo, bool(edits.nonlinear)) if identity else []
    files = prepare(clip, out, seconds)
    seals = {
        path: sealing(files.source, path, identity, edits=edits, settings={"mode": "detail"}, models=models)
        for path in (files.result, files.side_by_side, files.contact_sheet)
    }
    report = run_demo(files, editor, label=" ".join(wanted), seals=seals, watch=partial(count_frames, progress))
    speed = report.frames / max(1e-9, report.seconds)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items())
    console.print(f"{report.frames} frames, {speed:.1f} per second ({outcomes})", markup=False)
    for what, path in (
        ("Source", files.source),
        ("Result", files.result),
        ("Side by side", files.side_by_side),
        ("Contact sheet", files.contact_sheet),
    ):
        print(f"{what + ':':<15}{path}")
