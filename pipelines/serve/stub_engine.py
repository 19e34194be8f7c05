"""A stub engine without networks, for tests, benchmarks, and trials of network and browser."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

import numpy as np

from ...stream.frame import Frame, Pixels
from ..common.outcome import EDITED, NO_EDIT
from ..edits.text import TableOnly
from ..edits.wording import Reading, read_text
from ..engine.result_queue import Shown
from .engine_interface import EditChoice, NoRoomError, NotAvailableError

STUB_CHOICES: Final = (
    EditChoice("smile", "Smile", "Stand-in", -3.0, 3.0, "makes the picture brighter or darker"),
    EditChoice("age", "Age", "Stand-in", -3.0, 3.0, "makes the picture redder or bluer"),
)


class StubEngine:
    """One thread that takes `seconds` over each frame and tints it by its edits; without edits the frame stays.

    most_sessions: largest number of sessions. wait: takes the seconds of a frame, so that tests need no time.
    """

    choices: Sequence[EditChoice] = STUB_CHOICES
    modes: Sequence[str] = ("detail", "replace")
    in_flight = 1
    keeps_latency = False
    level = 0
    stand_in: Pixels | None = None

    def __init__(
        self, seconds: float = 0.0, *, most_sessions: int = 64, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._seconds = seconds
        self._wait = wait
        self._most = most_sessions
        self._open = 0
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def warm_up(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="stand-in engine", daemon=True)
        self._thread.start()

    def read_text(self, text: str) -> Reading:
        """By the table of phrases alone, of the two edits that there are."""
        limits = {choice.name: (choice.low, choice.high) for choice in self.choices}
        return read_text(text, limits, TableOnly())

    def open(self) -> "StubSession":
        """A new stream."""
        if self._open >= self._most:
            raise NoRoomError(f"the stand-in engine has room for {self._most} sessions")
        self._open += 1
        return StubSession(self)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def released(self) -> None:
        """A session is closed."""
        self._open -= 1

    def edit(self, frame: Frame, edits: Mapping[str, float]) -> "Future[Shown]":
        """Put a frame on the thread."""
        future: Future[Shown] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                if self._seconds:
                    self._wait(self._seconds)
                pixels = tint(frame.pixels, edits)
                outcome, batch = (NO_EDIT, None) if pixels is frame.pixels else (EDITED, 1)
                future.set_result(Shown(frame.with_pixels(pixels), outcome, 0.0, batch))
            except BaseException as error:
                future.set_exception(error)

        self._work.put(work)
        return future

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class StubSession:
    """One stream of a StubEngine."""

    def __init__(self, engine: StubEngine) -> None:
        self._engine: StubEngine | None = engine
        self._edits: dict[str, float] = {}

    def submit(self, frame: Frame, arrived: float) -> "Future[Shown]":
        """Edit a frame."""
        assert self._engine is not None
        return self._engine.edit(frame, self._edits)

    def conceal_missing(self, give: Callable[[Shown], object]) -> None:
        """Nothing is made here."""

    def set(self, edits: Mapping[str, float], ramp_ms: float) -> None:
        """At once, without a ramp."""
        self._edits = dict(edits)

    def configure(self, *, mode: str, faces: str, max_latency_ms: float) -> None:
        """Changes nothing here."""

    def choose_face(self, x: float, y: float) -> None:
        """There are no faces."""
        raise NotAvailableError("the stand-in engine knows no faces")

    def calibrate(self) -> None:
        """No portrait is moved."""
        raise NotAvailableError("this server moves no portrait")

    def close(self) -> None:
        """Make room."""
        if self._engine is not None:
            self._engine.released()
            self._engine = None


def tint(pixels: Pixels, edits: Mapping[str, float]) -> Pixels:
    """(H, W, 3) uint8 brighter by "smile", redder by "age"."""
    smile, age = edits.get("smile", 0.0), edits.get("age", 0.0)
    if not smile and not age:
        return pixels
    step = 20 * np.array([smile + age, smile, smile - age])
    tinted: Pixels = np.clip(pixels + step, 0, 255).astype(np.uint8)
    return tinted
