"""A bounded queue between two threads that either of them can end."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - an end, and no error of its own
    """The other side has ended: an item is not taken any more, or none will come."""


class Channel(Generic[T]):
    """At most `size` items between one thread that puts and one that takes; nothing is ever dropped.

    The putting side waits while it is full, the taking side while it is empty. `finish` is the putting side's end:
    what is queued is still taken, then the taking side's iteration ends, or raises the error given. `cancel` is the
    taking side's, or a third thread's: what is queued is dropped, and `put` raises Closed.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"expected room for at least one item, got {size}")
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Add an item, waiting for room. Raises Closed if the taking side has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._size or self._cancelled)
            if self._cancelled:
                raise Closed
            if self._finished:
                raise ValueError("expected no item after the end")
            self._items.append(item)
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> T:
        """The next item. Raises Closed at the end, the error of `finish`, TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._finished or self._cancelled, timeout):
                raise TimeoutError
            if self._cancelled:
                raise Closed
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise Closed

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self.take()
            except Closed:
                return
            yield item

    def finish(self, error: BaseException | None = None) -> None:
        """No more items come; with an error, the taking side gets it after what is queued."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def cancel(self) -> None:
        """Forget what is queued; both sides end at once."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __repr__(self) -> str:
        ended = ", cancelled" if self._cancelled else ", finished" if self._finished else ""
        return f"Channel({len(self._items)} of {self._size}{ended})"
