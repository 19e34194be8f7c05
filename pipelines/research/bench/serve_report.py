"""What `dynstream bench serve --json` writes: runs of the command, and the rows that each of them measured.

    {"runs": [{"command": "dynstream bench serve ...", "machine": {...}, "settings": {...}}],
     "rows": [{"run": 0, "key": "several", "scenario": "pass-through, 4 streams, ...", "numbers": {...}, ...}]}

Scenarios want different lengths, so a file may be put together from several runs; each row says which one it is of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...common.errors import PipelineError
from ..common.json_files import read_json
from ..common.timing import plain
from .serve import SCENARIOS, ServeBenchSettings, ServeRow


@dataclass(frozen=True, kw_only=True)
class ServeRun:
    """One run of the command. machine: see `machine.describe_machine`; its time is that of the run."""

    command: str
    machine: Mapping[str, Any]
    settings: ServeBenchSettings


def make_report(run: ServeRun, rows: Sequence[ServeRow], kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The file's content. kept: an earlier one; what this run measured anew is replaced there, runs without rows go."""
    measured = {row.key for row in rows}
    stay = [row for row in kept["rows"] if row["key"] not in measured] if kept else []
    used = sorted({row["run"] for row in stay})
    found = [row | {"run": used.index(row["run"])} for row in stay]
    found += [{"run": len(used)} | plain(row) for row in rows]
    order = list(SCENARIOS)
    found.sort(key=lambda row: order.index(row["key"]))
    runs = [kept["runs"][number] for number in used] if kept else []
    return {"runs": [*runs, plain(run)], "rows": found}


def read_report(path: Path) -> dict[str, Any]:
    """A file that `make_report` made. PipelineError for anything else, such as one of before rows named their run."""
    data = read_json(path)
    try:
        runs = len(data["runs"])
        whole = all(row["key"] in SCENARIOS and 0 <= row["run"] < runs for row in data["rows"])
    except (KeyError, TypeError) as error:
        raise PipelineError(_not_ours(path)) from error
    if not whole:
        raise PipelineError(_not_ours(path))
    return data


def _not_ours(path: Path) -> str:
    return f"cannot add to {path}: its rows do not say what run they are of; leave out --add to measure all anew"
