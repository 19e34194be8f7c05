"""What the device holds: edited pictures a second, measured before the first client, and the sessions that follow.

Frames are offered as clients send them: at a camera's rate, the next when the last but one is back. Offered faster,
most would be passed for lack of time, and an engine that moves edits between drawings would hardly draw.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np

from ...stream.drawn_face import draw_face
from ...stream.webrtc.tracks import VIDEO_TIME_BASE
from ..engine.result_queue import Shown
from .engine_interface import EditEngine, NoRoomError
from .frame_conversion import to_picture, to_video

SIZE: Final = (640, 360)
SPARE: Final = 0.8
"""Share of what was measured that is given out: the rest is for the network, and for streams that cost more."""

USEFUL_RATE: Final = 10.0
"""Frames a second below which no further session is let in."""

OFFERED_RATE: Final = 30.0
"""Frames a second of each stream of the measurement, at most."""
FULL: Final = 0.8
"""Share of the offered frames above which twice as many streams are tried."""
IN_FLIGHT: Final = 2
FIRST_SECONDS: Final = 20.0
"""For the first edited picture of each stream: networks take long the first time."""
POLL_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Capacity:
    """pictures: edited a second, at SIZE, with decoding, conversion and encoding."""

    pictures: float

    def streams(self, most: int) -> int:
        """Sessions that can be held at a useful rate: from 1 to `most`."""
        return max(1, min(most, int(SPARE * self.pictures / USEFUL_RATE)))

    def rate(self, sessions: int, most: float) -> float:
        """Frames a second for each of so many sessions, at most `most`."""
        return max(1.0, min(most, float(int(SPARE * self.pictures / max(1, sessions)))))


def measure(
    engine: EditEngine,
    seconds: float,
    most: int = 1,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Capacity:
    """Edit a drawn face in one stream for so long, with the codecs' work beside it; then in twice as many streams, as
    long as most of their frames are edited, and up to `most`.
    """
    streams, best = 1, 0.0
    while True:
        pictures = _edited_rate(engine, streams, seconds, clock, pause)
        best = max(best, pictures)
        if streams >= most or pictures < FULL * OFFERED_RATE * streams:
            return Capacity(best)
        streams = min(most, 2 * streams)


def _edited_rate(
    engine: EditEngine, count: int, seconds: float, clock: Callable[[], float], pause: Callable[[float], object]
) -> float:
    """Edited pictures a second of so many streams, from when each has had one; 0 where some have none, or no room."""
    streams: list[_Stream] = []
    asked = clock()
    begun: float | None = None
    try:
        for _ in range(count):
            streams.append(_Stream(engine))
        while True:
            now = clock()
            if begun is None and all(stream.edited for stream in streams):
                begun = now
                for stream in streams:
                    stream.edited = 0
            if begun is not None and now - begun >= seconds:
                return sum(stream.edited for stream in streams) / (now - begun)
            if begun is None and now - asked > FIRST_SECONDS:
                return 0.0
            for stream in streams:
                stream.offer(now)
                stream.take()
            pause(POLL_SECONDS)
    except NoRoomError:  # the engine knows by now what a stream costs
        return 0.0
    finally:
        for stream in streams:
            stream.close()


class _Stream:
    """A drawn face that wanders, edited, encoded and decoded again. edited: pictures that came back so."""

    def __init__(self, engine: EditEngine) -> None:
        self.edited = 0
        self._session = engine.open()
        self._session.set({choice.name: choice.high / 2 for choice in engine.choices[:1]}, 0)
        self._in_flight = min(IN_FLIGHT, engine.in_flight)
        self._waiting: deque[tuple[Any, Future[Shown]]] = deque()
        self._number = 0
        self._due = 0.0
        self._encoder: Any = av.CodecContext.create("libvpx", "w")
        self._encoder.width, self._encoder.height = SIZE
        self._encoder.pix_fmt, self._encoder.time_base = "yuv420p", VIDEO_TIME_BASE
        self._encoder.options = {"deadline": "realtime", "cpu-used": "-8"}
        self._decoder: Any = av.CodecContext.create("vp8", "r")

    def offer(self, now: float) -> None:
        """Send a frame, if it is time for one."""
        if now < self._due or len(self._waiting) >= self._in_flight:
            return
        self._due = max(self._due + 1 / OFFERED_RATE, now)
        x = SIZE[0] / 2 + 40 * np.sin(self._number / 15)
        pixels = draw_face((SIZE[1], SIZE[0]), x=float(x), y=190.0, width=150.0)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        source = to_picture(frame, self._number * 3000, SIZE)
        self._waiting.append((source, self._session.submit(source, now)))
        self._number += 1

    def take(self) -> None:
        """Encode and decode what has come back."""
        while self._waiting and self._waiting[0][1].done():
            source, future = self._waiting.popleft()
            try:
                shown = future.result()
            except CancelledError:
                continue
            for packet in self._encoder.encode(to_video(source, shown.frame.pixels, mark=None, stamp=False)):
                self._decoder.decode(packet)
            self.edited += int(shown.outcome.has_edit)

    def close(self) -> None:
        """End the session."""
        self._session.close()
