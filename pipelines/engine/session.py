"""The session of one stream in an engine: frames in, futures of edited frames out, and controls."""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from ...stream.frame import Frame
from ..common.errors import SessionClosedError
from ..common.stage_timing import Stages
from ..compositing.composite import Mode, check_mode
from ..editor.face_editor import Edited, FrameAnalysis
from ..editor.renderer import Rendered
from ..edits.ramps import ramped
from ..tracking.face_selection import Place
from .cadence import Cadence
from .editors import Editor
from .frame_concealment import ConcealmentState
from .frame_interpolation import InterpolatingQueue
from .result_queue import ResultQueue, Shown, Tally
from .scheduled_frame import Stream
from .session_state import OverlappedState, Snapshot
from .settings import SessionSpec, check_latency

RESTARTED_SECONDS = 10.0
"""After `restore`, a jump in time longer than this, or backwards, means that the source started again."""


@dataclass(slots=True, eq=False)
class Work:
    """The engine's data of a scheduled frame.

    Attributes:
        frame: as submitted.
        seen: the same frame at the session's own time.
        missing: for a lost frame, its time in the stream's seconds; `frame` then has another frame's picture.
    """

    session: "Session"
    frame: Frame
    seen: Frame
    future: "Future[Shown]"
    began: float = 0.0
    editor: Editor | None = None
    analysis: FrameAnalysis | None = None
    rendered: Sequence[Rendered] = ()
    result: Edited | None = None
    batch: int | None = None
    missing: float | None = None


class SessionHost(Protocol):
    """The part of `engine.Engine` that a session uses; see there."""

    changed: threading.Condition
    stages: Stages
    device: str
    clock: Callable[[], float]

    @property
    def fills(self) -> bool:
        """Whether lost frames can be concealed."""
        ...

    def submit(self, session: "Session", frame: Frame, captured: float | None) -> "Future[Shown]":
        """See `Session.submit`."""
        ...

    def change(self, session: "Session", **settings: Any) -> None:
        """Change the mode or the choice of faces from the next frame on."""
        ...

    def end(self, session: "Session", error: BaseException | None) -> None:
        """End a session; its futures get `error`."""
        ...


class Session:
    """One stream. Made by `Engine.open`; implements `ramps.Editing`. All methods may be called from any thread."""

    def __init__(
        self, engine: SessionHost, spec: SessionSpec, editor: Editor, stream: Stream, memory: OverlappedState
    ) -> None:
        self._engine = engine
        self._lock: threading.Condition = engine.changed
        self.spec = spec
        self.editor = editor
        self.stream = stream
        self.memory = memory
        self.tally = Tally()
        self.notes: list[str] = []
        self.error: BaseException | None = None
        self.submitted = 0
        self.settled_batch: int | None = None
        self.results = self._make_results()
        self.give: Callable[[Shown], object] | None = None
        self.concealment: ConcealmentState | None = None
        self.last_frame: Frame | None = None
        self.stand_in = spec.stand_in
        self._edits = editor.edits
        self._wishes: list[tuple[dict[str, float], float, bool]] = []
        self._choices = 0
        self._last: float | None = None
        self._restored: float | None = None
        self._shift = Fraction(0)

    def submit(self, frame: Frame, captured: float | None = None) -> "Future[Shown]":
        """Submit a frame. Frames are submitted in order, and their futures are done in order.

        captured: time of capture in seconds of the engine's clock; now by default. In a live session this never blocks,
        and the future is cancelled if a newer frame comes before work on this one has begun. Otherwise it waits until
        there is room. An error of a model becomes the future's error and ends the session.
        Raises SessionClosedError after the end.
        """
        return self._engine.submit(self, frame, captured)

    def conceal_missing(self, give: Callable[[Shown], object]) -> bool:
        """Start to make pictures at times without a frame; returns whether there will be any. For live sessions only.

        give: gets each picture with its own time, in order with the futures; called in any thread, and must return
        quickly.

        With an engine that has a `fill`, missing frames are concealed as "concealed: lost", for at most
        `latent_memory.GAP_SECONDS` in a row. A frame that comes after its time was filled is dropped: its future is
        cancelled. With `output_rate`, pictures are interpolated as "edited: in between"; see `frame_interpolation`.
        """
        fills = self._engine.fills and self.stream.live
        with self._lock:
            if fills:
                self.give, self.stream.cadence = give, Cadence()
        if isinstance(self.results, InterpolatingQueue):
            self.results.begin(self._counted(give))
            return True
        return fills

    def _make_results(self) -> ResultQueue:
        rate, stream = self.spec.output_rate, self.stream
        if rate is None or not stream.live:
            return ResultQueue(self._lock)
        return InterpolatingQueue(
            self._lock,
            rate,
            latency=lambda: stream.max_latency,
            ended=lambda: stream.closed,
            stages=self._engine.stages,
            clock=self._engine.clock,
        )

    def _counted(self, give: Callable[[Shown], object]) -> Callable[[Shown], object]:
        def counted(shown: Shown) -> None:
            with self._lock:
                self.tally.add(shown.outcome, shown.age)
            give(shown)

        return counted

    def set(self, strengths: Mapping[str, float], ramp_ms: float = 0.0, *, replace: bool = False) -> None:
        """Move edits to new strengths within `ramp_ms`, evenly, from the next frame on.

        replace: edits that are not named go to zero; otherwise they stay. Raises EditError for an unknown name.
        """
        with self._lock:
            self._check_open()
            ramped(self._edits, strengths, 0.0, ramp_ms)  # raise for a wrong name here, not in another thread
            self._wishes.append((dict(strengths), ramp_ms, replace))

    @property
    def strengths(self) -> dict[str, float]:
        """The strength of every edit at the next frame, or at the end of its ramp."""
        with self._lock:
            goal = {spec.name: spec.end for spec in self._edits.specs}
            for strengths, _, replace in self._wishes:
                goal = ({} if replace else goal) | strengths
            return goal

    @property
    def mode(self) -> Mode:
        """How drawn faces are composited; may be set, from the next frame on."""
        return self.spec.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._engine.change(self, mode=check_mode(mode))

    @property
    def faces(self) -> str:
        """Which faces are edited, by their size; may be set, from the next frame on."""
        return self.spec.faces

    @faces.setter
    def faces(self, faces: str) -> None:
        self._engine.change(self, faces=faces, place=None)

    def choose_face(self, x: float, y: float) -> None:
        """Edit only the face at a place in 0..1 of the next frame, and follow it; setting `faces` ends that.

        Raises PipelineError for a place outside the picture.
        """
        with self._lock:
            self._choices += 1
            place = Place(x, y, self._choices)
        self._engine.change(self, place=place)

    def calibrate(self) -> None:
        """Of a portrait's driver: what it does from the next frame on is at rest, once it holds still."""
        self._engine.change(self, calibration=self.spec.calibration + 1)

    @property
    def bypass(self) -> bool:
        """Whether frames pass unedited and unanalysed; may be set. With a stand-in, the last picture stays."""
        return self.stream.bypass

    @bypass.setter
    def bypass(self, on: bool) -> None:
        with self._lock:
            self.stream.bypass = on

    @property
    def max_latency_ms(self) -> float:
        """Age at which a frame of a live session is shown in any case; may be set."""
        return 1000 * self.stream.max_latency

    @max_latency_ms.setter
    def max_latency_ms(self, milliseconds: float) -> None:
        with self._lock:
            self.stream.max_latency = check_latency(milliseconds) / 1000

    @property
    def closed(self) -> bool:
        """Whether it has ended; `error` has the reason, unless `close` ended it."""
        return self.stream.closed

    def close(self) -> None:
        """End the session and cancel futures that are not done. A second call does nothing."""
        self._engine.end(self, None)

    def snapshot(self) -> bytes:
        """Its state, edits and mode, for `restore` in this or another engine; also after the end.

        With frames under way it has each stage's latest state.
        """
        with self._lock:
            last = self._last if self._restored is None else self._restored
            saved = Snapshot(self.memory.state, self._edits.specs, self.spec.mode, last)
        return saved.to_bytes()

    def restore(self, data: bytes) -> None:
        """Continue from a snapshot; before the first frame. The new frames' times may start again.

        Raises StateError for data that is not a snapshot, EditError if it has edits that this engine lacks.
        """
        saved = Snapshot.from_bytes(data, self._engine.device)
        edits = dataclasses.replace(self._edits, specs=saved.edits)
        self.mode = saved.mode
        with self._lock:
            self._check_open()
            if self.submitted:
                raise SessionClosedError("this session has begun; open another one and restore that")
            self._edits, self.memory, self._restored = edits, OverlappedState(saved.state), saved.seconds

    def stats(self) -> dict[str, Any]:
        """Counts and times so far: submitted, outcomes, edited, age_ms {p50, p95, most}, under_way, notes, settings."""
        with self._lock:
            return {
                "submitted": self.submitted,
                "edited": self.tally.edited(),
                "outcomes": self.tally.as_dict(),
                "age_ms": dict(self.tally.ages_ms()),
                "under_way": self.stream.under_way,
                "live": self.stream.live,
                "bypass": self.stream.bypass,
                "mode": self.spec.mode,
                "max_latency_ms": 1000 * self.stream.max_latency,
                "notes": list(self.notes),
            }

    def own_time(self, frame: Frame) -> Frame:
        """The frame at the session's own time, which its state uses; with the lock held."""
        if self._restored is not None:
            ahead = frame.seconds - self._restored
            if not 0 < ahead < RESTARTED_SECONDS:
                self._shift = Fraction(self._restored + 1 / self.stream.rate) - frame.pts * frame.time_base
            self._restored = None
        seen = self.shifted(frame)
        self.last_frame, self._last = frame, seen.seconds
        return seen

    def shifted(self, frame: Frame) -> Frame:
        """The same, for a frame that does not become the last one."""
        if not self._shift:
            return frame
        return Frame(frame.pixels, frame.pts + round(self._shift / frame.time_base), frame.time_base)

    def next_editor(self, seen: Frame) -> Editor:
        """The editor for a frame, with the latest requested edits; with the lock held."""
        begin = self.memory.analysis.begin
        seconds = 0.0 if begin is None else seen.seconds - begin
        for strengths, ramp_ms, replace in self._wishes:
            if replace:
                strengths = dict.fromkeys((spec.name for spec in self._edits.specs), 0.0) | strengths
            self._edits = ramped(self._edits, strengths, seconds, ramp_ms)
        self._wishes.clear()
        self.editor.edits = self._edits
        return self.editor

    def _check_open(self) -> None:
        if self.stream.closed:
            raise self.ended()

    def ended(self) -> SessionClosedError:
        """The error for calls after the end."""
        why = "was closed" if self.error is None else f"ended with an error ({self.error})"
        error = SessionClosedError(f"the session {why}; open another one")
        error.__cause__ = self.error
        return error
