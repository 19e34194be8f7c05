"""One stream's place in an engine: frames in, futures of edited frames out, and its controls."""

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
"""After `restore`, times that jump further than this, or back, are those of a source that began anew."""


@dataclass(slots=True, eq=False)
class Work:
    """What an engine keeps with a scheduled frame.

    Attributes:
        frame: as submitted.
        seen: the same at the session's own time.
        missing: of a frame that did not come, its time in the stream's seconds; `frame` then has another one's
            picture.
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
    """What a session needs of `engine.Engine`; see there."""

    changed: threading.Condition
    stages: Stages
    device: str
    clock: Callable[[], float]

    @property
    def fills(self) -> bool:
        """Whether frames that do not come can be made."""
        ...

    def submit(self, session: "Session", frame: Frame, captured: float | None) -> "Future[Shown]":
        """See `Session.submit`."""
        ...

    def change(self, session: "Session", **settings: Any) -> None:
        """Another mode or other faces, from the next frame on."""
        ...

    def end(self, session: "Session", error: BaseException | None) -> None:
        """End a session; `error` becomes that of its futures."""
        ...


class Session:
    """One stream. Made by `Engine.open`; an `editing.Editing`. All methods may be called from any thread."""

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
        self.results = self._make_results()
        self.give: Callable[[Shown], object] | None = None
        self.concealment: ConcealmentState | None = None
        self.last_frame: Frame | None = None
        self._edits = editor.edits
        self._wishes: list[tuple[dict[str, float], float, bool]] = []
        self._choices = 0
        self._last: float | None = None
        self._restored: float | None = None
        self._shift = Fraction(0)

    def submit(self, frame: Frame, captured: float | None = None) -> "Future[Shown]":
        """Begin with a frame; frames are given, and their futures done, in order.

        captured: when it was, in seconds of the engine's clock; now where not given. Of a live session this never
        blocks; the future is cancelled where a newer frame came before anything was done with this one. Else it waits
        until there is room. The future's error is that of a model that failed, which ends the session.
        Raises SessionClosedError after the end.
        """
        return self._engine.submit(self, frame, captured)

    def conceal_missing(self, give: Callable[[Shown], object]) -> bool:
        """From now on pictures are made for which no frame comes: whether there will be any.

        give: gets each with its own time, in order with the futures that are done; called in any thread, and never for
        long. For live sessions alone.

        With an engine that has a `fill`, those are frames that do not come in the stream's cadence, "predicted: lost".
        What comes after its time was filled is dropped: its future is cancelled. Of a hole `latent.GAP_SECONDS` are
        filled at most. With `output_rate`, those between frames, "blended: in between"; see `in_between`.
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

        replace: those that are not named go to zero; else they stay. Raises EditError for an unknown name.
        """
        with self._lock:
            self._check_open()
            ramped(self._edits, strengths, 0.0, ramp_ms)  # refuse a wrong name here and not in another thread
            self._wishes.append((dict(strengths), ramp_ms, replace))

    @property
    def strengths(self) -> dict[str, float]:
        """Of every edit, where the next frame will find it or its ramp will lead."""
        with self._lock:
            goal = {spec.name: spec.end for spec in self._edits.specs}
            for strengths, _, replace in self._wishes:
                goal = ({} if replace else goal) | strengths
            return goal

    @property
    def mode(self) -> Mode:
        """How drawn faces are put back; may be set, for the frames from the next on."""
        return self.spec.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._engine.change(self, mode=check_mode(mode))

    @property
    def faces(self) -> str:
        """Which faces are edited, by their size; may be set, for the frames from the next on."""
        return self.spec.faces

    @faces.setter
    def faces(self, faces: str) -> None:
        self._engine.change(self, faces=faces, place=None)

    def choose_face(self, x: float, y: float) -> None:
        """Edit the one face at a place in 0..1 of the next frame, wherever it goes; setting `faces` ends that.

        Raises PipelineError for a place outside the picture.
        """
        with self._lock:
            self._choices += 1
            place = Place(x, y, self._choices)
        self._engine.change(self, place=place)

    @property
    def bypass(self) -> bool:
        """Whether frames pass unedited, and nothing is done with them; may be set."""
        return self.stream.bypass

    @bypass.setter
    def bypass(self, on: bool) -> None:
        with self._lock:
            self.stream.bypass = on

    @property
    def max_latency_ms(self) -> float:
        """Age at which a frame of a live session is shown, whatever has become of it; may be set."""
        return 1000 * self.stream.max_latency

    @max_latency_ms.setter
    def max_latency_ms(self, milliseconds: float) -> None:
        with self._lock:
            self.stream.max_latency = check_latency(milliseconds) / 1000

    @property
    def closed(self) -> bool:
        """Whether it has ended; `error` says why where that was not by `close`."""
        return self.stream.closed

    def close(self) -> None:
        """End it: futures that are not done are cancelled. A second call does nothing."""
        self._engine.end(self, None)

    def snapshot(self) -> bytes:
        """All that it remembers, and its edits and mode, for `restore` in this or another engine; also after the end.

        With frames under way it is as of where each stage has come.
        """
        with self._lock:
            last = self._last if self._restored is None else self._restored
            saved = Snapshot(self.memory.state, self._edits.specs, self.spec.mode, last)
        return saved.to_bytes()

    def restore(self, data: bytes) -> None:
        """Go on where a snapshot was taken; before the first frame. The new frames' times may begin anew.

        Raises StateError for data that is not a snapshot, EditError where it has edits that this engine lacks.
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
        """The frame at the time that the session's memory counts in; with the lock held."""
        if self._restored is not None:
            ahead = frame.seconds - self._restored
            if not 0 < ahead < RESTARTED_SECONDS:
                self._shift = Fraction(self._restored + 1 / self.stream.rate) - frame.pts * frame.time_base
            self._restored = None
        seen = self.shifted(frame)
        self.last_frame, self._last = frame, seen.seconds
        return seen

    def shifted(self, frame: Frame) -> Frame:
        """The same, of a frame that does not count as the last one."""
        if not self._shift:
            return frame
        return Frame(frame.pixels, frame.pts + round(self._shift / frame.time_base), frame.time_base)

    def next_editor(self, seen: Frame) -> Editor:
        """The editor for a frame, with the edits as they are wished by now; with the lock held."""
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
        """The error for whoever comes after the end."""
        why = "was closed" if self.error is None else f"ended with an error ({self.error})"
        error = SessionClosedError(f"the session {why}; open another one")
        error.__cause__ = self.error
        return error
