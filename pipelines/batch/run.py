"""A batch: what is left of the plan goes to the workers, file by file or in pieces, until all is done or set aside."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Final, Literal

from ..common.errors import BatchError, ClusterError
from . import places
from .ledger import Ledger, Recorded
from .plan import Item
from .segments import SHORTEST_SECONDS, Span, can_be_cut
from .tasks import Answer, CutFile, Failure, JoinFile, MakeFile, MakePiece, Ready, Task
from .workers import Workers

TRIES: Final = 3
"""Failures after which a file is set aside."""
DEATHS: Final = 5
"""Workers that may die over one task: machines are taken away, but a file may also be what kills them."""
LOOK_SECONDS: Final = 0.5
PIECES_PER_WORKER: Final = 3
"""With --segments auto, of a file alone: enough that all workers end at nearly the same time."""
AUTO_SECONDS: Final = 30.0
"""Least length of a piece with --segments auto."""

Segments = int | Literal["auto"]


@dataclass
class WorkerStatus:
    """A worker so far. seconds: of work. state: "starting", "idle", "busy" or "gone"."""

    host: str = ""
    pid: int | None = None
    state: str = "starting"
    tasks: int = 0
    frames: int = 0
    seconds: float = 0.0
    deaths: int = 0


@dataclass
class BatchStatus:
    """A batch so far; it is changed while the batch runs.

    Attributes:
        files: of the plan. already: of those, done by an earlier run.
        done: by this run.
        failed: (source, error) of files that were set aside.
        tries: failures and deaths after which a task was given again.
        ready_seconds: from the start until a worker was ready.
        notes: what a user should read, such as a machine that does not fit.
    """

    files: int
    already: int = 0
    done: int = 0
    frames: int = 0
    tries: int = 0
    seconds: float = 0.0
    ready_seconds: float | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    workers: list[WorkerStatus] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Files that are neither done nor set aside."""
        return self.files - self.already - self.done - len(self.failed)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the summary of a batch."""
        working = self.seconds - (self.ready_seconds or 0.0)
        figures = {"left": self.left, "frames_per_second": self.frames / max(1e-9, working)}
        return asdict(self) | {"outcomes": dict(self.outcomes), **figures}


@dataclass
class _File:
    """A file under way: its failures and deaths, and its pieces if it was cut."""

    item: Item
    before: str | None
    failures: int = 0
    deaths: int = 0
    spans: tuple[Span, ...] = ()
    pieces: dict[int, str] = field(default_factory=dict)
    over: bool = False


@dataclass(frozen=True)
class BatchSettings:
    """How a batch runs.

    Attributes:
        overwrite: results that other runs made, or that were made in other ways, may be replaced.
        segments: pieces of each file; "auto" cuts where there are fewer files than workers.
    """

    overwrite: bool = False
    segments: Segments = 1


def what_is_left(items: Sequence[Item], ledger: Ledger, overwrite: bool) -> list[tuple[Item, Recorded | None]]:
    """Items that are not done yet, each with what the ledger knows of its started work; results are looked at.

    Writes into the ledger what an earlier run finished and could not write. Raises BatchError that lists results which
    exist and are not of this batch.
    """
    left: list[tuple[Item, Recorded | None]] = []
    others = []
    for item in items:
        now, known = places.identity(item.result), ledger.known.get(item.key)
        same = known is not None and known.digest == item.digest()
        if now is not None and known is not None and same and known.identity == now:
            continue
        if now is not None and known is not None and same and known.identity is None and now != known.before:
            ledger.write("done", key=item.key, identity=now, found=True)  # the driver died after the rename
            continue
        if now is not None and not overwrite:
            others.append(f"{item.row}: {item.result}")
            continue
        left.append((item, known if known is not None and same and known.identity is None else None))
    if others:
        shown = "\n".join(others[:10]) + (f"\nand {len(others) - 10} more" if len(others) > 10 else "")
        raise BatchError(
            f"{len(others)} results exist that were not made by this batch, or from other sources, edits or options; "
            f"pass --overwrite to replace them, or choose another folder:\n{shown}"
        )
    return left


def run_batch(
    items: Sequence[Item],
    ledger: Ledger,
    open_workers: Callable[[], Workers],
    settings: BatchSettings = BatchSettings(),
    *,
    watch: Callable[[BatchStatus], object] = lambda _status: None,
    clock: Callable[[], float] = time.monotonic,
) -> BatchStatus:
    """Make what is left of the plan; the ledger, which is open, says what is done.

    open_workers: called when there is anything to do. watch: is called with the status after each change, and at
    least twice a second.

    Raises BatchError and SinkError where the batch cannot start or go on: no worker can, or a disk is full. What was
    done until then stays done, and the same call goes on.
    """
    for item in items:
        if settings.segments not in (1, "auto") and not can_be_cut(item.options):
            raise BatchError(
                f"{item.row}: --segments edits pieces apart; leave out --refine, --first-frame-edit and --fps"
            )
    for item in {os.path.dirname(item.result): item for item in items}.values():
        places.make_folder(item.result)
    left = what_is_left(items, ledger, settings.overwrite)
    status = BatchStatus(len(items), already=len(items) - len(left))
    ledger.write("run", files=len(items), left=len(left), version=version("dynstream"))
    for item, _ in left:
        places.clear_scratch(item.result, item.key)
    if left:
        workers = open_workers()
        batch = _Batch(left, ledger, workers, settings, status, watch, clock)
        try:
            batch.run()
        finally:
            workers.close()
            batch.clean()
    ledger.write("end", done=status.done, failed=len(status.failed), seconds=round(status.seconds, 3))
    watch(status)
    return status


class _Batch:
    def __init__(
        self,
        left: Sequence[tuple[Item, Recorded | None]],
        ledger: Ledger,
        workers: Workers,
        settings: BatchSettings,
        status: BatchStatus,
        watch: Callable[[BatchStatus], object],
        clock: Callable[[], float],
    ) -> None:
        self._left = deque(left)
        self._count = len(left)
        self._ledger, self._workers, self._settings = ledger, workers, settings
        self._status, self._watch, self._clock = status, watch, clock
        self._tasks: deque[tuple[_File, Task]] = deque()
        self._running: dict[Future[Any], tuple[int, _File | None, Task | None]] = {}
        self._idle: list[int] = []
        self._started = clock()
        self._stillborn: Counter[int] = Counter()
        status.workers = [WorkerStatus() for _ in range(workers.count)]

    def run(self) -> None:
        for worker in range(self._workers.count):
            self._start(worker)
        while self._left or self._tasks or any(task for _, _, task in self._running.values()):
            self._fill()
            self._assign()
            if not self._running:
                raise ClusterError("no worker is left: " + "; ".join(self._status.notes or ["all of them are gone"]))
            done, _ = wait(self._running, LOOK_SECONDS, FIRST_COMPLETED)
            for future in done:
                self._take(future)
                self._assign()
            self._status.seconds = self._clock() - self._started
            self._watch(self._status)

    def clean(self) -> None:
        """Remove what the workers, which have ended, were making."""
        for _, file, _ in self._running.values():
            if file is not None:
                places.clear_scratch(file.item.result, file.item.key)

    def _start(self, worker: int) -> None:
        self._status.workers[worker].state = "starting"
        self._running[self._workers.start(worker)] = (worker, None, None)

    def _fill(self) -> None:
        """Begin files ahead, so that no worker waits for the ledger."""
        while self._left and len(self._tasks) < self._workers.count:
            self._begin(*self._left.popleft())

    def _assign(self) -> None:
        while self._idle and self._tasks:
            file, task = self._tasks.popleft()
            if not file.over:
                worker = self._idle.pop()
                self._status.workers[worker].state = "busy"
                self._running[self._workers.submit(worker, task)] = (worker, file, task)

    def _begin(self, item: Item, known: Recorded | None) -> None:
        """The first task of a file, or its pieces that are left."""
        if known is not None and known.spans:
            file = _File(item, known.before, spans=tuple(Span(*span) for span in known.spans))
            file.pieces = {i: place for i, place in known.pieces.items() if places.identity(place) is not None}
            self._pieces(file)
            return
        file = _File(item, places.identity(item.result))
        self._ledger.write(
            "start", key=item.key, source=item.source, result=item.result, digest=item.digest(), before=file.before
        )
        count, shortest = self._settings.segments, SHORTEST_SECONDS
        if count == "auto":
            count, shortest = PIECES_PER_WORKER * self._workers.count // self._count, AUTO_SECONDS
            count = count if can_be_cut(item.options) else 1
        task = CutFile(item, file.before, count, shortest) if count > 1 else MakeFile(item, file.before)
        self._tasks.append((file, task))

    def _pieces(self, file: _File) -> None:
        wanted = range(len(file.spans))
        missing = [index for index in wanted if index not in file.pieces]
        if not missing:
            ready = tuple(file.pieces[index] for index in wanted)
            self._tasks.appendleft((file, JoinFile(file.item, file.before, file.spans, ready)))
            return
        for index in reversed(missing):  # a film that was begun is finished before the next one begins
            place = places.beside(file.item.result, f"{file.item.key}-{index:04}.mkv")
            task = MakePiece(file.item, file.before, index, file.spans[index], place)
            self._tasks.appendleft((file, task))

    def _take(self, future: "Future[Any]") -> None:
        worker, file, task = self._running.pop(future)
        status = self._status.workers[worker]
        error = future.exception()
        if isinstance(error, self._workers.lost):
            self._lost(worker, file, task, str(error))
            return
        if error is not None:
            raise error
        result = future.result()
        if file is None or task is None:
            self._ready(worker, result)
            return
        status.state = "idle"
        self._idle.append(worker)
        if isinstance(result, Failure):
            self._failed(file, task, result)
            return
        status.tasks += 1
        status.frames += result.frames
        status.seconds += result.seconds
        self._status.frames += result.frames
        self._status.outcomes.update(result.outcomes)
        self._done(file, task, result, worker)

    def _ready(self, worker: int, result: "Ready | Failure") -> None:
        status, ours = self._status.workers[worker], version("dynstream")
        if isinstance(result, Ready) and result.version == ours:
            status.host, status.pid, status.state, self._stillborn[worker] = result.host, result.pid, "idle", 0
            self._idle.append(worker)
            if self._status.ready_seconds is None:
                self._status.ready_seconds = self._clock() - self._started
            return
        status.state = "gone"
        why = (
            f"it has dynstream {result.version} (Python {result.python}) and this is {ours}; install the same"
            if isinstance(result, Ready)
            else result.message
        )
        self._status.notes.append(f"worker {worker} cannot be used: {why}")

    def _lost(self, worker: int, file: _File | None, task: Task | None, why: str) -> None:
        """A worker died: it is brought back, and its task is given again."""
        self._status.workers[worker].deaths += 1
        self._ledger.write("lost", worker=worker, task=type(task).__name__ if task else None)
        if file is None or task is None:
            self._stillborn[worker] += 1
        if self._stillborn[worker] < DEATHS:
            self._start(worker)
        else:
            self._status.workers[worker].state = "gone"
            self._status.notes.append(f"worker {worker} died {DEATHS} times as it started: {why.strip()}")
        if file is None or task is None:
            return
        if not isinstance(task, MakePiece):  # others may be making pieces of the same file
            places.clear_scratch(file.item.result, file.item.key)
        file.deaths += 1
        if file.deaths >= DEATHS:
            self._set_aside(file, f"{DEATHS} workers died over it; it may need more memory than there is")
        else:
            self._status.tries += 1
            self._tasks.appendleft((file, task))

    def _failed(self, file: _File, task: Task, failure: Failure) -> None:
        file.failures += 1
        self._ledger.write("failed", key=file.item.key, error=failure.message, trace=failure.trace)
        if failure.disk_full:
            raise BatchError(f"{failure.message}\nThe same command goes on from here.")
        if file.failures >= TRIES:
            self._set_aside(file, failure.message)
        elif not file.over:
            self._status.tries += 1
            self._tasks.append((file, task))

    def _set_aside(self, file: _File, why: str) -> None:
        if not file.over:
            file.over = True
            self._ledger.write("set aside", key=file.item.key, source=file.item.source, error=why)
            self._status.failed.append((file.item.source, why))

    def _done(self, file: _File, task: Task, answer: Answer, worker: int) -> None:
        key = file.item.key
        if file.over:
            return
        if isinstance(task, CutFile):
            if len(answer.spans) < 2:
                self._tasks.appendleft((file, MakeFile(file.item, file.before)))
                return
            file.spans = answer.spans
            spans = [(span.start, span.end, span.begin, span.frames) for span in file.spans]
            self._ledger.write("cut", key=key, spans=spans)
            self._pieces(file)
        elif isinstance(task, MakePiece):
            file.pieces[task.index] = task.place
            self._ledger.write("piece", key=key, index=task.index, place=task.place, frames=answer.frames)
            if len(file.pieces) == len(file.spans):
                self._pieces(file)
        else:
            self._ledger.write(
                "done",
                key=key,
                identity=answer.identity,
                frames=sum(span.frames for span in file.spans) or answer.frames,
                seconds=round(answer.seconds, 3),
                worker=worker,
                notes=answer.notes,
            )
            file.over = True
            self._status.done += 1
            for place in file.pieces.values():
                places.remove(place)
            places.clear_scratch(file.item.result, key)
