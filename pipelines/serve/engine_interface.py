"""What the server needs from whatever edits the pictures, and nothing more."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from ...stream.frame import Frame
from ..common.errors import PipelineError
from ..engine.result_queue import Shown

CHOSEN: Final = "chosen"
"""What `faces` is called where a face was chosen by its place."""


class NoRoomError(PipelineError):
    """One stream more would harm those that run."""


class NotAvailableError(PipelineError):
    """This engine cannot do what was asked."""


@dataclass(frozen=True, slots=True)
class EditChoice:
    """An edit that there is, as docs/protocol.md lists it; strengths are numbers from `low` to `high`."""

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
        """From now on give a picture at the time of each frame that does not come, where that can be made.

        give: called in any thread, in order with the futures that are done.
        """
        ...

    def set(self, edits: Mapping[str, float], ramp_ms: float) -> None:
        """From the next frame on move to these strengths; those that are not named go to zero."""
        ...

    def configure(self, *, mode: str, faces: str, max_latency_ms: float) -> None:
        """From the next frame on. faces: CHOSEN leaves the choice to the last `choose_face`."""
        ...

    def choose_face(self, x: float, y: float) -> None:
        """From the next frame on work on the one face at a place in 0..1 of the picture, wherever it goes.

        Raises NotAvailableError where the engine knows no faces.
        """
        ...

    def close(self) -> None:
        """Give up what it holds; a second call does nothing."""
        ...


class EditEngine(Protocol):
    """One device.

    in_flight: frames of one stream that may be worked on at a time. keeps_latency: whether it shows something for every
    frame before that is too old; else the server does so. level: step of quality, 0 for the best.
    """

    choices: Sequence[EditChoice]
    modes: Sequence[str]
    in_flight: int
    keeps_latency: bool

    @property
    def level(self) -> int: ...

    def warm_up(self) -> None:
        """Load and run everything once; takes its time, in a thread of its own."""
        ...

    def open(self) -> EditSession:
        """A new stream; takes its time, in any thread. Raises NoRoomError where the device has no room."""
        ...

    def close(self) -> None:
        """After the sessions."""
        ...
