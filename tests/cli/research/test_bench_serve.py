"""`dynstream bench serve --json`, `--add`: what is kept of runs, around a measurement that is a fake."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.pipelines.research.bench import serve
from dynstream.pipelines.research.bench.serve import ServeBenchSettings, ServeRow


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["bench", "serve", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[ServeBenchSettings]:
    """The settings of each measurement."""
    asked: list[ServeBenchSettings] = []

    async def bench_serve(names: Sequence[str], settings: ServeBenchSettings, _watch: object) -> list[ServeRow]:
        asked.append(settings)
        return [ServeRow(f"{name}, {settings.seconds:g} s", None, None, None, {}, name) for name in names]

    monkeypatch.setattr(serve, "bench_serve", bench_serve)
    return asked


def test_runs_are_put_together(
    measured: list[ServeBenchSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    target = Path("deep") / "serve.json"
    both = ("--scenario", "one", "--scenario", "several")
    assert run(*both, "--seconds", "30", "--json", str(target), "--add") == 0
    assert run("--scenario", "several", "--seconds", "600", "--json", str(target), "--add") == 0
    found = json.loads(target.read_text())
    assert [row["scenario"] for row in found["rows"]] == ["one, 30 s", "several, 600 s"]
    assert [row["run"] for row in found["rows"]] == [0, 1]
    assert [one["command"] for one in found["runs"]] == [
        "dynstream bench serve --scenario one --scenario several --seconds 30 --json serve.json --add",
        "dynstream bench serve --scenario several --seconds 600 --json serve.json --add",
    ]
    assert found["runs"][1]["machine"]["packages"]["aiortc"]
    assert "several, 600 s" in capsys.readouterr().out
    assert run("--scenario", "one", "--json", str(target)) == 0
    assert [row["scenario"] for row in json.loads(target.read_text())["rows"]] == ["one, 10 s"]


def test_what_cannot_be_added_to_is_said_before_the_measurement(
    measured: list[ServeBenchSettings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"
    old.write_text('{"machine": {}, "settings": {}, "rows": [{"scenario": "1 stream"}]}')
    assert run("--json", str(old), "--add") == 2
    assert run("--add") == 2
    said = capsys.readouterr().err
    assert "leave out --add to measure everything again" in said
    assert "expected --json FILE" in said
    assert measured == []
