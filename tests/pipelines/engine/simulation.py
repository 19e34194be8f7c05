"""An engine without threads and without time: work takes what a table says, and the clock stands at the next event."""

import heapq
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from fractions import Fraction
from itertools import count
from typing import Any, TypeVar

import numpy as np

from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.engine.session import Session
from dynstream.pipelines.engine.settings import EngineSettings, SessionSpec
from dynstream.pipelines.engine.worker_pool import Lane
from dynstream.pipelines.research.bench.stub_editor import NO_EDITS, StubEditor, StubRenderer
from dynstream.stream.frame import Frame

T = TypeVar("T")
PIXELS = np.zeros((2, 2, 3), np.uint8)
COSTS: Mapping[Lane, float] = {"analyse": 0.002, "device": 0.010, "composite": 0.002}


class SimulatedCrew:
    """A WorkerPool whose work is done at once, and reported when its simulated time is over.

    cost: (lane, faces, now) -> seconds.
    """

    def __init__(self, cost: Callable[[Lane, int, float], float]) -> None:
        self.now = 0.0
        self.cost = cost
        self.running: dict[Lane, int] = {"analyse": 0, "device": 0, "composite": 0}
        self.most: dict[Lane, int] = dict(self.running)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._wake: float | None = None
        self._tick: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def begin(self, tick: Callable[[], None]) -> None:
        self._tick = tick

    def start(self, lane: Lane, work: Callable[[], T], done: Callable[[T], None], size: int = 1) -> None:
        result = work()
        self.running[lane] += 1
        self.most[lane] = max(self.most[lane], self.running[lane])

        def end() -> None:
            self.running[lane] -= 1
            done(result)

        self.at(self.now + self.cost(lane, size, self.now), end)

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (seconds, next(self._numbers), event))

    def wake_at(self, seconds: float | None) -> None:
        self._wake = seconds

    def wait_for(self, changed: threading.Condition, ready: Callable[[], bool]) -> None:
        while not ready():
            changed.release()
            try:
                if not self.step():
                    raise AssertionError("nothing will ever happen, and somebody waits")
            finally:
                changed.acquire()

    def step(self) -> bool:
        """Go to the next event; False where there is none."""
        wakes = self._wake is not None and (not self._events or self._wake < self._events[0][0])
        if wakes and self._wake is not None:
            # A wake in the past that changed nothing would stand still for ever.
            assert self._wake >= self.now - 1e-9 or self._wake != getattr(self, "_woken", None)
            self._woken = self._wake
            self.now, self._wake = max(self.now, self._wake), None
            self._tick()
            return True
        if not self._events:
            return False
        self.now, _, event = heapq.heappop(self._events)
        event()
        return True

    def run(self, until: float | None = None) -> None:
        """All events, or those up to a time, at which the clock then stands."""
        while (self._events or self._wake is not None) and (until is None or self._next() <= until):
            self.step()
        if until is not None:
            self.now = max(self.now, until)

    def _next(self) -> float:
        times = [self._events[0][0]] if self._events else []
        return min(times if self._wake is None else [*times, self._wake])

    def close(self) -> None:
        self.run()


class World:
    """An engine of stubs in simulated time, and what came out of each session.

    order: for each session the numbers of its frames as they were shown; what was dropped is not among them.

    costs: seconds of each lane for each piece of work; per_face adds on the device. cost: instead of both.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        *,
        costs: Mapping[Lane, float] = COSTS,
        per_face: float = 0.0,
        cost: Callable[[Lane, int, float], float] | None = None,
        renderer: Any = None,
        editors: Any = None,
        **options: Any,
    ) -> None:
        def table(lane: Lane, size: int, _now: float) -> float:
            return costs[lane] + (per_face * size if lane == "device" else 0.0)

        self.workers = SimulatedCrew(cost or table)
        self.renderer = renderer or StubRenderer()
        make = editors or (lambda spec, _before: StubEditor(spec.edits))
        self.engine = Engine(self.renderer, make, settings, clock=self.workers.clock, workers=self.workers, **options)
        self.futures: dict[int, list[Future[Shown]]] = {}
        self.order: dict[int, list[int]] = {}

    def open(self, **spec: Any) -> Session:
        session = self.engine.open(SessionSpec(**{"edits": NO_EDITS, **spec}))
        self.futures[id(session)], self.order[id(session)] = [], []
        return session

    def submit(self, session: Session, number: int, rate: int = 25) -> Future[Shown]:
        future = session.submit(Frame(PIXELS, number, Fraction(1, rate)))
        self.futures[id(session)].append(future)
        future.add_done_callback(lambda done: None if done.cancelled() else self.order[id(session)].append(number))
        return future

    def feed(
        self, sessions: list[Session], frames: int, rate: int = 25, *, first: int = 0, spread: bool = False
    ) -> None:
        """Frames at their own pace, from now on; spread: the sessions' frames come one after the other."""
        begin = self.workers.now
        for number in range(frames):
            for place, session in enumerate(sessions):
                shift = place / len(sessions) if spread else 0.0
                self.workers.at(
                    begin + (number + shift) / rate,
                    lambda session=session, number=first + number: self.submit(session, number, rate),  # type: ignore[misc]
                )

    def shown(self, session: Session) -> list[Shown]:
        """What was shown, without what was dropped."""
        return [future.result(0) for future in self.futures[id(session)] if not future.cancelled()]
