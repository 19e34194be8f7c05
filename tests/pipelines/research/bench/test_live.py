"""The live bench in simulated time: what goes in, what comes out, and what it says about it."""

import json
from pathlib import Path

import numpy as np
import pytest

from dynstream.cli.main import main
from dynstream.cli.research import bench_live as bench_command
from dynstream.pipelines.engine.load import hold
from dynstream.pipelines.engine.settings import EngineSettings
from dynstream.pipelines.research.bench.live import LiveBenchSettings, Overhead, bench_live, read_frames
from dynstream.pipelines.research.bench.stub_editor import NO_EDITS
from dynstream.pipelines.research.common.timing import plain
from dynstream.stream.errors import SourceError

from ...engine.simulation import COSTS, World
from ...fakes import DIRECTIONS, scene, write_clip

PICTURES = [np.full((2, 2, 3), level, np.uint8) for level in range(4)]


def run(world: World, **settings: object) -> object:
    options = LiveBenchSettings(**{"seconds": 10.0, "warm_up": 2.0, **settings})  # type: ignore[arg-type]
    workers = world.workers
    return bench_live(
        world.engine, PICTURES, 25.0, NO_EDITS, options,
        clock=workers.clock,
        sleep=lambda seconds: workers.run(workers.now + seconds),
        processor=lambda: workers.now / 2,
    )  # fmt: skip


def test_what_a_fast_engine_shows() -> None:
    result = run(World(), streams=2)
    assert result.fps_in == pytest.approx(25.0, rel=0.01)  # type: ignore[attr-defined]
    assert (result.fps_out, result.fps_edited, result.fps_drawn) == (result.fps_in,) * 3  # type: ignore[attr-defined]
    assert result.outcomes == {"edited": 500}  # type: ignore[attr-defined]
    assert result.age_ms["p95"] == pytest.approx(18, abs=4)  # type: ignore[attr-defined]
    assert result.cores_busy == pytest.approx(0.5)  # type: ignore[attr-defined]
    assert result.memory_mb is None or len(result.memory_mb) == 2  # type: ignore[attr-defined]
    json.dumps(plain(result), allow_nan=False)


def test_memory_is_read_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([700.0, 756.0, 757.0, 758.0])
    monkeypatch.setattr("dynstream.pipelines.research.bench.live.resident_mb", lambda: next(readings))
    result = run(World(), seconds=25.0)
    assert result.memory_mb == (700.0, 756.0, 757.0, 758.0)  # type: ignore[attr-defined]
    assert result.memory_growth_mb == 58.0  # type: ignore[attr-defined]
    assert result.late_memory_growth_mb == 1.0  # type: ignore[attr-defined]


def test_what_a_slow_engine_shows_is_counted_by_what_it_is() -> None:
    settings = EngineSettings(first_level="quarter")
    result = run(World(settings, costs=COSTS | {"device": 0.1}))
    assert result.fps_edited == pytest.approx(25.0, rel=0.01)  # type: ignore[attr-defined]
    assert result.fps_drawn == 0  # type: ignore[attr-defined]
    assert result.drawings == pytest.approx(6.25, rel=0.05)  # type: ignore[attr-defined]
    assert result.outcomes == {"edited: moved, between drawings": 250}  # type: ignore[attr-defined]
    assert result.engine["quality_level"] == "quarter"  # type: ignore[attr-defined]


def test_dropped_frames_are_not_shown() -> None:
    result = run(World(hold(EngineSettings(), "full"), costs=COSTS | {"analyse": 0.08}))
    assert result.fps_out == pytest.approx(12.5, rel=0.02)  # type: ignore[attr-defined]
    assert result.outcomes["dropped: a newer frame came"] == pytest.approx(125, abs=2)  # type: ignore[attr-defined]


def test_a_session_that_fails_ends_the_measurement() -> None:
    class Broken:
        def render(self, *_arguments: object) -> None:
            raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"):
        run(World(renderer=Broken()), warm_up=1.0, seconds=0.1)


def test_frames_of_a_clip_are_scaled_and_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(6)])
    pictures, rate = read_frames(clip, (64, 36), most=4)
    assert [picture.shape for picture in pictures] == [(36, 64, 3)] * 4
    assert rate == 25.0
    with pytest.raises(SourceError):
        read_frames(tmp_path / "none.mp4", (64, 36))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(4)])
    worlds: list[World] = []

    def load(_zoo: object, models: object, settings: EngineSettings) -> object:
        assert models.device == "cpu"  # type: ignore[attr-defined]
        worlds.append(World(settings))
        return worlds[-1].engine

    def measure(_engine: object, _pictures: object, rate: float, _edits: object, options: LiveBenchSettings) -> object:
        assert rate == 24.0
        return run(worlds[-1], streams=options.streams)

    monkeypatch.setattr("dynstream.models.directions.directions.load_directions", lambda: DIRECTIONS)
    monkeypatch.setattr("dynstream.pipelines.engine.load.load_engine", load)
    monkeypatch.setattr("dynstream.pipelines.research.bench.live.bench_live", measure)
    cost = Overhead(streams=8, frames=1000, processor_ms=0.5, age_ms={"p50": 1.0, "p95": 2.0}, mean_batch=3.0)
    monkeypatch.setattr("dynstream.pipelines.research.bench.live.bench_overhead", lambda: cost)
    target = tmp_path / "live.json"
    arguments = ["bench", "live", "--clip", str(clip), "--fps", "24", "--streams", "1", "--streams", "2"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--json", str(target), "--quality-level", "half", "--threads", "2"])
    assert not stop.value.code
    out = capsys.readouterr().out
    assert "edited/s" in out
    assert "0.50 ms of processor time a frame" in out
    document = json.loads(target.read_text())
    assert [one["streams"] for one in document["live"]] == [1, 2]
    assert document["settings"]["engine"]["first_level"] == "half"
    assert document["machine"]["packages"]["torch"]
    assert bench_command.WIDTH > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality-level", "third"], "unknown quality level 'third'; expected one of full"),
        (["--precision", "int8"], "unknown precision 'int8'; expected one of auto, float32, bfloat16"),
        (["--device", "toaster"], "device 'toaster' cannot be used"),
        (["--size", "wide"], "cannot read the size 'wide'"),
        (["--edit", "smille=1"], "did you mean 'smile'"),
    ],
)
def test_wrong_usage_is_refused_first(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bench", "live", "--offline", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
