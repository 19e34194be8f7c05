"""Documents as Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .document import Column, Document, Row, Table, Value

ARROWS: Final = {"lower": " ↓", "higher": " ↑", "": ""}
NOTHING: Final = "–"


def section(document: Document, pictures: Mapping[str, str], *, level: int = 2) -> str:
    """The section with its heading. pictures: by the plot's name, where its file lies as the page sees it."""
    parts = [f"{'#' * level} {document.title}", document.note]
    for table in document.tables:
        if table.heading:
            parts.append(f"{'#' * (level + 1)} {table.heading}")
        parts += [table.note, table_lines(table)]
    parts += [f"![{plot.title}]({pictures[plot.name]})" for plot in document.plots]
    parts.append(_made(document))
    return "\n\n".join(part for part in parts if part) + "\n"


def table_lines(table: Table) -> str:
    """The table; the best measured value of a column in bold, published rows in italics."""
    heads = ["", *(_head(column) for column in table.columns)]
    best = [table.best(column) for column in table.columns]
    lines = [_line(heads), _line(["---", *["---:"] * len(table.columns)])]
    for row in table.rows:
        cells = [_cell(row, column, one) for column, one in zip(table.columns, best, strict=True)]
        lines.append(_line([_row_name(row), *cells]))
    return "\n".join(lines)


def number(value: Value, digits: int | None = None) -> str:
    """A value as the tables show it: with `digits` after the point, or four in all."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str):
        return escape(value)
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else f"{value}"
    if digits is not None:
        return f"{value:.{digits}f}"
    return f"{value:.4g}" if value else "0"


def escape(text: str) -> str:
    """Text that stands in a table as it is."""
    return text.replace("|", "\\|").replace("\n", " ")


def nth(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, ..."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _head(column: Column) -> str:
    unit = f", {column.unit}" if column.unit else ""
    return f"{escape(column.name + unit)}{ARROWS[column.better]}"


def _row_name(row: Row) -> str:
    return f"*{escape(row.name)}* ({escape(row.paper)})" if row.paper else escape(row.name)


def _cell(row: Row, column: Column, best: float | None) -> str:
    value = row.values.get(column.name)
    shown = number(value, column.digits)
    if row.paper:
        return f"*{shown}*" if shown != NOTHING else shown
    return f"**{shown}**" if best is not None and value == best else shown


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _made(document: Document) -> str:
    if document.runs:
        return "\n".join(f"- {run.name}: {_printed(run.command, run.machine)}" for run in document.runs)
    return _printed(document.command, document.machine)


def _printed(command: str, machine: Mapping[str, Any]) -> str:
    lines = []
    if command:
        lines.append(f"Printed by `{command}`.")
    if words := machine_words(machine):
        lines.append(f"On {words}.")
    return " ".join(lines)


def machine_words(machine: Mapping[str, Any]) -> str:
    """What a measurement was made on, in one line; "" where nothing is known."""
    if not machine:
        return ""
    packages = machine.get("packages", {})
    words = [
        str(machine.get("processor", "")),
        _counted(machine.get("usable_cores"), "core"),
        f"{machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else "",
        f"device {machine['device']}" if machine.get("device") else "",
        f"PyTorch {packages['torch']}" if packages.get("torch") else "",
        _counted(machine.get("threads", {}).get("torch"), "thread"),
        f"dynstream {packages['dynstream']}" if packages.get("dynstream") else "",
        str(machine.get("utc", ""))[:10],
    ]
    if (machine.get("load_before") or 0) > 0.5:
        words.append(f"load {machine['load_before']} in the minute before")
    return ", ".join(word for word in words if word)


def _counted(count: object, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}" if count else ""
