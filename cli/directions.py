"""`dynstream directions`: find edit directions, and see which there are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .weights import IndexUrl, Offline, open_zoo

app = typer.Typer(no_args_is_help=True, help="Find edit directions, and see which there are.")


@app.command("list")
def list_command(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file of directions.")] = None,
) -> None:
    """Show the edits of a file of directions, by default the shipped ones, and what was measured about them."""
    from ..models.directions import WEIGHTS, load_directions

    table = Table("edit", "range", "about", "effect of a strength of 1", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, direction in load_directions(file or WEIGHTS).items():
        effect = ", ".join(f"{score} {change:+.3g}" for score, change in direction.effect.items())
        table.add_row(name, f"{direction.low:g}..{direction.high:g}", direction.about, effect)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)


@app.command()
def find(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]", help="Edits to find; all by default.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the directions.")] = Path(
        "directions.safetensors"
    ),
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Keep the labelled faces here, and use them again.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=200, help="Faces to draw and label.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the drawn faces.")] = 0,
    generator: Annotated[str, typer.Option(metavar="NAME", help="Generator whose codes to move.")] = "mobilestylegan",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Find directions in the generator's W+ space: draw faces, score them, fit boundaries, measure.

    Examples:

    - `dynstream directions find --out mine.safetensors --labels labels.npz`
    - `dynstream directions find smile --count 8000`
    """
    from ..models.directions import save_directions
    from ..models.generator import load_generator
    from ..pipelines.attributes import load_attribute_scorer
    from ..pipelines.errors import EditError
    from ..pipelines.find_directions import WANTED, find, label, load_labels, save_labels
    from ..stream.atomic import check_target
    from .progress import count_frames

    chosen = names or list(WANTED)
    for name in chosen:
        if name not in WANTED:
            raise EditError(f"no recipe for a direction {name!r}; there are: {', '.join(WANTED)}")
    for path in (out, labels):  # labelling takes most of an hour
        if path is not None:
            check_target(path, overwrite=True)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network = load_generator(generator, zoo)
        scorer = load_attribute_scorer(zoo)
    if labels and labels.exists():
        labelled = load_labels(labels)
    else:
        with count_frames("auto", "faces", count, 0.0) as progress:
            labelled = label(network, scorer, count, seed=seed, progress=progress)
        if labels:
            save_labels(labels, labelled)
    save_directions(out, {name: find(WANTED[name], labelled, network, scorer) for name in chosen})
    print(f"{len(chosen)} directions in {out}")
