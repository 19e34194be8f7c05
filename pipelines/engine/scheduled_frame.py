"""The data of the schedule: frames, streams and actions."""

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .cadence import Cadence

Phase = Literal["waiting", "analysing", "analysed", "compositing", "shown"]
Plan = Literal["undecided", "composite", "draw", "reproject", "pass", "conceal"]


@dataclass(slots=True, eq=False)
class ScheduledFrame:
    """A frame as the schedule sees it. Times are seconds of the engine's clock.

    Attributes:
        plan: "composite" has nothing to draw; "draw" waits for its drawing; "reproject" reprojects the last drawing;
            "pass" shows the source; "conceal" conceals a lost frame.
        faces: number to draw.
        reason: why it is not drawn.
        drawn: whether its drawing is done.
        queued: time since when it waits for the device.
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
        """Whether it was shown or dropped; work that is still in progress for it is used for later frames."""
        return self.phase == "shown"


@dataclass(slots=True, eq=False)
class Stream:
    """One session as the schedule sees it.

    Attributes:
        waiting: frames that are not analysed yet.
        flight: frames under way, in order, until they are shown.
        analysing: the one of them that is being analysed.
        drawing: for a live stream, the frame that is queued for the device or being drawn.
        settling: drawings that came after their frame was shown, whose layers are not made yet.
        compositing: whether a frame of it is being composited, reprojected or concealed.
        since_draw: frames since the last one given to the device.
        drawings: number of frames given to the device.
        cadence: due times of frames, if missing frames are concealed.
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
        """Number of frames that were submitted and are not shown yet."""
        return len(self.waiting) + len(self.flight)


@dataclass(frozen=True, slots=True)
class Analyse:
    """Find the faces of this frame."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw the faces of these frames in one batch. encode: whether each frame's faces are encoded again."""

    batch_frames: tuple[ScheduledFrame, ...]
    encode: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Composite:
    """Composite the drawn faces of this frame.

    Attributes:
        show: False if only the new state is needed.
    """

    scheduled: ScheduledFrame
    show: bool


@dataclass(frozen=True, slots=True)
class Reproject:
    """Reproject the last drawing onto this frame."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Conceal:
    """Conceal a lost frame."""

    scheduled: ScheduledFrame


@dataclass(frozen=True, slots=True)
class Show:
    """Show the frame.

    Attributes:
        what: the result of `Composite`, `Reproject` or `Conceal`; the source; or nothing, because a newer frame
            came or none was made.
    """

    scheduled: ScheduledFrame
    what: Literal["result", "source", "nothing"]
    reason: str = ""


Action = Analyse | Draw | Composite | Reproject | Conceal | Show


def choose(ready: Sequence[ScheduledFrame], max_batch: int) -> list[ScheduledFrame]:
    """The next batch of the frames that wait for the device; empty if none waits.

    A batch has at most one frame of each stream, its first, and at most `max_batch` faces, except a single frame with
    more. Live frames go first, and never in one batch with frames that have no deadline, which would delay them.
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
    """When to begin this batch, in seconds: at once if it is full, otherwise at the end of its window.

    It is full with `max_batch` faces, or with a frame of every stream that could still add one.
    """
    opened = min(scheduled.queued for scheduled in batch)
    there = {id(scheduled.stream) for scheduled in batch}
    cadence = any(id(stream) not in there and not stream.bypass for stream in streams)
    if sum(scheduled.faces for scheduled in batch) >= max_batch or not cadence:
        return opened
    return opened + window
