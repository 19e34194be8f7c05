"""The worker threads of an engine: several for each lane, and a timer thread that wakes it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")
Lane = Literal["analyse", "device", "composite"]


class WorkerPool(Protocol):
    """Runs work off the caller's thread.

    `start` may be called while the engine's lock is held: nothing that takes the lock runs before it returns. An engine
    gives a lane no more work than it has workers, so nothing queues here.
    """

    def start(self, lane: Lane, work: Callable[[], T], done: Callable[[T], None], size: int = 1) -> None:
        """Run `work`, then `done` with what it returned; neither raises. size: faces in it."""
        ...

    def wake_at(self, seconds: float | None) -> None:
        """Call the engine's `tick` at a time of its clock, which replaces the time set before. None: never."""
        ...

    def wait_for(self, changed: threading.Condition, ready: Callable[[], bool]) -> None:
        """Return when `ready` holds. changed: held by the caller, and notified whenever anything has changed."""
        ...

    def begin(self, tick: Callable[[], None]) -> None:
        """Get ready. tick: see `wake_at`."""
        ...

    def close(self) -> None:
        """Wait for the work in progress and end the threads."""
        ...


class ThreadWorkerPool:
    """The worker threads of a running engine. clock: the engine's, in real seconds."""

    def __init__(self, analysis: int, composite: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = {
            "analyse": ThreadPoolExecutor(analysis, "engine-analyse"),
            "device": ThreadPoolExecutor(1, "engine-device"),
            "composite": ThreadPoolExecutor(composite, "engine-composite"),
        }
        self._clock = clock
        self._moved = threading.Condition()
        self._wake: float | None = None
        self._ended = False
        self._timer: threading.Thread | None = None

    def begin(self, tick: Callable[[], None]) -> None:
        """See `WorkerPool`."""
        self._timer = threading.Thread(target=self._keep_time, args=(tick,), name="engine-timer", daemon=True)
        self._timer.start()

    def start(self, lane: Lane, work: Callable[[], T], done: Callable[[T], None], size: int = 1) -> None:
        """See `WorkerPool`."""

        def run() -> None:
            done(work())

        self._pools[lane].submit(run)

    def wake_at(self, seconds: float | None) -> None:
        """See `WorkerPool`."""
        with self._moved:
            sooner = seconds is not None and (self._wake is None or seconds < self._wake)
            self._wake = seconds
            if sooner:  # otherwise it wakes at the old time, finds nothing to do and waits again
                self._moved.notify()

    def wait_for(self, changed: threading.Condition, ready: Callable[[], bool]) -> None:
        """See `WorkerPool`."""
        changed.wait_for(ready)

    def _keep_time(self, tick: Callable[[], None]) -> None:
        while True:
            with self._moved:
                while not self._ended and (self._wake is None or self._wake > self._clock()):
                    self._moved.wait(None if self._wake is None else max(0.0, self._wake - self._clock()))
                if self._ended:
                    return
                self._wake = None
            tick()

    def close(self) -> None:
        """See `WorkerPool`."""
        with self._moved:
            self._ended = True
            self._moved.notify()
        if self._timer is not None and self._timer is not threading.current_thread():
            self._timer.join()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
