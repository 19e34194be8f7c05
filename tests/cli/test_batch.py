"""`dynstream batch`: options, the table, the summary and the exit status; the work is that of a passing editor."""

import json
from functools import partial
from pathlib import Path

import pytest

import dynstream
from dynstream.cli.main import main
from dynstream.pipelines.api import batch as api
from dynstream.pipelines.batch.plan import Item
from dynstream.pipelines.research.bench.batch import PassingTranscoder, write_clip

from ..pipelines.batch.inline import InlineWorkers


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Workers of this process in place of others; the list gets what they were asked for."""
    calls: list[dict[str, object]] = []

    def open_workers(items: list[Item], **options: object) -> InlineWorkers:
        calls.append({"items": items, **options})
        return InlineWorkers(partial(PassingTranscoder, offline=True))

    monkeypatch.setattr(api, "_open", open_workers)
    monkeypatch.setenv("COLUMNS", "200")
    return calls


@pytest.fixture
def season(tmp_path: Path) -> Path:
    folder = tmp_path / "season"
    folder.mkdir()
    for name in ("one", "two [final]"):
        write_clip(folder / f"{name}.mp4", 0.4, (64, 48))
    return folder


def run(*arguments: object) -> int:
    try:
        main(["batch", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_folder_is_edited_and_said_so(
    season: Path, tmp_path: Path, asked: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    preset = tmp_path / "older.toml"
    preset.write_text("[edits]\nage = 1\nsmile = 3\n")
    arguments = (season, "--out", out, "--edit", "smile=2", "--preset", preset, "--crf", 20, "--summary", summary)
    assert run(*arguments, "--workers", 3, "--cores", 2, "--ray", "auto") == 0
    (call,) = asked
    assert {name: call[name] for name in ("workers", "cores", "device", "ray", "offline")} == {
        "workers": 3, "cores": 2, "device": "cpu", "ray": "auto", "offline": False,
    }  # fmt: skip
    (item, _) = call["items"]  # type: ignore[misc]
    assert [(spec.name, spec.start) for spec in item.edits] == [("age", 1), ("smile", 2)]
    assert item.options["crf"] == 20
    assert sorted(path.name for path in out.glob("*.mp4")) == ["one.mp4", "two [final].mp4"]
    written = json.loads(summary.read_text())
    assert {name: written[name] for name in ("files", "done", "already", "left", "frames", "failed")} == {
        "files": 2, "done": 2, "already": 0, "left": 0, "frames": 20, "failed": [],
    }  # fmt: skip
    assert "2 of 2 files; 20 frames in 00:00:0" in capsys.readouterr().err
    assert run(*arguments) == 0
    assert len(asked) == 1  # nothing was left to do


@pytest.mark.usefixtures("asked")
def test_a_file_that_was_set_aside_shows_in_the_exit_status(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (season / "bad.mp4").write_bytes(b"no video")
    assert run(season, "--out", tmp_path / "out", "--edit", "smile=2") == 2
    err = capsys.readouterr().err
    assert "Error: 1 of 3 files were set aside; the same command tries them again:" in err
    assert f"{season}/bad.mp4: input " in err


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--edit", "smlie=2"], "unknown edit 'smlie'"),
        ([], "nothing to do"),
        (["--edit", "smile=2", "--segments", "some"], "expected auto or a number of pieces from 1"),
        (["--edit", "smile=2", "--segments", "2", "--fps", "60"], "leave out --refine, --first-frame-edit and --fps"),
        (["--edit", "smile=2", "--codec", "h999"], "unknown video encoder"),
        (["--edit", "smile=2", "--summary", "no/such/folder/s.json"], "does not exist"),
    ],
)
def test_what_a_user_got_wrong(
    season: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(season, "--out", tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*.mp4"))


def test_a_python_program_has_the_same(season: Path, tmp_path: Path, asked: list[dict[str, object]]) -> None:
    seen: list[int] = []
    status = dynstream.batch(
        season / "one.mp4", tmp_path / "out", {"smile": 2}, suffix=".mkv", faces="all",
        progress=lambda status: seen.append(status.done),
    )  # fmt: skip
    assert isinstance(status, dynstream.BatchStatus)
    assert (status.done, seen[-1]) == (1, 1)
    assert (tmp_path / "out" / "one.mkv").exists()
    assert asked[0]["items"][0].options == {"faces": "all"}  # type: ignore[index]
    with pytest.raises(dynstream.BatchError, match="the ledger of results in memory://x must be a local file"):
        dynstream.batch(season, "memory://x", {"smile": 2})


def test_workers_by_cores(season: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynstream.pipelines.common.machine.usable_cores", lambda: 5)
    options = {"device": "cpu", "ray": None, "offline": True}
    assert api._open([], workers=None, cores=2, **options).count == 2  # type: ignore[arg-type]
    assert api._open([], workers=None, cores=8, **options).count == 1  # type: ignore[arg-type]
    assert api._open([], workers=7, cores=8, **options).count == 7  # type: ignore[arg-type]
    with pytest.raises(dynstream.PipelineError, match="device 'nonsense' cannot be used"):
        api._open([], workers=None, cores=1, device="nonsense", ray=None, offline=True)
