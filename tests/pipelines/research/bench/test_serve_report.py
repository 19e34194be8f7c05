"""Putting rows of several runs of `bench serve` into one file."""

import json
from pathlib import Path
from typing import Any

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.serve import ServeBenchSettings, ServeRow, ServeRun, make_report, read_report


def run(command: str, **settings: float) -> ServeRun:
    return ServeRun(command=command, machine={"utc": command}, settings=ServeBenchSettings(**settings))  # type: ignore[arg-type]


def rows(key: str, *names: str) -> list[ServeRow]:
    return [ServeRow(name, None, None, None, {}, key) for name in names]


def names_and_commands(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["scenario"], report["runs"][row["run"]]["command"]) for row in report["rows"]]


def test_only_what_was_measured_anew_is_replaced() -> None:
    first = make_report(
        run("all"), [*rows("one", "one, a", "one, b"), *rows("several", "4"), *rows("poor-line", "5 %")]
    )
    assert names_and_commands(first) == [("one, a", "all"), ("one, b", "all"), ("4", "all"), ("5 %", "all")]
    longer = make_report(run("long", seconds=600.0), rows("several", "8"), first)
    assert names_and_commands(longer) == [("one, a", "all"), ("one, b", "all"), ("8", "long"), ("5 %", "all")]
    assert [one["settings"]["seconds"] for one in longer["runs"]] == [10.0, 600.0]
    assert [one["machine"]["utc"] for one in longer["runs"]] == ["all", "long"]
    assert len(first["rows"]) == 4


def test_a_scenario_comes_in_its_place_and_runs_without_rows_go() -> None:
    report = make_report(run("1"), rows("several", "4"))
    report = make_report(run("2"), rows("one", "1"), report)
    assert names_and_commands(report) == [("1", "2"), ("4", "1")]
    report = make_report(run("3"), rows("several", "8"), report)
    assert names_and_commands(report) == [("1", "2"), ("8", "3")]
    assert [one["command"] for one in report["runs"]] == ["2", "3"]


def test_a_file_is_read_back(tmp_path: Path) -> None:
    report = make_report(run("all"), rows("one", "1"))
    (tmp_path / "serve.json").write_text(json.dumps(report))
    assert read_report(tmp_path / "serve.json") == json.loads(json.dumps(report))


@pytest.mark.parametrize(
    "content",
    [
        {"machine": {}, "settings": {}, "rows": [{"scenario": "1 stream"}]},
        {"runs": [], "rows": [{"key": "one", "run": 0}]},
        {"runs": [{}], "rows": [{"key": "ones", "run": 0}]},
        {"runs": 1, "rows": []},
    ],
)
def test_a_file_that_cannot_be_added_to(tmp_path: Path, content: object) -> None:
    (tmp_path / "serve.json").write_text(json.dumps(content))
    with pytest.raises(PipelineError, match=r"cannot add to .*leave out --add"):
        read_report(tmp_path / "serve.json")
