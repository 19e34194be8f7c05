"""Workers inside of the test: a task is done when it is submitted, and a worker dies when the test says so."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from dynstream.pipelines.batch.host import Host
from dynstream.pipelines.batch.ledger import Ledger
from dynstream.pipelines.batch.plan import Item, make_plan
from dynstream.pipelines.batch.run import BatchSettings, BatchStatus, run_batch
from dynstream.pipelines.batch.tasks import MakeWork, Task
from dynstream.pipelines.edits.parsing import parse_edit
from dynstream.pipelines.research.bench.batch import PassingTranscoder, rows

EDITS = (parse_edit("smile=2"),)
Dies = Callable[[Task], bool]


class WorkerDiedError(Exception):
    """A worker died."""


class InlineWorkers:
    """See `workers.Workers`. dies: whether a worker dies over a task, before or (`late`) after it is done."""

    lost = (WorkerDiedError,)

    def __init__(self, make: MakeWork, *, count: int = 2, dies: Dies = lambda _task: False, late: bool = False) -> None:
        self.count = count
        self.tasks: list[Task] = []
        self.starts = 0
        self._make, self._dies, self._late = make, dies, late
        self._hosts: dict[int, Host] = {}

    def start(self, worker: int) -> "Future[Any]":
        self.starts += 1
        self._hosts[worker] = Host(self._make, None)
        return _future(self._hosts[worker].prepare())

    def submit(self, worker: int, task: Task) -> "Future[Any]":
        self.tasks.append(task)
        dead = self._dies(task)
        answer = None if dead and not self._late else self._hosts[worker].run(task)
        return _future(WorkerDiedError("killed") if dead or answer is None else answer)

    def close(self) -> None:
        self._hosts.clear()


def _future(result: object) -> "Future[Any]":
    future: Future[Any] = Future()
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


def plan(source: Path, folder: Path, count: int = 1) -> list[Item]:
    return make_plan(rows(source, folder, count), EDITS)


def batch(
    items: list[Item],
    ledger: Path,
    workers: InlineWorkers | None = None,
    settings: BatchSettings | None = None,
    **options: Any,
) -> BatchStatus:
    opened = workers or InlineWorkers(partial(PassingTranscoder, offline=True))
    with Ledger(ledger, clock=lambda: 0.0) as writing:
        return run_batch(items, writing, lambda: opened, settings or BatchSettings(), **options)
