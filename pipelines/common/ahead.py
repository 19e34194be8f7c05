"""Iterators that run ahead of their reader, in threads of their own: the stages of a pipeline side by side."""

import threading
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from ...stream.channel import Channel, Closed

T = TypeVar("T")
WAITING: Final = 2
"""Items between two stages: enough that neither waits for a slow item of the other, little enough to hold."""


LAST_SECONDS: Final = 2.0


class Ahead(Generic[T]):
    """The same items in the same order, made in a thread while earlier ones are used; at most two lie ready.

    An error of the iterator is raised where its item would have come. `cancel` ends it early: an item in progress is
    finished and dropped.
    """

    def __init__(self, items: Iterable[T], name: str) -> None:
        self._items = items
        self._channel: Channel[T] = Channel(WAITING)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            for item in self._items:
                self._channel.put(item)
        except Closed:
            return
        except BaseException as error:
            self._channel.finish(error)
        else:
            self._channel.finish()

    def __iter__(self) -> Iterator[T]:
        return iter(self._channel)

    def cancel(self) -> None:
        """End early."""
        self._channel.cancel()

    def join(self) -> None:
        """Wait for the thread to end, but not for input that may never come."""
        self._thread.join(LAST_SECONDS)
