"""`dynstream directions`: find edit directions, measure them, take in those of others, and see which there are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ...pipelines.research.common.extra import need_research
from ..options import Exclude, Include
from ..printing import table_console
from ..weights import IndexUrl, Offline, open_zoo

if TYPE_CHECKING:
    from ...models.directions.directions import Direction
    from ...models.directions.latent_transformer import NonlinearDirection

app = typer.Typer(no_args_is_help=True, help="Find, measure and import edit directions, and see which there are.")

Generator = Annotated[str, typer.Option("--generator", metavar="NAME", help="Generator whose codes to move.")]
Folder = Annotated[
    Path, typer.Option("--run", metavar="FOLDER", help="Keeps what was drawn and scored; the same command goes on.")
]
Layers = Annotated[
    str | None, typer.Option("--layers", metavar="FIRST-LAST", help="Codes to move, as in 4-7; all by default.")
]


@app.command("list")
def list_command(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file of directions.")] = None,
) -> None:
    """Show the edits of a file of directions, by default the shipped and your own, and what was measured about them."""
    from ...models.directions.directions import user_folder

    table = Table("edit", "range", "about", "a strength of 1 moves", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, edit in _known(file).items():
        table.add_row(name, f"{edit.low:g}..{edit.high:g}", edit.about, _effect(edit.effect))
    console = table_console(200)
    console.print(table)
    if file is None:
        Console(stderr=True, highlight=False).print(
            f"Your own: {user_folder()} (DYNSTREAM_DIRECTIONS chooses another)", soft_wrap=True, markup=False
        )


def _known(file: Path | None) -> "dict[str, Direction | NonlinearDirection]":
    """The edits of a file, or the shipped ones and the user's own, nonlinear ones too."""
    from ...models.directions.directions import load_directions
    from ...models.directions.latent_transformer import load_nonlinear_directions

    return {**load_directions(file), **({} if file else load_nonlinear_directions())}


def _effect(effect: "Mapping[str, float]") -> str:
    """The edit's own score, which comes first, and the three others that it moves most for their spread."""
    from ...pipelines.research.directions.face_scores import SPREADS

    own, *others = effect or ("",)
    most = sorted(others, key=lambda score: -abs(effect[score]) / SPREADS.get(score, 1.0))[:3]
    return ", ".join(f"{score} {effect[score]:+.2g}" for score in (own, *most) if score)


@app.command()
def find(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]", help="Edits to find; all by default.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the directions.")] = Path(
        "directions.safetensors"
    ),
    run: Folder = Path("runs/directions"),
    count: Annotated[int, typer.Option(metavar="N", min=200, help="Faces to draw and label.")] = 20_000,
    faces: Annotated[int, typer.Option(metavar="N", min=2, help="Faces to measure the layers on.")] = 24,
    seed: Annotated[int, typer.Option(help="Of the drawn faces.")] = 0,
    generator: Generator = "mobilestylegan",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Find directions in the generator's W+ space: draw faces, score them, fit, and keep what moves others least.

    Examples:

    - `dynstream directions find --out mine.safetensors --run runs/directions`
    - `dynstream directions find smile --count 6000`
    """
    from ...models.directions.directions import save_directions
    from ...models.generator.load import load_generator
    from ...pipelines.common.errors import EditError
    from ...pipelines.research.directions.face_scores import load_face_scorer
    from ...pipelines.research.directions.find import RECIPES, find, measure_blocks
    from ...pipelines.research.directions.labels import label
    from ...stream.atomic import check_target
    from ..progress import count_frames

    chosen = names or list(RECIPES)
    for name in chosen:
        if name not in RECIPES:
            raise EditError(f"no recipe for a direction {name!r}; there are: {', '.join(RECIPES)}")
    check_target(out, overwrite=True)  # labelling takes an hour
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network, scorer = load_generator(generator, zoo), load_face_scorer(zoo)
    with count_frames("auto", "faces", count) as progress:
        labelled = label(network, scorer, count, run / "labels", seed=seed, progress=progress)
    with count_frames("auto", "blocks", faces) as progress:
        blocks = measure_blocks(labelled, network, scorer, faces=faces, folder=run / "blocks", progress=progress)
    found = {name: find(RECIPES[name], labelled, blocks, echo=print) for name in chosen}
    save_directions(out, found)
    print(f"{len(chosen)} directions in {out}")


@app.command()
def gradients(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]", help="Edits to find; all by default.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the directions.")] = Path(
        "gradients.safetensors"
    ),
    run: Folder = Path("runs/gradients"),
    faces: Annotated[int, typer.Option(metavar="N", min=2, help="Faces whose derivatives are averaged.")] = 24,
    generator: Generator = "mobilestylegan",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Find directions for what has a derivative: colours of lips, eyes, lids and hair, and how much hair is where.

    It needs tens of drawn faces, where `find` needs thousands.

    Example: `dynstream directions gradients lips red --out colours.safetensors`
    """
    from ...models.directions.directions import save_directions
    from ...models.faces.matte import load_matte
    from ...models.faces.mesh import load_mesh_backend
    from ...models.generator.load import load_generator
    from ...pipelines.common.errors import EditError
    from ...pipelines.research.directions import gradients as own
    from ...pipelines.research.directions.effects import unseen_codes
    from ...stream.atomic import check_target
    from ..progress import count_frames

    recipes = {recipe.name: recipe for recipe in own.RECIPES}
    for name in names or []:
        if name not in recipes:
            raise EditError(f"no recipe for a direction {name!r}; there are: {', '.join(recipes)}")
    check_target(out, overwrite=True)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network, backend = load_generator(generator, zoo), load_mesh_backend(zoo)
    with count_frames("auto", "faces", faces) as progress:
        scores, found = own.measure_gradients(
            network, load_matte(), backend, unseen_codes(network, faces, first=5000), run, progress
        )
    spread, cov = scores.std(0), own.covariance(network)
    save_directions(out, {name: own.solve(recipes[name], list(found), spread, cov) for name in names or recipes})
    print(f"{len(names or recipes)} directions in {out}")


@app.command()
def measure(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file of directions.")] = None,
    names: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Measure this edit alone. Repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For the table, heat map and sheets.")] = Path("measured"),
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the directions here, with the ranges and effects that were measured."),
    ] = None,
    run: Folder = Path("runs/directions"),
    faces: Annotated[int, typer.Option(metavar="N", min=2, help="Unseen faces to measure on.")] = 200,
    sheets: Annotated[int, typer.Option(metavar="N", min=0, help="Faces on the sheet of each edit; 0 for none.")] = 6,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", metavar="PATH", help="Inverted faces of pictures and clips instead of drawn ones. Repeatable."
        ),
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Take every Nth frame of a clip.")] = 10,
    generator: Generator = "mobilestylegan",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Measure edits on unseen faces: what each does to every score and to the identity, and how far it works.

    Writes table.md, heat-map.png and, for each edit, NAME.png with rows of rising strength. Without FILE: the shipped
    edits, your own, and the nonlinear ones.

    --write makes a copy of FILE, whose vectors and scales it leaves as they are; it may be FILE itself. A direction
    that --only leaves out keeps what it had.

    Examples:

    - `dynstream directions measure mine.safetensors --faces 50 --out measured`
    - `dynstream directions measure mine.safetensors --sheets 0 --write measured.safetensors`
    - `dynstream directions measure --data clips --include "lp_d1[08]*" --faces 24`
    """
    from ...models.directions.directions import load_directions, save_directions
    from ...models.encoders.encoder import load_encoder
    from ...models.generator.load import load_generator
    from ...pipelines.common.annotate import encode_png
    from ...pipelines.common.errors import EditError
    from ...pipelines.research.directions.face_scores import load_face_scorer
    from ...pipelines.research.directions.measure import (
        as_measured,
        inverted_codes,
        load_identity,
        measure,
        measuring_codes,
        summarize_edit,
    )
    from ...pipelines.research.directions.report import heat_map, strength_sheet, table
    from ...pipelines.research.evaluation.face_sets import cut_faces, files_of
    from ...pipelines.tracking.backends import load_backend
    from ...stream.atomic import check_target, write_whole
    from ..progress import count_frames

    need_research("matplotlib")
    if write is not None and file is None:
        raise typer.BadParameter("--write: name the FILE of directions that is measured, too")
    if write is not None:
        check_target(write, overwrite=True)
    written = load_directions(file) if write is not None else {}
    known = _known(file)
    for name in names or ():
        if name not in known:
            raise EditError(f"no edit {name!r} to measure; there are: {', '.join(known)}")
    files = [files_of(path, include or [], exclude or []) for path in data or []]
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network, scorer, identity = load_generator(generator, zoo), load_face_scorer(zoo), load_identity(zoo)
        if files:
            cut = cut_faces("--data", [file for some in files for file in some], load_backend("mesh", zoo), every=every)
            codes = inverted_codes(load_encoder(), cut.faces[cut.spread(faces)])
        else:
            codes = measuring_codes(network, faces)
    out.mkdir(parents=True, exist_ok=True)
    verdicts = []
    for name in names or known:
        with count_frames("auto", name, len(codes)) as progress:
            found = measure(known[name], network, scorer, identity, codes, folder=run / "measured", progress=progress)
        verdicts.append(summarize_edit(known[name], found))
        if name in written:
            written[name] = as_measured(written[name], found)
        print(table(verdicts[-1:]).splitlines()[-1])
        if sheets:
            write_whole(out / f"{name}.png", encode_png(strength_sheet(network, known[name], codes[:sheets])))
    write_whole(out / "table.md", table(verdicts).encode())
    write_whole(out / "heat-map.png", heat_map(verdicts))
    if write is not None:
        save_directions(write, written)
        print(f"{len(written)} directions, {len(verdicts)} of them measured: {write}")
    print(f"{len(verdicts)} edits measured on {len(codes)} faces: {out}")


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pt, .npy, .npz or .safetensors file of vectors.")],
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Take this one alone. Repeatable.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What --edit shall call it.")] = None,
    scale: Annotated[
        float | None, typer.Option(min=1e-6, help="Length in W+ of a strength of 1; by default the vector's own.")
    ] = None,
    layers: Layers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace one of yours of that name.")] = False,
) -> None:
    """Take in published directions, so that --edit knows them: vectors (512,), (1, 512) or (18, 512), or dicts of such.

    Examples:

    - `dynstream directions import boundary.npy --name eyeglasses --layers 0-5`
    - `dynstream directions import components.safetensors --only sefa-3-6-1 --name tilt`
    """
    from ...models.directions.published_directions import import_directions, read_directions
    from ...pipelines.common.errors import EditError

    found = read_directions(file, only=only or (), scale=scale, layers=parse_layers(layers))
    if name is not None:
        if len(found) != 1:
            raise EditError(f"--name {name}: {file} holds {len(found)} directions; choose one with --only")
        found = {name: next(iter(found.values()))}
    for path in import_directions(found, overwrite=overwrite):
        print(f"{path}: use it as --edit {path.stem}=1")


@app.command()
def discover(
    method: Annotated[str, typer.Option(metavar="sefa|ganspace", help="How.")] = "sefa",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the components.")] = Path(
        "components.safetensors"
    ),
    picture: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="By default beside the components.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="Components.")] = 10,
    faces: Annotated[int, typer.Option(metavar="N", min=1, max=8, help="Faces of the sheet.")] = 3,
    layers: Layers = None,
    generator: Generator = "mobilestylegan",
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Directions without labels: a file of components, and a picture of what each of them does.

    Examples:

    - `dynstream directions discover --method sefa --layers 3-6`
    - `dynstream directions discover --method ganspace --count 20 --out pca.safetensors`
    """
    from ...models.directions.directions import save_directions
    from ...models.generator.load import load_generator
    from ...pipelines.common.annotate import encode_png
    from ...pipelines.research.directions.discover import check_method, discover, sheet
    from ...pipelines.research.directions.effects import unseen_codes
    from ...stream.atomic import check_target, write_whole
    from ..progress import count_frames

    check_method(method)
    target = picture or out.with_suffix(".png")
    for path in (out, target):
        check_target(path, overwrite=True)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        network = load_generator(generator, zoo)
    found = discover(method, network, count=count, layers=parse_layers(layers))
    with count_frames("auto", "components", count) as progress:
        drawn = sheet(network, list(found.values()), unseen_codes(network, faces), progress=progress)
    save_directions(out, found)
    write_whole(target, encode_png(drawn))
    print(f"{len(found)} components in {out}, a row for each in {target}")


def parse_layers(text: str | None) -> tuple[int, int] | None:
    """`4-7` -> (4, 8), the first code and the one after the last; `5` is one code. A usage error for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip(), re.ASCII)
    if match is None:
        raise typer.BadParameter(f"--layers {text}: expected FIRST-LAST, as in 4-7")
    first = int(match[1])
    return first, int(match[2] or first) + 1
