"""`dynstream bench batch`: what spreading files over workers costs, and what survives when workers are killed."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from ....models.directions.directions import load_directions
from ....stream.reader import VideoReader
from ...batch.host import Host
from ...batch.ledger import Ledger
from ...batch.local_workers import LocalWorkers
from ...batch.plan import Item, make_plan
from ...batch.run import BatchStatus, run_batch
from ...batch.tasks import Answer, MakeWork, Task
from ...batch.transcoder import Networks, Transcoder
from ...batch.workers import Workers
from ...edits.parsing import parse_edits
from ...run.transcode import transcode
from ...run.transcode_job import TranscodeJob
from .stub_editor import StubEditor, StubRenderer

EDITS = parse_edits(["smile=2"], None, {"smile": load_directions()["smile"]}).specs


class PassingEditor(StubEditor):
    """Changes nothing, so that the time is that of reading, writing and the engine."""

    renderer = StubRenderer()


class PassingNetworks(Networks):
    """No networks."""

    def editor(self, job: TranscodeJob) -> Any:
        """See `Networks.editor`."""
        return PassingEditor()


class PassingTranscoder(Transcoder):
    """A worker's work without networks."""

    @property
    def networks(self) -> Networks:
        """No networks."""
        return PassingNetworks(self.zoo)


@dataclass
class Pretending:
    """Work that takes a given time and makes a small file. See `tasks.Work`."""

    seconds: float = 0.0

    def prepare(self) -> None:
        """Nothing is needed."""

    def run(self, task: Task) -> Answer:
        """See `tasks.Work`."""
        time.sleep(self.seconds)
        Path(task.item.result).write_bytes(b"done")
        return Answer(identity="made", frames=1, seconds=self.seconds)


class ThreadWorkers:
    """Workers that are threads, for many of them on few cores. See `workers.Workers`."""

    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, make: MakeWork, count: int) -> None:
        self.count = count
        self._hosts = [Host(make, None) for _ in range(count)]
        self._executor = ThreadPoolExecutor(count)

    def start(self, worker: int) -> "Future[Any]":
        """See `workers.Workers`."""
        return self._executor.submit(self._hosts[worker].prepare)

    def submit(self, worker: int, task: Task) -> "Future[Any]":
        """See `workers.Workers`."""
        return self._executor.submit(self._hosts[worker].run, task)

    def close(self) -> None:
        """See `workers.Workers`."""
        self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class BatchBenchSettings:
    """What is run.

    Attributes:
        files: of `file_seconds` each, edited by `workers` while `kills` of them are killed.
        simulated: workers that pretend to work for one second a file, `per_worker` files each.
        many: files over which the driver's memory is watched.
    """

    files: int = 1000
    file_seconds: float = 2.0
    size: tuple[int, int] = (320, 180)
    workers: int = 2
    kills: int = 10
    simulated: int = 32
    per_worker: int = 10
    many: int = 10_000


@dataclass(frozen=True, kw_only=True)
class BatchBench:
    """What was measured.

    Attributes:
        alone_ms: a file by `transcode` in one process, in a loop.
        batch_ms: a file by the batch with one worker, after its start.
        overhead_ms: the difference.
        start_seconds: until the first worker was ready.
        killed: workers that were killed.
        made, lost, doubled, damaged: results of the run with kills; doubled ones are in the ledger twice.
        one_fps, two_fps: frames/s of one worker with all its cores, and of several with one core each.
        efficiency: of the simulated workers, 0..1.
        memory_mib: driver's resident memory after a tenth of the many files, and after all.
    """

    alone_ms: float
    batch_ms: float
    overhead_ms: float
    start_seconds: float
    killed: int
    made: int
    lost: int
    doubled: int
    damaged: int
    one_fps: float
    two_fps: float
    efficiency: float
    memory_mib: tuple[float, float]
    notes: list[str] = field(default_factory=list)


def write_clip(path: Path, seconds: float, size: tuple[int, int]) -> int:
    """Write a moving gradient with 25 frames a second; the number of frames."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    count = round(25 * seconds)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=width, height=height, pix_fmt="yuv420p")
        for number in range(count):
            wave = 120 + 100 * np.sin(x / 23 + 0.2 * number) * np.cos(y / 17)
            pixels = np.stack([wave, 0.7 * wave + 40, 255 - wave], axis=-1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return count


def rows(source: Path, folder: Path, count: int) -> Iterator[dict[str, object]]:
    """So many results of one source."""
    for number in range(count):
        result = folder / f"{number:05}{source.suffix}"
        yield {"row": f"row {number}", "source": str(source), "result": str(result)}


def run(
    items: Sequence[Item],
    ledger: Path,
    workers: Callable[[], Workers],
    watch: Callable[[BatchStatus], object] = lambda _status: None,
) -> BatchStatus:
    """A batch with a ledger of its own."""
    with Ledger(ledger) as opened:
        return run_batch(items, opened, workers, watch=watch)


def local(count: int, cores: int = 1) -> Callable[[], Workers]:
    """Processes without networks."""
    return partial(LocalWorkers, partial(PassingTranscoder, offline=True), count=count, cores=cores)


def bench_batch(
    folder: Path, settings: BatchBenchSettings, say: Callable[[str], None] = lambda _text: None
) -> BatchBench:
    """All measurements, in a folder for their files. Raises BatchError."""
    clip = folder / "clip.mp4"
    frames = write_clip(clip, settings.file_seconds, settings.size)
    few = max(10, settings.files // 20)
    say(f"{few} files one after the other, and by one worker")
    alone = _alone(clip, folder, few)
    one = run(_plan(clip, folder / "one", few), folder / "one.jsonl", local(1, settings.workers))
    batch_ms = 1000 * (one.seconds - (one.ready_seconds or 0)) / few
    say(f"{few} files by {settings.workers} workers")
    two = run(_plan(clip, folder / "two", few), folder / "two.jsonl", local(settings.workers))
    say(f"{settings.files} files, {settings.kills} kills")
    killed, made, lost, doubled, damaged = _with_kills(clip, frames, folder, settings)
    say(f"{settings.simulated} workers that pretend to work")
    count = settings.simulated * settings.per_worker
    workers = partial(ThreadWorkers, partial(Pretending, 1.0), settings.simulated)
    slept = run(_plan(clip, folder / "slept", count), folder / "slept.jsonl", workers)
    say(f"memory over {settings.many} files")
    memory = _memory(clip, folder, settings.many)
    return BatchBench(
        alone_ms=alone,
        batch_ms=batch_ms,
        overhead_ms=batch_ms - alone,
        start_seconds=one.ready_seconds or 0.0,
        killed=killed,
        made=made,
        lost=lost,
        doubled=doubled,
        damaged=damaged,
        one_fps=_speed(one),
        two_fps=_speed(two),
        efficiency=count / settings.simulated / (slept.seconds - (slept.ready_seconds or 0)),
        memory_mib=memory,
    )


def _plan(clip: Path, folder: Path, count: int) -> list[Item]:
    return make_plan(rows(clip, folder, count), EDITS)


def _speed(status: BatchStatus) -> float:
    return float(status.as_dict()["frames_per_second"])


def _alone(clip: Path, folder: Path, count: int) -> float:
    """Milliseconds of a file without a batch."""
    target = folder / "alone.mp4"
    started = time.perf_counter()
    for _ in range(count):
        transcode(clip, target, PassingEditor(), overwrite=True)  # type: ignore[arg-type]
    return 1000 * (time.perf_counter() - started) / count


def _with_kills(clip: Path, frames: int, folder: Path, settings: BatchBenchSettings) -> tuple[int, int, int, int, int]:
    """(kills, results made, lost, named twice in the ledger, damaged)."""
    chance = random.Random(0)
    at = sorted(chance.sample(range(1, settings.files - 1), settings.kills))
    killed = 0

    def kill(status: BatchStatus) -> None:
        nonlocal killed
        alive = [worker.pid for worker in status.workers if worker.state == "busy" and worker.pid is not None]
        if killed < len(at) and status.done >= at[killed] and alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
            killed += 1

    target, ledger = folder / "killed", folder / "killed.jsonl"
    run(_plan(clip, target, settings.files), ledger, local(settings.workers), kill)
    events = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    done = [event["key"] for event in events if event["event"] == "done"]
    made = sorted(target.glob("*.mp4"))
    left = sum(1 for path in target.rglob("*") if path.is_file()) - len(made)
    damaged = sum(_frames(path) != frames for path in made) + left
    return killed, len(made), settings.files - len(made), len(done) - len(set(done)), damaged


def _frames(path: Path) -> int:
    with VideoReader(path) as reader:
        return reader.frame_count_estimate or 0


def _memory(clip: Path, folder: Path, count: int) -> tuple[float, float]:
    early = 0.0

    def look(status: BatchStatus) -> None:
        nonlocal early
        if not early and status.done >= count // 10:
            early = _resident()

    workers = partial(ThreadWorkers, Pretending, 4)
    run(_plan(clip, folder / "many", count), folder / "many.jsonl", workers, look)
    return early, _resident()


def _resident() -> float:
    """Resident memory of this process in MiB; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
