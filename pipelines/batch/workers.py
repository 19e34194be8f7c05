"""Workers that do the tasks of a batch: processes of this machine, or actors of a Ray cluster."""

from concurrent.futures import Future
from typing import Any, Protocol

from .tasks import Task


class Workers(Protocol):
    """A fixed number of workers, each of which does one task at a time and holds its networks between them.

    Attributes:
        count: number of workers, named 0 to count - 1.
        lost: types of the exceptions of a future whose worker died. `start` then brings it back.
    """

    count: int
    lost: tuple[type[BaseException], ...]

    def start(self, worker: int) -> "Future[Any]":
        """Start a worker, or bring it back: a future of `Ready` or `Failure`."""
        ...

    def submit(self, worker: int, task: Task) -> "Future[Any]":
        """Give a worker that is ready and idle a task: a future of `Answer` or `Failure`."""
        ...

    def close(self) -> None:
        """End all workers at once, whatever they do."""
        ...
