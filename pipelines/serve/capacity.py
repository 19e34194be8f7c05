"""What the device holds: edited pictures a second, measured before the first client, and the sessions that follow."""

import time
from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np

from ...stream.drawn_face import draw_face
from ...stream.webrtc.tracks import VIDEO_TIME_BASE
from ..engine.result_queue import Shown
from .engine_interface import EditEngine
from .frame_conversion import to_picture, to_video

SIZE: Final = (640, 360)
SPARE: Final = 0.8
"""Share of what was measured that is given out: the rest is for the network, and for streams that cost more."""

USEFUL_RATE: Final = 10.0
"""Frames a second below which no further session is let in."""


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


def measure(engine: EditEngine, seconds: float) -> Capacity:
    """Edit a drawn face for so long, as fast as the engine takes it, with the codecs' work beside it."""
    session = engine.open()
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = *SIZE, "yuv420p", VIDEO_TIME_BASE
    codec.options = {"deadline": "realtime", "cpu-used": "-8"}
    decoder: Any = av.CodecContext.create("vp8", "r")
    waiting: deque[tuple[Any, Future[Shown]]] = deque()
    edited = number = 0
    session.set({choice.name: choice.high / 2 for choice in engine.choices[:1]}, 0)
    begun = time.monotonic()

    def finish() -> int:
        source, future = waiting.popleft()
        try:
            shown = future.result(10.0)
        except CancelledError:
            return 0
        for packet in codec.encode(to_video(source, shown.frame.pixels, mark=None, stamp=False)):
            decoder.decode(packet)
        return int(shown.outcome.has_edit)

    try:
        while time.monotonic() - begun < seconds or not edited:
            x = SIZE[0] / 2 + 40 * np.sin(number / 15)
            pixels = draw_face((SIZE[1], SIZE[0]), x=float(x), y=190.0, width=150.0)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            source = to_picture(frame, number * 3000, SIZE)
            waiting.append((source, session.submit(source, time.monotonic())))
            number += 1
            if len(waiting) >= engine.in_flight:
                edited += finish()
            if time.monotonic() - begun > 10 * seconds:
                break
        while waiting:
            edited += finish()
        return Capacity(edited / (time.monotonic() - begun))
    finally:
        session.close()
