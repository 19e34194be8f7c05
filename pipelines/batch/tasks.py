"""What a worker is asked, and what it answers. All of it is small and can be sent to another machine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .plan import Item
from .segments import Span


@dataclass(frozen=True, slots=True)
class MakeFile:
    """Make the result of an item. before: identity of what has its name now, None for nothing."""

    item: Item
    before: str | None


@dataclass(frozen=True, slots=True)
class CutFile:
    """Find where to cut the source of an item into so many pieces. shortest: of them, in seconds."""

    item: Item
    before: str | None
    count: int
    shortest: float


@dataclass(frozen=True, slots=True)
class MakePiece:
    """Edit one piece of an item into `place`, which is beside the result."""

    item: Item
    before: str | None
    index: int
    span: Span
    place: str


@dataclass(frozen=True, slots=True)
class JoinFile:
    """Join the finished pieces of an item."""

    item: Item
    before: str | None
    spans: tuple[Span, ...]
    places: tuple[str, ...]


Task = MakeFile | CutFile | MakePiece | JoinFile


@dataclass(frozen=True, slots=True)
class Answer:
    """A task that is done.

    Attributes:
        identity: of the result, "" for a part of it.
        frames: written, without those of a lead-in.
        seconds: of work.
        outcomes: how many frames of the source had which.
        spans: where to cut, for CutFile.
        notes: what could not be kept, in words.
        already: an earlier try had made it.
    """

    identity: str = ""
    frames: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    already: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A task, or the start of a worker, that failed.

    Attributes:
        message: for the user.
        disk_full: whether a disk is full, which will fail the others, too.
        trace: of a fault that is no user's.
    """

    message: str
    disk_full: bool = False
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker that has its networks. version, python: of its dynstream and Python. host, pid: where it runs."""

    version: str
    python: str
    host: str
    pid: int


class Work(Protocol):
    """What a worker process does. It is made once in each process, and holds the networks."""

    def prepare(self) -> None:
        """Load what all tasks need. Raises DynstreamError where this machine lacks it."""
        ...

    def run(self, task: Task) -> Answer:
        """Do a task. A second time gives the same file under the same name, once."""
        ...


MakeWork = Callable[[], Work]
"""Makes the work in the worker's process; it is sent there, so it is a function of a module, or a partial of one."""
