"""What a section of the page of results shows: tables and plots with what they were measured by and on.

Commands write one as JSON, by itself or under "document" beside the raw result (all but "columns", "rows" and names
may be left out):

    {"title": "Live", "note": "What was done, and what differs from the papers: data, weights.",
     "command": "dynstream bench live --json live.json", "machine": {...},
     "tables": [{"heading": "Age", "note": "", "rivals": true,
                 "columns": [{"name": "p95", "unit": "ms", "better": "lower", "digits": 1}],
                 "rows": [{"name": "4 streams", "values": {"p95": 120.4}, "paper": ""}]}],
     "plots": [{"name": "age", "title": "Age", "kind": "line", "x": "s", "y": "ms",
                "series": [{"name": "4 streams", "x": [0, 1], "y": [80.1, 81.0]}]}]}

`machine` is what `bench.machine.describe_machine` gives. A value is a number, a word, or null where there is none. A
row with `paper` was not measured here: it says where the figure is printed. Of `rivals` the best is marked. Bars of a
plot of kind "bar" or "stack" have names for their places (`x`).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from ...common.errors import PipelineError
from ..common.timing import plain

Better = Literal["lower", "higher", ""]
Kind = Literal["line", "bar", "stack"]
Value = float | str | None
Data = Mapping[str, Any]
"""A raw result in the form of its JSON."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Column:
    """Column.

    Attributes:
        unit: "" where there is none.
        better: which way.
        digits: after the point; None for four in all.
    """

    name: str
    unit: str = ""
    better: Better = ""
    digits: int | None = None

    def __post_init__(self) -> None:
        _one_of("better", self.better, get_args(Better))


@dataclass(frozen=True, kw_only=True)
class Row:
    """Row.

    Attributes:
        values: by name of the column.
        paper: where the figures are printed, "" where they were measured.
    """

    name: str
    values: Mapping[str, Value]
    paper: str = ""

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            if not (value is None or isinstance(value, str | int | float)) or isinstance(value, bool):
                raise ValueError(f"row {self.name!r}, {name!r}: expected a number, a word or null, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Table.

    Raises ValueError where a row names a column that there is not.

    Attributes:
        rivals: whether the rows are ways of doing the same, of which the best is marked.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    heading: str = ""
    note: str = ""
    rivals: bool = True

    def __post_init__(self) -> None:
        known = [column.name for column in self.columns]
        for row in self.rows:
            for name in row.values:
                if name not in known:
                    raise ValueError(f"row {row.name!r} has a value for {name!r}; expected one of {', '.join(known)}")

    def best(self, column: Column) -> float | None:
        """The best of the measured values, None where less than two are there to choose from."""
        if not column.better or not self.rivals:
            return None
        found = [row.values.get(column.name) for row in self.rows if not row.paper]
        numbers = [value for value in found if isinstance(value, int | float) and math.isfinite(value)]
        if len(numbers) < 2:
            return None
        return max(numbers) if column.better == "higher" else min(numbers)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line, or bars of one colour.

    Attributes:
        name: in the legend.
        x: numbers, or names of places.
        y: as many numbers, null where there is none.
        reference: whether the others are seen beside it; it is drawn grey.
    """

    name: str
    x: Sequence[Value]
    y: Sequence[float | None]
    reference: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not self.x:
            raise ValueError(f"series {self.name!r}: expected as many x as y, got {len(self.x)} and {len(self.y)}")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Plot.

    Attributes:
        name: of its file, lower case with hyphens.
        x, y: labels of the axes.
    """

    name: str
    title: str
    series: Sequence[Series]
    kind: Kind = "line"
    x: str = ""
    y: str = ""

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, get_args(Kind))
        if not NAME.fullmatch(self.name):
            raise ValueError(f"plot {self.name!r}: expected a name of lower-case letters, digits and hyphens")
        if not self.series:
            raise ValueError(f"plot {self.name!r} has no series")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of the runs that a section is put together from.

    Attributes:
        name: what it measured.
    """

    name: str
    command: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One section.

    Attributes:
        title: of the section; the page has titles of its own for the sections that it knows.
        note: what was done, and what differs from the papers.
        command: what printed it.
        machine: see `describe_machine`, empty where it is not known.
        tables: in their order.
        plots: below the tables.
        runs: in place of command and machine, where there were several.
    """

    title: str = ""
    note: str = ""
    command: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    runs: Sequence[Run] = ()


Find = str | tuple[str, ...] | Callable[[Data], Value]
"""A value of a raw result: its key, or the keys that lead to it, where each may be missing; or a function."""
Columns = Sequence[tuple[Column, Find]]


def named(rows: Sequence[Data], key: str = "name") -> list[tuple[str, Data]]:
    """Raw results with their names, for `table`."""
    return [(row[key], row) for row in rows]


def table(rows: Iterable[tuple[str, Data]], columns: Columns, **options: Any) -> Table:
    """A table of raw results.

    rows: each with its name. columns: each with its value in a result. options: see `Table`.
    """
    made = []
    for name, data in rows:
        made.append(Row(name=name, values={column.name: _find(data, find) for column, find in columns}))
    return Table(columns=[column for column, _ in columns], rows=made, **options)


def _find(data: Data, find: Find) -> Any:
    if isinstance(find, str):
        return data[find]
    if not isinstance(find, tuple):
        return find(data)
    value: Any = data
    for key in find:
        value = value.get(key) if value else None
    return value


def with_document(raw: Mapping[str, object], make: Callable[[Data], Document]) -> dict[str, Any]:
    """A raw result, in the form of its JSON, with its document beside it.

    make: the document of a result; the result's own "command" and "machine" are added to it.
    """
    data = plain(raw)
    document = make(data)
    if not document.runs:
        document = replace(
            document,
            command=document.command or data.get("command", ""),
            machine=document.machine or data.get("machine", {}),
        )
    return {**data, "document": plain(document)}


def parse(data: Mapping[str, Any], name: str) -> Document:
    """A document from its JSON, or from that of a result that carries one.

    name: of the file, for the PipelineError where it is laid out otherwise.
    """
    try:
        data = data.get("document", data)
        rest = {key: value for key, value in data.items() if key not in ("tables", "plots", "runs")}
        tables = [
            Table(
                **{**table, "columns": _each(Column, table["columns"]), "rows": _each(Row, table["rows"])},
            )
            for table in data.get("tables", ())
        ]
        plots = [Plot(**{**plot, "series": _each(Series, plot["series"])}) for plot in data.get("plots", ())]
        if not tables and not plots:
            raise ValueError("it has neither tables nor plots")
        runs = _each(Run, data.get("runs", ()))
        known = {item.name for item in fields(Document)}
        return Document(
            **{key: value for key, value in rest.items() if key in known}, tables=tables, plots=plots, runs=runs
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise PipelineError(
            f"{name} cannot be shown ({error}); expected the form that pipelines/research/report/document.py describes"
        ) from error


def _each(kind: type[Any], items: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [kind(**item) for item in items]


def _one_of(what: str, got: str, allowed: Sequence[str]) -> None:
    if got not in allowed:
        raise ValueError(f"{what} {got!r}: expected one of {', '.join(map(repr, allowed))}")
