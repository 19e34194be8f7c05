"""A mailbox of size one: the newest item wins, and an item that was not taken in time is dropped and counted.

It connects a live producer to a slower consumer, so that nothing waits in a queue and the age of items does not grow.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class MailboxClosed(Exception):  # noqa: N818 - an end, and no error of its own
    """Nothing is put or taken any more. `reason`: the error that ended it, None if it simply ended."""

    def __init__(self, reason: BaseException | None = None) -> None:
        super().__init__("the mailbox is closed")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Posted(Generic[T]):
    """An item, and when it was put in: seconds of the mailbox's clock."""

    item: T
    seconds: float


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """Numbers of items put in, taken out, and replaced before they were taken."""

    put: int
    taken: int
    dropped: int


class Mailbox(Generic[T]):
    """Latest-wins mailbox of size one, for any number of threads and event loops.

    `put` never blocks, so that an event loop may call it as well as a thread. `take` waits in a thread, `receive` in
    an event loop, `poll` not at all. After `close` an item that is still there can be taken; then MailboxClosed is
    raised. put == taken + dropped + (1 where one is waiting), at any time.

    clock: gives the seconds at which items are stamped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: Posted[T] | None = None
        self._closed = False
        self._reason: BaseException | None = None
        self._put = self._taken = self._dropped = 0
        self._loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def put(self, item: T, seconds: float | None = None) -> bool:
        """Leave an item, and drop the one that is still there. Returns whether one was dropped.

        seconds: its stamp, where it is older than now. Raises MailboxClosed after `close`.
        """
        with self._changed:
            if self._closed:
                raise MailboxClosed(self._reason)
            displaced = self._waiting is not None
            self._waiting = Posted(item, self._clock() if seconds is None else seconds)
            self._put += 1
            self._dropped += displaced
            self._wake()
        return displaced

    def poll(self) -> Posted[T] | None:
        """The waiting item, or None. Raises MailboxClosed when closed and empty."""
        with self._changed:
            return self._get()

    def take(self, timeout: float | None = None) -> Posted[T] | None:
        """The next item, waited for; None after `timeout` seconds. Raises MailboxClosed when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closed, timeout)
            return self._get()

    async def receive(self) -> Posted[T]:
        """The next item, waited for without blocking the event loop. Raises MailboxClosed when closed and empty."""
        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                if (posted := self._get()) is not None:
                    return posted
                waiter = (loop, loop.create_future())
                self._loops.append(waiter)
            try:
                await waiter[1]
            finally:
                with self._changed, contextlib.suppress(ValueError):
                    self._loops.remove(waiter)

    def close(self, reason: BaseException | None = None, *, discard: bool = False) -> None:
        """End it; those who wait are woken. The first call counts. discard: also drop the item that is there."""
        with self._changed:
            if discard and self._waiting is not None:
                self._waiting = None
                self._dropped += 1
            if not self._closed:
                self._closed, self._reason = True, reason
            self._wake()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def counts(self) -> MailboxCounts:
        """The present counts, all taken at one time."""
        with self._changed:
            return MailboxCounts(self._put, self._taken, self._dropped)

    def _get(self) -> Posted[T] | None:
        posted, self._waiting = self._waiting, None
        if posted is not None:
            self._taken += 1
        elif self._closed:
            raise MailboxClosed(self._reason)
        return posted

    def _wake(self) -> None:
        # All of them: a waiter may have given up between being chosen and waking.
        self._changed.notify_all()
        loops, self._loops = self._loops, []
        for loop, future in loops:
            with contextlib.suppress(RuntimeError):  # that event loop is gone
                loop.call_soon_threadsafe(_finish, future)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
