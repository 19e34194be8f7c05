"""A frame on its way through an engine, the stream it belongs to, and what is to be done next."""

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .cadence import Cadence

Phase = Literal["waiting", "analysing", "analysed", "compositing", "shown"]
Plan = Literal["undecided", "composite", "draw", "move", "pass", "make"]


@dataclass(slots=True, eq=False)
class ScheduledFrame:
    """A frame as the schedule sees it. Times are seconds of the engine's clock.

    Attributes:
        plan: "composite" has nothing to draw; "draw" waits for its drawing; "move" shows what was drawn before;
            "pass" shows the source; "make" is of a frame that did not come, whose time is to be filled.
        faces: to draw.
        reason: why it is not drawn.
        drawn: its drawing is there.
        queued: since when it waits for the device.
    """

    stream: "Stream"
    number: int
    captured: float
    deadline: float = math.inf
    phase: Phase = "waiting"
    plan: Plan = "undecided"
    reason: str = ""
    faces: int = 0
    drawn: bool = False
    queued: float = 0.0
    work: Any = None

    @property
    def shown(self) -> bool:
        """Whether something was shown for it, or it was given up; what is still being done for it serves others."""
        return self.phase == "shown"


@dataclass(slots=True, eq=False)
class Stream:
    """One session as the schedule sees it.

    Attributes:
        waiting: frames that nobody has looked at.
        flight: those under way, in order, until they are shown. looking: the one that is looked at.
        drawing: of a live stream, the one that is queued for the device or being drawn.
        settling: drawings that came after their frame was shown, whose layers are still to be made.
        compositing: whether its finish stage is at work.
        since_draw: frames since the last that was given to the device.
        drawings: how many were.
        cadence: when frames are due, where those that do not come are to be made.
    """

    live: bool
    max_latency: float
    rate: float = 25.0
    bypass: bool = False
    closed: bool = False
    waiting: deque[ScheduledFrame] = field(default_factory=deque)
    flight: deque[ScheduledFrame] = field(default_factory=deque)
    analysing: ScheduledFrame | None = None
    drawing: ScheduledFrame | None = None
    settling: deque[ScheduledFrame] = field(default_factory=deque)
    compositing: bool = False
    since_draw: int = 0
    drawings: int = 0
    numbers: int = 0
    cadence: Cadence | None = None

    @property
    def under_way(self) -> int:
        """Frames that were submitted and not shown yet."""
        return len(self.waiting) + len(self.flight)


@dataclass(frozen=True, slots=True)
class Analyse:
    """Find the faces of this frame."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw the faces of these frames in one batch, each encoded anew or not."""

    batch_frames: tuple[ScheduledFrame, ...]
    encode: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Composite:
    """Put what was drawn for this frame into it.

    Attributes:
        show: False where only the memory of it is wanted.
    """

    scheduled: ScheduledFrame
    show: bool


@dataclass(frozen=True, slots=True)
class Reproject:
    """Reproject what was drawn before onto this frame."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Conceal:
    """Conceal a frame that did not come."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Show:
    """The frame goes out.

    Attributes:
        what: the result of `Composite`, `Reproject` or `Conceal`; the source; or nothing, since a newer frame came
            or none was made.
    """

    scheduled: ScheduledFrame
    what: Literal["result", "source", "nothing"]
    reason: str = ""


Action = Analyse | Draw | Composite | Reproject | Conceal | Show


def choose(ready: Sequence[ScheduledFrame], max_batch: int) -> list[ScheduledFrame]:
    """The next batch out of the frames that wait for the device; empty where none does.

    At most one frame of each stream, its first, and at most `max_batch` faces, but for a single frame with more. Live
    frames go before those without a deadline, and not together with them, which would hold them up.
    """
    first: dict[int, ScheduledFrame] = {}
    for scheduled in ready:
        known = first.get(id(scheduled.stream))
        if known is None or scheduled.number < known.number:
            first[id(scheduled.stream)] = scheduled
    order = sorted(first.values(), key=lambda scheduled: (scheduled.deadline, scheduled.queued, scheduled.number))
    batch: list[ScheduledFrame] = []
    faces = 0
    for scheduled in order:
        if batch and (faces + scheduled.faces > max_batch or scheduled.stream.live != batch[0].stream.live):
            break
        batch.append(scheduled)
        faces += scheduled.faces
    return batch


def due(batch: Sequence[ScheduledFrame], streams: Collection[Stream], max_batch: int, window: float) -> float:
    """When this batch is to be pushed, in seconds: at once where it is full, else when its window is over.

    It is full with `max_batch` faces, or with a frame of every stream that could still bring one.
    """
    opened = min(scheduled.queued for scheduled in batch)
    there = {id(scheduled.stream) for scheduled in batch}
    cadence = any(id(stream) not in there and not stream.bypass for stream in streams)
    if sum(scheduled.faces for scheduled in batch) >= max_batch or not cadence:
        return opened
    return opened + window
