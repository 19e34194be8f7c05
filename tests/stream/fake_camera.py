"""FFmpeg's camera input without a camera: a container whose pictures, errors and log lines the test decides."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

Event = int | Exception
"""A picture with that pts, or what reading raises."""


@dataclass
class FakePacket:
    event: Event
    size: tuple[int, int]

    def decode(self) -> list[av.VideoFrame]:
        if isinstance(self.event, Exception):
            raise self.event
        level = np.uint8(self.event % 256)
        frame = av.VideoFrame.from_ndarray(np.full((self.size[1], self.size[0], 3), level, np.uint8), "rgb24")
        frame.pts, frame.time_base = self.event, Fraction(1, 1000)
        return [frame]


@dataclass
class FakeContainer:
    """Reads its events in order; `raises` are raised by the demuxer itself."""

    events: list[Event]
    size: tuple[int, int]
    rate: Fraction | None
    closed: int = 0

    def __post_init__(self) -> None:
        stream = SimpleNamespace(average_rate=self.rate, guessed_rate=None)
        self.streams = SimpleNamespace(video=[stream])

    def demux(self, _stream: object) -> Iterator[FakePacket]:
        while self.events:
            event = self.events.pop(0)
            if isinstance(event, OSError):
                raise event
            yield FakePacket(event, self.size)

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeInput:
    """Stands for av.open. refuse: (options) -> what opening raises, or None. `asked` keeps every call's options."""

    events: Sequence[Event] = ()
    size: tuple[int, int] = (640, 480)
    rate: Fraction | None = Fraction(30)
    refuse: Callable[[dict[str, str]], Exception | None] = lambda _options: None
    asked: list[dict[str, str]] = field(default_factory=list)
    opened: list[FakeContainer] = field(default_factory=list)

    def __call__(self, path: str, *, format: str, options: dict[str, str]) -> Any:
        if "list_formats" in options or "list_options" in options or options.get("video_size") == "1x1":
            raise av.error.ExitError(1, "listed")  # as FFmpeg ends a listing
        self.asked.append({"path": path, "format": format, **options})
        if (error := self.refuse(options)) is not None:
            raise error
        self.opened.append(FakeContainer(list(self.events), self.size, self.rate))
        return self.opened[-1]
