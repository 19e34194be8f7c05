"""Documents as Markdown, by the templates in templates/."""

from collections.abc import Mapping, Sequence
from typing import Any

from .document import Column, Document, Row, Table
from .format import NOTHING, head, machine_words, number, templates


def page(documents: Sequence[Document], pictures: Mapping[str, str], command: str) -> str:
    """The whole page.

    pictures: by the plot's name, where its file lies as the page sees it. command: that writes the page.
    """
    sections = [(document, anchor(document.title), section(document, pictures)) for document in documents]
    return templates().get_template("page.md").render(sections=sections, command=command)


def section(document: Document, pictures: Mapping[str, str]) -> str:
    """A section with its heading."""
    return (
        templates()
        .get_template("section.md")
        .render(document=document, pictures=pictures, table_lines=table_lines, printed=_printed)
    )


def table_lines(table: Table) -> str:
    """The table; the best measured value of a column in bold, published rows in italics."""
    best = [table.best(column) for column in table.columns]
    lines = [["", *(_escape(head(column)) for column in table.columns)], ["---", *["---:"] * len(table.columns)]]
    for row in table.rows:
        cells = [_cell(row, column, one) for column, one in zip(table.columns, best, strict=True)]
        name = _escape(row.name)
        lines.append([f"*{name}* ({_escape(row.paper)})" if row.paper else name, *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def anchor(title: str) -> str:
    """The anchor that GitHub makes of a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _cell(row: Row, column: Column, best: float | None) -> str:
    value = row.values.get(column.name)
    shown = _escape(number(value, column.digits))
    if row.paper:
        return f"*{shown}*" if shown != NOTHING else shown
    return f"**{shown}**" if best is not None and value == best else shown


def _printed(command: str, machine: Mapping[str, Any]) -> str:
    words = machine_words(machine)
    return " ".join(filter(None, (f"Printed by `{command}`." if command else "", f"On {words}." if words else "")))
