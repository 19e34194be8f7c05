"""`dynstream results`: the page, the plan, and learning curves, at the command line."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynstream.cli.main import main
from dynstream.cli.research import results

from ...stream.media import Clip, make


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["results", *arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    make(tmp_path / "mine.mp4", Clip(pts=range(0, 512 * 4, 512), audio=None))
    return tmp_path


RUN = ("run", "--clip", "mine.mp4", "--no-sample", "--synthetic", "0", "--frames", "2", "--results", "docs/results")


def test_a_dry_run_says_what_would_be_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*RUN, "--dry-run", "--only", "edits", "--only", "peers") == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("dynstream bench peers --json")
    assert lines[1].startswith("dynstream transcode runs/results/mine.mp4")
    assert "4 steps, about" in captured.err
    assert not (folder / "runs").exists()


def test_everything_is_run_gathered_and_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def call(arguments: Sequence[str]) -> int:
        asked.append(arguments[0])
        if arguments[0] == "transcode":
            Path(arguments[2]).write_text("a video")
            if "--stats" in arguments:
                Path(arguments[arguments.index("--stats") + 1]).write_text('{"stages": {"track": {"mean_ms": 3}}}')
        if arguments[0] == "evaluate":
            cells = {"result": {"value": 1.25, "count": 2}}
            row = {"name": "warp-error-ratio", "unit": "", "better": "lower", "values": cells, "source": 1.0}
            numbers = {"frames": 2, "size": [64, 48], "rows": [row], "faceless": {}}
            Path(arguments[arguments.index("--json") + 1]).write_text(json.dumps(numbers))
        return 0

    monkeypatch.setattr("dynstream.pipelines.research.results.run.call_dynstream", call)
    assert run(*RUN, "--only", "edits") == 0
    page = (folder / "docs" / "results.md").read_text("utf-8")
    assert "| mine (2 frames) |" in page
    assert "Printed by `dynstream results run --clip mine.mp4 --no-sample --synthetic 0 --frames 2 --only edits" in page
    assert "1.250" in page
    assert asked == ["transcode", "transcode", "evaluate"]
    assert run(*RUN, "--only", "edits") == 0
    assert len(asked) == 3
    assert "done before" in capsys.readouterr().err


def test_the_sample_clip_goes_by_its_own_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def open_zoo(**_options: object) -> Iterator[object]:
        yield SimpleNamespace(path=lambda _name: folder / "mine.mp4")

    monkeypatch.setattr(results, "open_zoo", open_zoo)
    monkeypatch.setattr("dynstream.pipelines.research.results.run.call_dynstream", lambda _arguments: 1)
    options = ("run", "--synthetic", "0", "--frames", "2", "--results", "docs/results", "--only", "edits")
    assert run(*options) == 2
    assert "sample: edit ended with status 1: dynstream transcode runs/results/sample.mp4" in capsys.readouterr().err
    assert (folder / "runs" / "results" / "sources" / "sample.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--clip", "none.mp4"), "none.mp4 does not exist"),
        (("--only", "speed"), "unknown part 'speed'"),
        (("--edit", "smille=2"), "did you mean"),
        (("--data", "nowhere"), "does not exist"),
    ],
)
def test_wrong_usage_is_refused_first(
    folder: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*RUN, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_learning_curves_are_kept_and_shown(folder: Path) -> None:
    (folder / "docs" / "results").mkdir(parents=True)
    (folder / "log.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n')
    assert run("learning", "encoder=log.jsonl") == 0
    assert run("write") == 0
    page = (folder / "docs" / "results.md").read_text("utf-8")
    assert "![encoder: loss](results/plots/learning-encoder-loss.svg)" in page
    assert (folder / "docs" / "results" / "plots" / "learning-encoder-loss.svg").read_text().startswith("<?xml")


def test_a_folder_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("write") == 2
    assert "docs/results is no folder" in capsys.readouterr().err
