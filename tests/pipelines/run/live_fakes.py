"""A live run without threads, networks or time: a source, an edit and a sink that the test drives by hand."""

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from fractions import Fraction

import numpy as np

from dynstream.pipelines.common.outcome import EDITED
from dynstream.pipelines.editor.face_editor import Edited
from dynstream.pipelines.edits.ramps import EditedFrame
from dynstream.stream.frame import Frame, Pixels


def plain(level: int, size: tuple[int, int] = (64, 48)) -> Pixels:
    return np.full((size[1], size[0], 3), level, np.uint8)


class ListSource:
    """Frames of the given levels, 25 a second; an exception among them is raised."""

    name = "list"
    size = (64, 48)
    rate = 25.0
    notes: tuple[str, ...] = ()

    def __init__(self, events: Sequence[int | Exception]) -> None:
        self.events = list(events)
        self.number = 0
        self.closed = 0

    def read(self) -> Frame | None:
        if self.closed or not self.events:
            return None
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        self.number += 1
        return Frame(plain(event), self.number, Fraction(1, 25))

    def close(self) -> None:
        self.closed += 1


class HandEditing:
    """An Editing whose frames the test finishes by hand; the edit inverts a picture."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.begun: queue.Queue[tuple[Frame, Future[EditedFrame]]] = queue.Queue()
        self.wishes: list[tuple[dict[str, float], float]] = []
        self.closed = False
        self.calibrations = 0

    def calibrate(self) -> None:
        self.calibrations += 1

    def submit(self, frame: Frame, captured: float | None = None) -> "Future[EditedFrame]":
        if self.closed:
            raise RuntimeError("closed")
        future: Future[EditedFrame] = Future()
        self.begun.put((frame, future))
        if self.at_once:
            self.finish()
        return future

    def finish(self, error: Exception | None = None) -> None:
        """Finish the oldest frame, waited for."""
        frame, future = self.begun.get(timeout=30)
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(Edited(frame.with_pixels(255 - frame.pixels), EDITED))

    def set(self, strengths: Mapping[str, float], ramp_ms: float = 0.0) -> None:
        self.wishes.append((dict(strengths), ramp_ms))

    def conceal_missing(self, give: Callable[[EditedFrame], object]) -> bool:
        self.give = give
        return True

    def close(self) -> None:
        self.closed = True


class ListSink:
    """Keeps what it was sent."""

    device = "list"

    def __init__(self, size: tuple[int, int] = (64, 48), fails: Exception | None = None) -> None:
        self.size = size
        self.sent: list[Pixels] = []
        self.fails = fails
        self.closed = 0

    def send(self, pixels: Pixels) -> None:
        assert not self.closed
        if self.fails is not None:
            raise self.fails
        self.sent.append(pixels)

    def close(self) -> None:
        self.closed += 1

    @property
    def levels(self) -> list[int]:
        """The level of each plain picture that was sent; -1 for a notice."""
        return [int(pixels[0, 0, 0]) if pixels.min() == pixels.max() else -1 for pixels in self.sent]
