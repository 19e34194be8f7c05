"""`dynstream bench live`: recorded frames at their own pace through the whole engine, and what came out of it."""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from ....stream.errors import SourceError
from ....stream.frame import Frame, Pixels
from ....stream.live_source import Pacer
from ....stream.reader import VideoReader
from ...common.outcome import Outcome, OutcomeKind
from ...edits.edit import Edits
from ...engine.engine import Engine
from ...engine.result_queue import Shown
from ...engine.session import Session
from ...engine.settings import EngineSettings, SessionSpec
from .stub_editor import NO_EDITS, StubEditor, StubRenderer

MOST_FRAMES: Final = 240
"""Of a clip; they are played back and forth, so that there is no cut that the clip has not."""
LAST_SECONDS: Final = 0.5
"""After the last frame's deadline, for its threads."""
MEMORY_SECONDS: Final = 10.0
OVERHEAD_STREAMS: Final = 8
OVERHEAD_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class LiveBenchSettings:
    """What is run.

    Attributes:
        streams: how many at once.
        rate: frames a second of each; None takes the clip's.
        seconds: that count, after `warm_up` seconds that do not.
        size: (width, height) that the clip is scaled to.
        output_rate: see `SessionSpec`.
    """

    streams: int = 1
    rate: float | None = None
    seconds: float = 30.0
    warm_up: float = 10.0
    size: tuple[int, int] = (640, 360)
    max_latency_ms: float = 250.0
    mode: str = "detail"
    faces: str = "largest"
    output_rate: float | None = None

    def __post_init__(self) -> None:
        if self.streams < 1 or self.seconds <= 0 or self.warm_up < 0:
            raise ValueError(f"expected streams from 1 and a time above zero, got {self}")


@dataclass(frozen=True, kw_only=True)
class LiveResult:
    """What came out, over all streams, after the warm-up.

    Attributes:
        fps_in, fps_out: frames a second and stream that were submitted, and shown.
        fps_edited: shown with an edit, drawn for that frame or moved onto it.
        fps_drawn: those drawn for it.
        drawings: batches' frames that the device drew, a second and stream.
        age_ms: p50, p95 and most, from submission.
        outcomes: frames by outcome.
        cores_busy: processor seconds a second.
        memory_mb: resident at the end of the warm-up, every MEMORY_SECONDS and at the end; None where the system does
            not say.
        stages: see `Stages.summary`, of all frames.
        engine: `Engine.stats`.
    """

    streams: int
    seconds: float
    fps_in: float
    fps_out: float
    fps_edited: float
    fps_drawn: float
    drawings: float
    age_ms: Mapping[str, float | None]
    outcomes: Mapping[str, int]
    cores_busy: float
    memory_mb: tuple[float, ...] | None
    stages: Mapping[str, Any]
    engine: Mapping[str, Any]

    @property
    def memory_growth_mb(self) -> float | None:
        """From the end of the warm-up on."""
        return None if self.memory_mb is None else self.memory_mb[-1] - self.memory_mb[0]

    @property
    def late_memory_growth_mb(self) -> float | None:
        """From the middle of what was measured on: heaps reach their size by and by, a leak goes on."""
        return None if self.memory_mb is None else self.memory_mb[-1] - self.memory_mb[len(self.memory_mb) // 2]


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """What an engine costs with models that cost nothing.

    Attributes:
        processor_ms: processor time of a frame, the feeding included.
        age_ms: of frames that are not held up by anything.
    """

    streams: int
    frames: int
    processor_ms: float
    age_ms: Mapping[str, float | None]
    mean_batch: float


def read_frames(clip: Path, size: tuple[int, int], most: int = MOST_FRAMES) -> tuple[list[Pixels], float]:
    """The first pictures of a clip, scaled, and its frames a second. Raises SourceError."""
    pictures: list[Pixels] = []
    with VideoReader(clip) as reader:
        rate = float(reader.rate)
        for frame in reader:
            pictures.append(np.asarray(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
            if len(pictures) == most:
                break
    if not pictures:
        raise SourceError(f"input {clip} holds no pictures; check it with ffprobe")
    return pictures, rate


def bench_live(
    engine: Engine,
    pictures: Sequence[Pixels],
    rate: float,
    edits: Edits,
    settings: LiveBenchSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    processor: Callable[[], float] = time.process_time,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> LiveResult:
    """Feed live sessions of an engine that is open, and close them. clock: the engine's. progress: seconds fed.

    Raises what ended a session.
    """
    spec = SessionSpec(
        edits=edits,
        mode=settings.mode,  # type: ignore[arg-type]
        faces=settings.faces,
        max_latency_ms=settings.max_latency_ms,
        rate=rate,
        output_rate=settings.output_rate,
    )
    sessions = [engine.open(spec) for _ in range(settings.streams)]
    kept = OutcomeCounts()
    if settings.output_rate is not None:
        for session in sessions:
            session.conceal_missing(kept.made)
    whole = round((settings.warm_up + settings.seconds) * rate)
    warm = round(settings.warm_up * rate)
    pacer = Pacer(clock, sleep)
    before: Any = None
    memory: list[float | None] = []
    between = round(MEMORY_SECONDS * rate)
    for number in range(whole):
        if number == warm:
            gc.collect()
            before = (clock(), processor(), engine.stats()["batches"])
            kept.counts = True
        if number >= warm and (number - warm) % between == 0:
            memory.append(resident_mb())
        for place, session in enumerate(sessions):
            pacer.wait((number + place / len(sessions)) / rate)
            if session.error is not None:
                raise session.error
            _submit(session, pictures, number, rate, kept if number >= warm else None)
        progress((number + 1) / rate)
    began, used, batches = before
    seconds, processor_seconds = clock() - began, processor() - used
    sleep(settings.max_latency_ms / 1000 + LAST_SECONDS)
    for session in sessions:
        if session.error is not None:
            raise session.error
    gc.collect()
    memory.append(resident_mb())
    known, stats = [value for value in memory if value is not None], engine.stats()
    for session in sessions:
        session.close()
    drawn = _frames_drawn(stats["batches"]) - _frames_drawn(batches)
    each = settings.streams * seconds
    shown = kept.outcomes.total() - kept.count(lambda outcome: outcome.kind == OutcomeKind.DROPPED)
    return LiveResult(
        streams=settings.streams,
        seconds=seconds,
        fps_in=kept.submitted / each,
        fps_out=shown / each,
        fps_edited=kept.count(lambda outcome: outcome.has_edit) / each,
        fps_drawn=kept.count(lambda outcome: outcome.is_drawn) / each,
        drawings=drawn / each,
        age_ms=kept.ages_ms(),
        outcomes={str(outcome): count for outcome, count in kept.outcomes.most_common()},
        cores_busy=processor_seconds / seconds,
        memory_mb=tuple(known) if len(known) > 1 else None,
        stages=stats.pop("stages"),
        engine=stats,
    )


def bench_overhead(
    streams: int = OVERHEAD_STREAMS,
    seconds: float = OVERHEAD_SECONDS,
    rate: float = 25.0,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    processor: Callable[[], float] = time.process_time,
) -> Overhead:
    """An engine of stubs with its real threads, fed as live streams are."""
    settings = EngineSettings(analysis_workers=2, composite_workers=2)
    with Engine(StubRenderer(), lambda spec, _before: StubEditor(spec.edits), settings, clock=clock) as engine:
        options = LiveBenchSettings(streams=streams, seconds=seconds, warm_up=1.0)
        pictures = [np.zeros((2, 2, 3), np.uint8)]
        result = bench_live(engine, pictures, rate, NO_EDITS, options, clock=clock, sleep=sleep, processor=processor)
    frames = max(1, sum(result.outcomes.values()))
    return Overhead(
        streams=streams,
        frames=frames,
        processor_ms=1e3 * result.cores_busy * result.seconds / frames,
        age_ms=result.age_ms,
        mean_batch=result.engine["mean_batch"],
    )


@dataclass(slots=True)
class OutcomeCounts:
    """What came of the frames that count; filled by the engine's threads, one frame at a time.

    Attributes:
        counts: see `made`.
    """

    submitted: int = 0
    counts: bool = False
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)

    def add(self, future: "Future[Shown]") -> None:
        """A frame was submitted."""
        self.submitted += 1
        future.add_done_callback(self._done)

    def made(self, shown: Shown) -> None:
        """A picture for which no frame came was shown; one that is made during the warm-up does not count."""
        if self.counts:
            self._shown(shown)

    def _done(self, future: "Future[Shown]") -> None:
        if future.cancelled():
            self.outcomes[Outcome(OutcomeKind.DROPPED, "a newer frame came")] += 1
        elif future.exception() is None:
            self._shown(future.result())

    def _shown(self, shown: Shown) -> None:
        self.outcomes[shown.outcome] += 1
        self.ages.append(shown.age)

    def count(self, counts: Callable[[Outcome], bool]) -> int:
        """Frames with an outcome that counts."""
        return sum(count for outcome, count in self.outcomes.items() if counts(outcome))

    def ages_ms(self) -> dict[str, float | None]:
        """p50, p95 and most, in milliseconds."""
        if not self.ages:
            return {"p50": None, "p95": None, "most": None}
        p50, p95 = np.percentile(self.ages, [50, 95])
        return {"p50": 1e3 * float(p50), "p95": 1e3 * float(p95), "most": 1e3 * max(self.ages)}


def resident_mb() -> float | None:
    """Memory of this process that is in the machine's, in MiB; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _submit(session: Session, pictures: Sequence[Pixels], number: int, rate: float, kept: OutcomeCounts | None) -> None:
    there_and_back = max(1, 2 * len(pictures) - 2)
    place = number % there_and_back
    pixels = pictures[place if place < len(pictures) else there_and_back - place]
    future = session.submit(Frame(pixels, number, 1 / Fraction(rate).limit_denominator(1001)))
    if kept is not None:
        kept.add(future)


def _frames_drawn(batches: Mapping[str, int]) -> int:
    return sum(int(size) * count for size, count in batches.items())
