"""The whole benchmark of one clip, with a command that copies instead of editing."""

import json
import sys
from pathlib import Path

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.quality import QualityScorers
from dynstream.pipelines.research.bench.transcode import LONG, TranscodeBenchSettings, bench_clip, transcode_command
from dynstream.pipelines.research.common.timing import plain
from dynstream.pipelines.tracking.face_selection import POLICIES

from ...fakes import OvalBackend, scene, write_clip

COPY = """
import json, shutil, sys
source, target, mode, stats = sys.argv[1:]
shutil.copyfile(source, target)
json.dump({"stages": {"track": {"mean_ms": 1.0}}, "outcomes": {"edited": 6}, "mode": mode}, open(stats, "w"))
with open(stats + ".log", "a") as log:
    print(mode, file=log)
"""


def command(source: Path, target: Path, mode: str, stats: Path) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", COPY, str(source), str(target), mode, str(stats)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(6)])


@pytest.fixture
def scorers() -> QualityScorers:
    return QualityScorers(backend=OvalBackend(), policy=POLICIES["largest"])


def test_both_modes_are_run_and_judged(clip: Path, tmp_path: Path, scorers: QualityScorers) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    result = bench_clip(clip, folder, TranscodeBenchSettings(repeats=2, long=True), scorers, command=command)
    assert (folder / "clip-stats.json.log").read_text().split() == ["replace", "detail", "detail"]
    assert (result.clip, result.size) == ("clip.mp4", (200, 160))
    assert result.speed.frames == 6
    assert len(result.speed.seconds.values) == 2
    assert result.outcomes == {"edited": 6}
    assert set(result.quality) == set(result.streams) == {"detail", "replace"}
    assert all(kept.all_equal for kept in result.streams.values())
    assert result.quality["detail"].warp_error is None
    assert result.long is not None
    assert result.long.frames == 6 * LONG
    assert result.long_frames_lost == 0
    json.dumps(plain(result), allow_nan=False)


def test_a_command_that_fails_stops_the_benchmark(clip: Path, tmp_path: Path, scorers: QualityScorers) -> None:
    def failing(*_arguments: object) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('Error: unknown edit')"]

    with pytest.raises(PipelineError, match="unknown edit"):
        bench_clip(clip, tmp_path, TranscodeBenchSettings(repeats=1), scorers, command=failing)


def test_the_command_is_the_users_own() -> None:
    made = transcode_command(TranscodeBenchSettings(edits=("smile=2", "age=1"), faces="all"))
    words = list(made(Path("in.mp4"), Path("out.mp4"), "detail", Path("stats.json")))
    assert words[:5] == [sys.executable, "-m", "dynstream", "transcode", "in.mp4"]
    assert " ".join(words).endswith(
        "out.mp4 --edit smile=2 --edit age=1 --mode detail --faces all --stats stats.json --overwrite --offline"
    )
    made = transcode_command(TranscodeBenchSettings(draw_every="1"))
    assert list(made(Path("in.mp4"), Path("out.mp4"), "detail", Path("stats.json")))[-2:] == ["--draw-every", "1"]


def test_at_least_one_run() -> None:
    with pytest.raises(ValueError, match="one run"):
        TranscodeBenchSettings(repeats=0)
