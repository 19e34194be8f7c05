"""`dynstream bench`: options, tables and JSON, around commands and peers that are fakes."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynstream.cli.main import main
from dynstream.cli.research import bench
from dynstream.pipelines.research.bench.generator import GeneratorBenchSettings, GeneratorRow
from dynstream.pipelines.research.bench.quality import QualityScorers
from dynstream.pipelines.research.bench.transcode import TranscodeBenchSettings
from dynstream.pipelines.research.common.timing import Spread
from dynstream.pipelines.tracking.face_selection import POLICIES

from ...pipelines.fakes import DIRECTIONS, OvalBackend, scene, write_clip

COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["bench", *arguments])
    return int(stop.value.code or 0)


class FakeZoo:
    """A zoo whose every file is one made clip; it keeps what it was asked for."""

    def __init__(self, clip: Path) -> None:
        self.clip = clip
        self.asked: list[str] = []

    def path(self, name: str) -> Path:
        self.asked.append(name)
        return self.clip


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeZoo:
    fake = FakeZoo(write_clip(tmp_path / "clip [1].mp4", [scene((96 + i, 60)) for i in range(6)]))

    @contextmanager
    def open_zoo(**_options: object) -> Iterator[FakeZoo]:
        yield fake

    def command(_settings: TranscodeBenchSettings) -> object:
        return lambda source, target, _mode, _stats: [sys.executable, "-I", "-S", "-c", COPY, str(source), str(target)]

    monkeypatch.setattr(bench, "open_zoo", open_zoo)
    monkeypatch.setattr("dynstream.models.directions.directions.load_directions", lambda: DIRECTIONS)
    monkeypatch.setattr("dynstream.pipelines.research.bench.transcode.transcode_command", command)
    scorers = QualityScorers(backend=OvalBackend(), policy=POLICIES["largest"])
    monkeypatch.setattr(bench, "_scorers", lambda *_arguments: scorers)
    return fake


def test_transcode_prints_a_table_and_writes_everything(
    zoo: FakeZoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, keep = tmp_path / "deep" / "bench.json", tmp_path / "kept"
    assert run("transcode", "--repeats", "1", "--long", "--json", str(target), "--keep", str(keep)) == 0
    out = capsys.readouterr().out
    assert "clip [1].mp4, 200x160, 6 frames, smile=2" in out
    for words in ("frames/s, whole command", "ten times in a row: frames lost", "every time stamp equal", "equal"):
        assert words in out
    assert str(target) in out
    assert zoo.asked == ["mobilestylegan", "face-landmarker", "sample-clip"]
    document = json.loads(target.read_text())
    assert document["machine"]["packages"]["torch"]
    assert document["settings"]["edits"] == ["smile=2"]
    assert document["command"] == "dynstream bench transcode --repeats 1 --long --keep kept --json bench.json"
    (clip,) = document["clips"]
    assert clip["quality"]["detail"]["outside_psnr"] == "inf"
    assert clip["streams"]["replace"]["times_equal"] is True
    assert clip["long_frames_lost"] == 0
    assert {path.name for path in keep.iterdir()} == {
        "clip [1]-detail.mp4", "clip [1]-replace.mp4", "clip [1]-long.mp4", "clip [1]-long-detail.mp4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--edit", "smille=2"], "did you mean 'smile'"),
        (["--faces", "none"], "expected largest, all"),
        (["--clip", "/no/such.mp4"], "/no/such.mp4 does not exist"),
        (["--repeats", "0"], "--repeats"),
    ],
)
def test_transcode_refuses_wrong_usage_first(
    zoo: FakeZoo, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("transcode", *arguments) == 2
    assert message in capsys.readouterr().err
    assert zoo.asked == []


def test_a_json_file_that_cannot_be_written(zoo: FakeZoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run("transcode", "--repeats", "1", "--json", str(tmp_path / "file" / "bench.json")) == 2
    captured = capsys.readouterr()
    assert "name another file with --json" in captured.err
    assert "frames/s" in captured.out  # what was measured is not lost


def test_generator_prints_rows_and_reasons(
    zoo: FakeZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(
        _generator: object, name: str, _zoo: object, settings: GeneratorBenchSettings, **_rest: object
    ) -> Sequence[GeneratorRow]:
        assert settings.threads == 1
        return [
            GeneratorRow(name=f"{name}, eager", size=256, milliseconds=Spread((50.0, 52.0, 60.0)), apart=1.5e-5),
            GeneratorRow(name="a peer", size=1024, milliseconds=None, note="not installed: pip install 'a[b]'"),
        ]

    monkeypatch.setattr("dynstream.models.generator.load.load_generator", lambda _name, _zoo: object())
    monkeypatch.setattr("dynstream.pipelines.research.bench.peers.add_peers", lambda _zoo: None)
    monkeypatch.setattr("dynstream.pipelines.research.bench.generator.bench_generator", measured)
    target = tmp_path / "bench.json"
    options = ["--threads", "1", "--stylizer-python", "/home/someone/python", "--json", str(target)]
    assert run("generator", *options) == 0
    out = capsys.readouterr().out
    assert "mobilestylegan, eager" in out
    assert "52.0" in out
    assert "1.5e-05" in out
    assert "pip install 'a[b]'" in out
    document = json.loads(target.read_text())
    assert document["rows"][0]["milliseconds"]["median"] == 52.0
    assert document["settings"]["stylizer"] is True
    assert document["command"] == ("dynstream bench generator --threads 1 --stylizer-python python --json bench.json")
    assert "someone" not in target.read_text()
