"""The interface of an engine to the server."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from ...stream.frame import Frame, Pixels
from ..common.errors import PipelineError
from ..edits.wording import Reading
from ..engine.result_queue import Shown

CHOSEN: Final = "chosen"
"""The value of `faces` for a face chosen by its place."""


class NoRoomError(PipelineError):
    """There is no room for one more stream."""


class NotAvailableError(PipelineError):
    """This engine does not support the request."""


@dataclass(frozen=True, slots=True)
class EditChoice:
    """An available edit, as docs/protocol.md lists it; strengths are numbers from `low` to `high`."""

    name: str
    label: str
    group: str
    low: float
    high: float
    about: str
    step: float = 0.1
    default: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For msgpack and JSON."""
        return asdict(self)


class EditSession(Protocol):
    """One stream. Called from the event loop: nothing here waits."""

    def submit(self, frame: Frame, arrived: float) -> "Future[Shown]":
        """Edit a frame; pts grow. arrived: on the monotonic clock. A future that is cancelled need not be worked on.

        The future fails with the engine's error; the next frame may be tried.
        """
        ...

    def conceal_missing(self, give: Callable[[Shown], object]) -> None:
        """Start to conceal lost frames, if possible.

        give: gets each picture; called in any thread, in order with the futures.
        """
        ...

    def set(self, edits: Mapping[str, float], ramp_ms: float) -> None:
        """Move to these strengths from the next frame on; edits that are not named go to zero."""
        ...

    def configure(self, *, mode: str, faces: str, max_latency_ms: float) -> None:
        """Change settings from the next frame on. faces: CHOSEN leaves the choice to the last `choose_face`."""
        ...

    def choose_face(self, x: float, y: float) -> None:
        """From the next frame on edit only the face at a place in 0..1 of the picture, and follow it.

        Raises NotAvailableError if the engine has no face tracking.
        """
        ...

    def calibrate(self) -> None:
        """What a portrait's driver does from the next frame on is at rest. Raises NotAvailableError without one."""
        ...

    def close(self) -> None:
        """Release its resources; a second call does nothing."""
        ...


class EditEngine(Protocol):
    """One device.

    in_flight: frames of one stream under way at a time. keeps_latency: whether it returns a result for every frame
    before its deadline; otherwise the server does so. level: quality level, 0 for the best. stand_in: shown wherever
    the source would be, until there is a picture, which then stays; None shows the source.
    """

    choices: Sequence[EditChoice]
    modes: Sequence[str]
    in_flight: int
    keeps_latency: bool
    stand_in: Pixels | None

    @property
    def level(self) -> int: ...

    def warm_up(self) -> None:
        """Load and run everything once; takes its time, in a thread of its own."""
        ...

    def read_text(self, text: str) -> Reading:
        """What a text asks for, within some tens of milliseconds.

        Raises EditError for one that asks for nothing that can be done, NotAvailableError if none can be read.
        """
        ...

    def open(self) -> EditSession:
        """A new stream; takes its time, in any thread. Raises NoRoomError if the device has no room."""
        ...

    def close(self) -> None:
        """After the sessions."""
        ...
