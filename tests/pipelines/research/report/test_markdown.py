"""Tables as Markdown."""

import math

import pytest

from dynstream.pipelines.research.report.document import Column, Document, Plot, Row, Series, Table
from dynstream.pipelines.research.report.format import machine_words, nth, number
from dynstream.pipelines.research.report.markdown import section, table_lines


def test_a_table() -> None:
    table = Table(
        columns=[Column(name="MSE", better="lower", digits=3), Column(name="note")],
        rows=[
            Row(name="ours | E0", values={"MSE": 0.0342, "note": "a|b"}),
            Row(name="mean", values={"MSE": 0.2}),
            Row(name="RIGID", values={"MSE": 0.01}, paper="arXiv 2308.06097"),
        ],
    )
    assert table_lines(table).splitlines() == [
        "|  | MSE ↓ | note |",
        "| --- | ---: | ---: |",
        r"| ours \| E0 | **0.034** | a\|b |",
        "| mean | 0.200 | – |",
        "| *RIGID* (arXiv 2308.06097) | *0.010* | – |",
    ]


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (None, None, "–"),
        ("", 2, "–"),
        (math.nan, None, "–"),
        (math.inf, 2, "inf"),
        (0.0, None, "0"),
        (0, 2, "0.00"),
        (123456.0, None, "1.235e+05"),
        (1.23456, None, "1.235"),
        (2, 1, "2.0"),
        ("yes\nno", None, "yes no"),
    ],
)
def test_numbers(value: float | str | None, digits: int | None, shown: str) -> None:
    assert number(value, digits) == shown


def test_ordinals() -> None:
    assert " ".join(map(nth, (1, 2, 3, 7, 11, 12, 21, 112))) == "1st 2nd 3rd 7th 11th 12th 21st 112th"


def test_a_section_with_everything() -> None:
    machine = {
        "processor": "A Chip",
        "usable_cores": 2,
        "memory_bytes": 2**34,
        "threads": {"torch": 1},
        "packages": {"torch": "2.13", "dynstream": None},
        "utc": "2026-11-20T01:02",
        "load_before": 3,
    }
    document = Document(
        title="Live",
        note="A note.",
        command="dynstream bench live",
        machine=machine,
        tables=[Table(heading="Age", note="In ms.", columns=[Column(name="a")], rows=[])],
        plots=[Plot(name="age", title="Age over time", series=[Series(name="", x=[1], y=[1])])],
    )
    text = section(document, {"age": "results/plots/age.svg"})
    for words in (
        "## Live\n\nA note.",
        "### Age\n\nIn ms.\n\n|  | a |",
        "![Age over time](results/plots/age.svg)",
        "Printed by `dynstream bench live`. On A Chip, 2 cores, 16 GiB, PyTorch 2.13, 1 thread, 2026-11-20, load 3",
    ):
        assert words in text
    assert machine_words({}) == ""
