"""`--text`: edits in words, for every command that has `--edit`."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .weights import open_zoo

if TYPE_CHECKING:
    from rich.console import Console

    from ..pipelines.edits.edit import Edits, EditSpec
    from ..pipelines.edits.text import TextReader

Text = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="WORDS", help='Edits in words: "older, with glasses", or "blond hair:0:1@3s".'),
]
TextFrom = Annotated[
    str | None, typer.Option("--text-from", metavar="WORDS", help='The face as it is, for ages: "a woman in her 20s".')
]
TextStrength = Annotated[float, typer.Option("--text-strength", metavar="A", help="Factor of what --text asks for.")]
TextBy = Annotated[
    str, typer.Option("--text-by", metavar="directions|mapper", help="By known edits, or by a network for any text.")
]


def edits_and_texts(
    edit: Sequence[str],
    preset: Path | None,
    text: Sequence[str],
    console: "Console",
    *,
    region: str = "auto",
    text_from: str | None = None,
    text_strength: float = 1.0,
    text_by: str = "directions",
    offline: bool = False,
    index_url: str | None = None,
) -> "Edits":
    """Edits by name, of a preset and in words together; says what the words were understood as, and warns of strengths.

    What --edit or the preset names wins over the same edit in words. Raises EditError, and WeightsError where the words
    cannot be read for want of MiniLM.
    """
    from ..models.directions.directions import load_directions
    from ..models.directions.latent_transformer import load_nonlinear_directions
    from ..models.directions.text_mapper import load_text_mapper
    from ..models.text.face_text import load_face_text
    from ..pipelines.edits.parsing import make_edits, merged, read_region, read_specs
    from ..pipelines.edits.regions import AUTO, parse_region
    from ..pipelines.edits.text import load_text_reader, mapped_edits, text_edits

    if text_by not in ("directions", "mapper"):
        raise typer.BadParameter(f"--text-by {text_by}: expected directions or mapper")
    if text_from is not None and not text:
        raise typer.BadParameter("--text-from describes the face before --text changes it; give --text, too")
    directions = load_directions()
    forced = parse_region(read_region(preset) if preset and region == AUTO else region)

    @cache
    def reader() -> "TextReader":
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            return load_text_reader(zoo, directions)

    def read_words(texts: Sequence[str]) -> "list[EditSpec]":
        found = text_edits(texts, reader(), source=text_from, strength=text_strength)
        for line in found.lines():
            console.print(line, soft_wrap=True)
        return found.specs

    named = read_specs(edit, preset, read_words)
    for warning in make_edits(named, directions).outside_range():
        console.print(f"Warning: {warning}", style="yellow", soft_wrap=True)
    if not text:
        return make_edits(named, directions, region=forced)
    if text_by == "mapper":
        mapper = load_text_mapper()
        with open_zoo(offline=offline, index_url=index_url) as zoo:
            embed = load_face_text(zoo).texts
        specs, mapped = mapped_edits(text, mapper, embed, source=text_from, strength=text_strength)
        return make_edits(
            (*specs, *named), directions, lambda: {**load_nonlinear_directions(), **mapped}, region=forced
        )
    specs = read_words(text)
    names = {spec.name for spec in named}
    for spec in specs:
        if spec.name in names:
            console.print(f"Note: --edit {spec.name} goes before what the words say of it", style="yellow")
    return make_edits(merged(specs, named), directions, region=forced)
