"""Results on their way out of a session: in order, and never while a lock is held that a callback might want."""

import threading
from collections import deque
from concurrent.futures import Future

from .outcome import Shown

Result = Shown | BaseException | None
"""What a future gets: a frame, an error, or, with None, its cancellation."""


class ResultQueue:
    """One session's. lock: the engine's, which guards it."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._waiting: deque[tuple[Future[Shown], Result]] = deque()
        self._delivering = False

    def put(self, future: "Future[Shown]", result: Result) -> None:
        """To be delivered after those that were put before; with the lock held."""
        self._waiting.append((future, result))

    def deliver(self) -> None:
        """Let everything out, unless another thread is at it, which then lets out this, too; without the lock."""
        while True:
            with self._lock:
                if self._delivering or not self._waiting:
                    return
                self._delivering = True
                future, result = self._waiting.popleft()
            try:
                resolve(future, result)
            finally:
                with self._lock:
                    self._delivering = False


def resolve(future: "Future[Shown]", result: Result) -> None:
    """Give a future what it gets."""
    if result is None:
        future.cancel()
        future.set_running_or_notify_cancel()
    elif future.set_running_or_notify_cancel():
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
