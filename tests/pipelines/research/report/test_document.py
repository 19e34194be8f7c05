"""Documents: what is wrong with one is said, and JSON gives the same document again."""

import json
from typing import Any

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.research.report.document import (
    Column,
    Document,
    Plot,
    Row,
    Series,
    Table,
    named,
    parse,
    table,
    with_document,
)


def good() -> dict[str, Any]:
    return {
        "title": "Live",
        "note": "On two cores.",
        "command": "dynstream bench live",
        "machine": {"usable_cores": 2},
        "settings": {"kept": "for others"},
        "tables": [
            {
                "columns": [{"name": "p95", "unit": "ms", "better": "lower", "digits": 1}],
                "rows": [{"name": "1 stream", "values": {"p95": 80.0}}, {"name": "4", "values": {"p95": None}}],
            }
        ],
        "plots": [{"name": "age", "title": "Age", "series": [{"name": "1", "x": [0, 1], "y": [80, None]}]}],
    }


def test_json_and_back() -> None:
    document = parse(good(), "live.json")
    assert document.tables[0].rows[0].values == {"p95": 80.0}
    assert document.plots[0].kind == "line"
    assert parse(json.loads(json.dumps(plain(document))), "again") == document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tables": [], "plots": []}, "neither tables nor plots"),
        ({"tables": [{"rows": []}]}, "columns"),
        ({"tables": [{"columns": [{"name": "a", "better": "up"}], "rows": []}]}, "'up': expected one of 'lower'"),
        ({"tables": [{"columns": [{"name": "a"}], "rows": [{"name": "r", "values": {"b": 1}}]}]}, "value for 'b'"),
        ({"tables": [{"columns": [{"name": "a"}], "rows": [{"name": "r", "values": {"a": [1]}}]}]}, "a number, a word"),
        ({"tables": [{"columns": [{"name": "a", "width": 3}], "rows": []}]}, "width"),
        ({"plots": [{"name": "Age!", "title": "", "series": []}]}, "lower-case"),
        ({"plots": [{"name": "age", "title": "", "series": []}]}, "no series"),
        ({"plots": [{"name": "age", "title": "", "series": [{"name": "s", "x": [1], "y": []}]}]}, "as many x as y"),
        ({"title": None, "tables": 3}, "live.json cannot be shown"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError, match=said) as caught:
        parse(good() | change, "live.json")
    assert "document.py" in str(caught.value)


def test_the_best_is_of_measured_rows_alone() -> None:
    column = Column(name="a", better="lower")
    rows = [Row(name=str(i), values={"a": value}) for i, value in enumerate((2.0, 1.0, None, "none"))]
    paper = Row(name="theirs", values={"a": 0.5}, paper="arXiv")
    assert Table(columns=[column], rows=[*rows, paper]).best(column) == 1.0
    assert Table(columns=[column], rows=rows[:1]).best(column) is None
    assert Table(columns=[column], rows=rows, rivals=False).best(column) is None
    assert Table(columns=[column], rows=rows).best(Column(name="a")) is None


def test_a_document_may_be_built_in_code() -> None:
    plot = Plot(name="a-b", title="", kind="bar", series=[Series(name="", x=["one"], y=[1])])
    assert Document(title="x", plots=[plot]).tables == ()


def test_a_table_of_raw_results() -> None:
    results = [{"name": "a", "ms": 2.0, "ages": {"p50": 80.0}}, {"name": "b", "ms": 3.0, "ages": None}]
    found = table(
        named(results),
        [
            (Column(name="ms"), "ms"),
            (Column(name="age"), ("ages", "p50")),
            (Column(name="twice"), lambda row: 2 * row["ms"]),
        ],
        heading="All",
    )
    assert found.heading == "All"
    assert [list(row.values.values()) for row in found.rows] == [[2.0, 80.0, 4.0], [3.0, None, 6.0]]
    with pytest.raises(KeyError):
        table(named(results), [(Column(name="s"), "s")])


def test_a_result_carries_its_document() -> None:
    raw = {"command": "dynstream bench x", "machine": {"cores": 2}, "rows": [{"name": "a", "ms": 2.0}]}
    made = with_document(raw, lambda data: Document(tables=[table(named(data["rows"]), [(Column(name="ms"), "ms")])]))
    assert {key: made[key] for key in raw} == raw
    document = parse(json.loads(json.dumps(made)), "x.json")
    assert (document.command, document.machine) == ("dynstream bench x", {"cores": 2})
    assert document.tables[0].rows[0].values == {"ms": 2.0}
