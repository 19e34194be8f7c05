"""`docs/results.md`, and its plots, from a folder of JSON files: nothing on the page is typed by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ...common.errors import PipelineError
from ..common.json_files import read_json, write_whole
from ..report.document import Document, parse
from ..report.markdown import page
from ..report.plots import draw

PAPERS: Final = "papers.json"
PLOTS: Final = "plots"
COMMAND: Final = "dynstream results write"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A place on the page.

    Attributes:
        name: of its JSON file, without the suffix.
        title: the heading.
        command: that makes the file, as one may type it.
    """

    name: str
    title: str
    command: str


SECTIONS: Final = (
    Section(
        name="inversion",
        title="Inversion",
        command="dynstream evaluate inversion --data portraits --data clips --include PATTERN --json inversion.json",
    ),
    Section(name="edits", title="Edits on each clip", command="dynstream results run"),
    Section(
        name="compositing",
        title="Ways of putting the face back",
        command="dynstream bench compositing --clip FILE --json compositing.json",
    ),
    Section(
        name="recurrent",
        title="The recurrent encoder, part by part",
        command="dynstream evaluate recurrent --data CLIP --json recurrent.json",
    ),
    Section(
        name="dynamics",
        title="Dynamics",
        command="dynstream evaluate dynamics CLIP... --json dynamics.json",
    ),
    Section(
        name="transcode",
        title="Speed: the whole command",
        command="dynstream bench transcode --cores 2 --long --json transcode.json",
    ),
    Section(
        name="generator",
        title="Speed: one picture",
        command="dynstream bench generator --json generator.json",
    ),
    Section(
        name="peers",
        title="Speed: beside what one would take instead",
        command="dynstream bench peers --json peers.json",
    ),
    Section(
        name="dynamics-speed",
        title="Speed: dynamics",
        command="dynstream bench dynamics --json dynamics-speed.json",
    ),
    Section(
        name="live",
        title="Live",
        command="dynstream bench live --seconds 300 --fps 24 --json live.json",
    ),
    Section(
        name="serve",
        title="In the browser",
        command="dynstream bench serve --json serve.json",
    ),
    Section(
        name="learning",
        title="Learning curves",
        command="dynstream results learning RUN/log.jsonl --out docs/results/learning.json",
    ),
)


@dataclass(frozen=True)
class Page:
    """The page and what belongs to it.

    Attributes:
        text: of the page.
        plots: file name -> SVG, in the folder `PLOTS` below the JSON files.
    """

    text: str
    plots: Mapping[str, str]


def make_page(folder: Path) -> Page:
    """The page of a folder of JSON files. PipelineError where one cannot be read or shown."""
    if not folder.is_dir():
        raise PipelineError(f"{folder} is no folder; name the one with the JSON files, such as docs/results")
    found = {path.stem: path for path in sorted(folder.glob("[!.]*.json")) if path.name != PAPERS}
    papers = read_json(folder / PAPERS) if (folder / PAPERS).exists() else {}
    known = {one.name: one for one in SECTIONS}
    places = [*SECTIONS, *(Section(name=name, title=name, command="") for name in found if name not in known)]
    if lost := set(papers) - {place.name for place in places}:
        raise PipelineError(
            f"{folder / PAPERS} has figures for {', '.join(sorted(lost))}, and no section has that name"
        )
    documents = [_document(place, found.get(place.name), papers.get(place.name, {})) for place in places]
    plots: dict[str, str] = {}
    pictures = {}
    for plot in (plot for document in documents for plot in document.plots):
        if plot.name in pictures:
            raise PipelineError(f"two plots in {folder} are named {plot.name!r}; give each its own name")
        plots[f"{plot.name}.svg"] = draw(plot)
        pictures[plot.name] = f"{folder.name}/{PLOTS}/{plot.name}.svg"
    return Page(page(documents, pictures, COMMAND), plots)


def _document(place: Section, path: Path | None, papers: Mapping[str, Any]) -> Document:
    if path is None:
        note = f"Not measured yet: `{place.command}` makes `{place.name}.json`."
        return _with_papers(Document(title=place.title, note=note), place, papers)
    document = parse(read_json(path), path.name)
    title = place.title if place.command else document.title or place.title
    return _with_papers(replace(document, title=title), place, papers)


def _with_papers(document: Document, place: Section, papers: Mapping[str, Any]) -> Document:
    """With what papers print: a note on what differs, and rows, which join the first table that has their columns."""
    if not papers:
        return document
    document = replace(document, note="\n\n".join(filter(None, (document.note, papers.get("note", "")))))
    if not papers.get("rows"):
        return document
    own = parse({"title": "", "tables": [{"columns": papers.get("columns"), "rows": papers["rows"]}]}, PAPERS).tables[0]
    wanted = {name for row in own.rows for name in row.values}
    tables = list(document.tables)
    for index, table in enumerate(tables):
        if wanted <= {column.name for column in table.columns}:
            tables[index] = replace(table, rows=[*table.rows, *own.rows])
            return replace(document, tables=tables)
    return replace(document, tables=[*tables, replace(own, heading="As published" if tables else "")])


def write_page(page: Page, folder: Path) -> list[Path]:
    """Write the page beside its folder, and its plots into it; plots of an earlier page go. Raises SinkError."""
    plots = folder / PLOTS
    if page.plots:
        plots.mkdir(exist_ok=True)
    for old in plots.glob("*.svg"):
        if old.name not in page.plots:
            old.unlink()
    written = []
    for path, text in [(plots / name, svg) for name, svg in page.plots.items()] + [(page_path(folder), page.text)]:
        if not path.exists() or path.read_text("utf-8") != text:
            write_whole(path, text)
        written.append(path)
    return written


def page_path(folder: Path) -> Path:
    """Where the page of a folder lies: `docs/results.md` for `docs/results`."""
    return folder.parent / f"{folder.name}.md"
