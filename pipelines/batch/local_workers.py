"""Workers on this machine: for each an executor of one process, so that a killed one takes no other along."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from .host import Host
from .tasks import Answer, Failure, MakeWork, Ready, Task

_host: Host | None = None  # of this process, when it is a worker


def _begin(make: MakeWork, cores: int | None, lifeline: Connection) -> None:
    """Begins a worker process. lifeline: closed when the batch ends or dies; the process then ends at once."""
    global _host
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the batch ends its workers
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _host = Host(make, cores)


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


def _prepare() -> Ready | Failure:
    assert _host is not None
    return _host.prepare()


def _run(task: Task) -> Answer | Failure:
    assert _host is not None
    return _host.run(task)


class _Process:
    """One worker process. Its lifeline is held by this process alone."""

    def __init__(self, make: MakeWork, cores: int | None) -> None:
        context = multiprocessing.get_context("spawn")  # threads of this process must not be copied half-way
        ours, self._lifeline = context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(make, cores, ours))

    def end(self) -> None:
        self._lifeline.close()
        self.executor.shutdown(wait=True, cancel_futures=True)


class LocalWorkers:
    """See `workers.Workers`."""

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, make: MakeWork, *, count: int, cores: int | None) -> None:
        self.count = count
        self._make, self._cores = make, cores
        self._processes: list[_Process | None] = [None] * count

    def start(self, worker: int) -> "Future[Any]":
        """See `workers.Workers`."""
        old = self._processes[worker]
        if old is not None:
            old.end()
        process = self._processes[worker] = _Process(self._make, self._cores)
        return process.executor.submit(_prepare)

    def submit(self, worker: int, task: Task) -> "Future[Any]":
        """See `workers.Workers`."""
        process = self._processes[worker]
        assert process is not None
        return process.executor.submit(_run, task)

    def close(self) -> None:
        """See `workers.Workers`."""
        for process in self._processes:
            if process is not None:
                process.end()
