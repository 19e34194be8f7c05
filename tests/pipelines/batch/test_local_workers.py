"""Worker processes that are really killed, and those of a driver that is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynstream.pipelines.research.bench import batch as bench
from dynstream.pipelines.research.bench.batch import BatchBenchSettings, write_clip

from .inline import batch, plan

DRIVER = """
import os, signal, sys
from pathlib import Path
from dynstream.pipelines.research.bench.batch import _plan, local, run

def kill(status):
    if status.done >= 2:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":  # each worker process reads this file
    clip, out, ledger = map(Path, sys.argv[1:])
    run(_plan(clip, out, 5), ledger, local(2), kill)
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_clip(tmp_path / "clip.mp4", 0.4, (64, 48))
    return tmp_path / "clip.mp4"


def test_kills_of_workers_lose_and_double_nothing(clip: Path, tmp_path: Path) -> None:
    settings = BatchBenchSettings(files=6, kills=2, workers=2)
    killed, made, lost, doubled, damaged = bench._with_kills(clip, 10, tmp_path, settings)
    assert (killed, made, lost, doubled, damaged) == (2, 6, 0, 0, 0)


def test_a_killed_driver_takes_its_workers_along_and_the_next_goes_on(clip: Path, tmp_path: Path) -> None:
    script, out, ledger = tmp_path / "driver.py", tmp_path / "out", tmp_path / "ledger.jsonl"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(clip), str(out), str(ledger)]
    # It returns when nobody holds the pipe any more: the workers have ended, too.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == -9, done.stdout
    status = batch(plan(clip, out, 5), ledger)
    assert status.already >= 2
    assert status.already + status.done == 5
    keys = [line["key"] for line in map(json.loads, ledger.read_text().splitlines()) if line["event"] == "done"]
    assert len(keys) == len(set(keys)) == 5
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [f"{i:05}.mp4" for i in range(5)]


def test_many_simulated_workers_and_the_drivers_memory(clip: Path, tmp_path: Path) -> None:
    early, late = bench._memory(clip, tmp_path, 200)
    assert early > 0
    assert late - early < 20
    assert len(list((tmp_path / "many").iterdir())) == 200
