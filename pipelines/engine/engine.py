"""The engine of one device: it passes frames from sessions through the schedule to worker threads.

Every event (a frame came, a stage ended, a time is reached) takes the lock, updates the schedule and begins the actions
it returns. Results are delivered in order, after the lock is released.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from ...stream.frame import Frame
from ..common.errors import EngineError, EngineFullError
from ..common.outcome import Outcome, OutcomeKind
from ..common.outcome import moved as as_moved
from ..common.stage_timing import Stages
from ..editor.face_editor import Edited, FrameAnalysis, SessionState
from ..editor.renderer import FaceRenderer
from . import deadlines
from .deadlines import refusal
from .drawing import Drawn, Share, draw
from .editors import Editor, Editors
from .missing_frames import Concealer, conceal, missing_work, note
from .result_queue import Shown
from .schedule import Schedule
from .scheduled_frame import Action, Analyse, Composite, Conceal, Reproject, ScheduledFrame, Show, Stream
from .scheduled_frame import Draw as DrawAction
from .session import Session, Work
from .session_state import OverlappedState
from .settings import EngineSettings, SessionSpec
from .worker_pool import ThreadWorkerPool, WorkerPool


class Predict(Protocol):
    """Predicts a frame whose drawing is late; tried before reprojection."""

    def __call__(self, editor: Editor, state: SessionState, analysis: FrameAnalysis, stages: Stages) -> Edited | None:
        """The edited frame, None if it cannot be predicted. Called in a compositing thread.

        editor: the session's editor. state: the session's state, which is not changed.
        """
        ...


class Engine:
    """Draws for many sessions on one device.

    renderer: networks that all sessions share. editors: makes each session's editor. predict: see `Predict`; without
    it, or if it gives None, the last drawing is reprojected onto a late frame, or the source is shown without one.
    fill: makes lost frames for sessions that request them; see `Session.conceal_missing`.
    clock: seconds, for the ages of frames. workers: run the stages; own threads by default.
    device: of the networks, for restored states.
    """

    def __init__(
        self,
        renderer: FaceRenderer,
        editors: Editors,
        settings: EngineSettings | None = None,
        *,
        predict: Predict | None = None,
        fill: Concealer | None = None,
        clock: Callable[[], float] = time.monotonic,
        workers: WorkerPool | None = None,
        device: str = "cpu",
    ) -> None:
        self.settings = settings = settings or EngineSettings()
        self.device = device
        self.changed = threading.Condition(threading.Lock())
        self.stages = Stages(clock, kept=2000)
        self._renderer = renderer
        self._editors = editors
        self._predict = predict
        self._fill = fill
        self.clock = clock
        self._schedule = Schedule(settings)
        self._sessions: list[Session] = []
        self._ended: Counter[Outcome] = Counter()
        self._closed = False
        self._workers = workers or ThreadWorkerPool(settings.analysis_workers, settings.composite_workers, clock)
        self._workers.begin(self._tick)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def fills(self) -> bool:
        """Whether it can conceal lost frames."""
        return self._fill is not None

    def admit(self, spec: SessionSpec) -> str:
        """Why a session would break the contract of the others, by measured costs; "" if there is room."""
        with self.changed:
            rates = [session.stream.rate for session in self._sessions if session.stream.live]
            return refusal(self._schedule.costs, rates, spec.rate, self.settings) if spec.live else ""

    def open(self, spec: SessionSpec) -> Session:
        """Open a session. Raises EngineFullError if `admit` refuses it, EngineError after `close`."""
        reason = self.admit(spec)
        if reason:
            raise EngineFullError(reason)
        editor = self._editors(spec, None)
        stream = Stream(spec.live, spec.max_latency_ms / 1000, spec.rate)
        session = Session(self, spec, editor, stream, OverlappedState(SessionState()))
        with self.changed:
            if self._closed:
                raise EngineError("the engine is closed; make another one")
            self._schedule.open(stream)
            self._sessions.append(session)
        return session

    def submit(self, session: Session, frame: Frame, captured: float | None) -> "Future[Shown]":
        """See `Session.submit`."""
        future: Future[Shown] = Future()

        def come(now: float) -> list[Action]:
            if session.stream.closed:
                raise session.ended()
            seen = session.own_time(frame)
            session.submitted += 1
            cadence = session.stream.cadence
            if cadence is not None and not cadence.came(now, frame.seconds):
                session.tally.add(Outcome(OutcomeKind.DROPPED, deadlines.FILLED))
                session.results.put(future, None)
                return []
            scheduled, actions = self._schedule.submit(now, session.stream, now if captured is None else captured)
            scheduled.work = Work(session, frame, seen, future)
            return actions

        with self.changed:
            if not session.stream.live:
                self._workers.wait_for(self.changed, lambda: self._schedule.has_room(session.stream))
        self._event(come)
        if session.stream.cadence is not None:
            session.results.deliver()
        return future

    def change(self, session: Session, **settings: Any) -> None:
        """Change the mode or the choice of faces from the next frame on."""
        spec = replace(session.spec, **settings)
        editor = self._editors(spec, session.editor)
        with self.changed:
            if session.stream.closed:
                raise session.ended()
            session.spec, session.editor = spec, editor

    def end(self, session: Session, error: BaseException | None) -> None:
        """End a session; its futures get `error`, or are cancelled if it is None."""

        def leave(now: float) -> list[Action]:
            if session.stream.closed:
                return []
            session.error = error
            left, actions = self._schedule.close(now, session.stream)
            for scheduled in left:
                session.results.put(scheduled.work.future, error)
                if scheduled.plan != "conceal":
                    session.tally.add(
                        Outcome(OutcomeKind.DROPPED, "session closed" if error is None else "session failed")
                    )
            self._sessions.remove(session)
            self._ended.update(session.tally.outcomes)
            return actions

        self._event(leave)
        session.results.deliver()

    def close(self) -> None:
        """End all sessions, finish the work in progress and end the threads. A second call does nothing."""
        with self.changed:
            sessions, done, self._closed = list(self._sessions), self._closed, True
        for session in sessions:
            self.end(session, None)
        if not done:
            self._workers.close()

    def stats(self) -> dict[str, Any]:
        """Counts and times of all sessions so far; see docs/engine.md."""
        with self.changed:
            schedule = self._schedule
            outcomes = self._ended.copy()
            for session in self._sessions:
                outcomes.update(session.tally.outcomes)
            drawn = sum(size * count for size, count in schedule.batches.items())
            return {
                "sessions": len(self._sessions),
                "outcomes": {str(outcome): count for outcome, count in outcomes.most_common()},
                "quality_level": schedule.degradation.quality.name,
                "level": schedule.degradation.level,
                "steps": [[round(seconds, 3), name] for seconds, name in schedule.degradation.steps],
                "batches": {str(size): count for size, count in sorted(schedule.batches.items())},
                "mean_batch": drawn / max(1, schedule.batches.total()),
                "max_batch": schedule.max_batch,
                "most_under_way": schedule.most_under_way,
                "device_busy": schedule.busy.share(self.clock()),
                "stages": self.stages.summary(),
            }

    def _tick(self) -> None:
        def pass_time(now: float) -> Sequence[Action]:
            for session in self._sessions:
                self._miss(now, session)
            return self._schedule.tick(now)

        self._event(pass_time)

    def _miss(self, now: float, session: Session) -> None:
        """Begin to conceal the frames that are missing by now, if the session requests it; with the lock held."""
        cadence, give, last = session.stream.cadence, session.give, session.last_frame
        while cadence is not None and give is not None and (due := cadence.due()) is not None and due <= now:
            seconds = cadence.miss(now)
            if seconds is None or last is None:
                continue
            scheduled = self._schedule.miss(now, session.stream, due)
            if scheduled is None:
                cadence.unfill(seconds)
                continue
            scheduled.work = missing_work(session, last, seconds, give)

    def _event(self, event: Callable[[float], Sequence[Action]]) -> None:
        with self.changed:
            touched = self._begin(event(self.clock()))
            self._workers.wake_at(self._schedule.wake())
            self.changed.notify_all()
        for session in touched:
            session.results.deliver()

    def _begin(self, actions: Sequence[Action]) -> list[Session]:
        """Begin the actions; returns the sessions that have results to deliver."""
        touched: list[Session] = []
        for action in actions:
            match action:
                case Analyse(scheduled):
                    self._begin_analysis(scheduled)
                case DrawAction(batch_frames, encode):
                    self._begin_drawing(batch_frames, encode)
                case Composite(scheduled, show):
                    self._begin_compositing(scheduled, show)
                case Reproject(scheduled):
                    self._begin_reprojection(scheduled)
                case Conceal(scheduled):
                    self._begin_concealment(scheduled)
                case Show(scheduled, what, reason):
                    self._show(scheduled, what, reason)
                    touched.append(scheduled.work.session)
        return touched

    def _begin_analysis(self, scheduled: ScheduledFrame) -> None:
        work: Work = scheduled.work
        session, began = work.session, self.clock()
        editor = work.editor = session.next_editor(work.seen)
        memory = session.memory.analysis

        def done(result: Any) -> None:
            def analysed(now: float) -> Sequence[Action]:
                faces, fresh = 0, False
                if not isinstance(result, BaseException):
                    session.memory.analysis, work.analysis = result
                    faces = len(work.analysis.jobs)
                    fresh = faces > 0 and session.memory.has_fresh(work.analysis)
                    if not faces:
                        busy = session.stream.drawing is not None or _draws_ahead(session.stream, scheduled)
                        session.memory.pass_over(scheduled.number, work.analysis, now=not busy)
                return self._schedule.analysed(now, scheduled, now - began, faces, fresh)

            self._report(session, result, analysed)

        self._workers.start("analyse", _caught(lambda: editor.analyse(memory, work.seen, self.stages)), done)

    def _begin_drawing(self, batch_frames: Sequence[ScheduledFrame], encode: Sequence[bool]) -> None:
        shares = []
        for scheduled, again in zip(batch_frames, encode, strict=True):
            analysis: FrameAnalysis = scheduled.work.analysis
            jobs = analysis.jobs if again else [replace(job, encode=False) for job in analysis.jobs]
            shares.append(Share(jobs, scheduled.work.session.memory.recall(scheduled.number, analysis)))

        def done(result: Drawn | BaseException) -> None:
            drawn = Drawn([_as_exception(result)] * len(batch_frames)) if isinstance(result, BaseException) else result
            failed = []
            with self.changed:
                if drawn.fits is not None:
                    self._schedule.shrink(drawn.fits)
                for scheduled, rendered in zip(batch_frames, drawn.results, strict=True):
                    session = scheduled.work.session
                    if isinstance(rendered, Exception):
                        failed.append((session, rendered))
                        continue
                    session.memory.drew(scheduled.work.analysis, rendered)
                    scheduled.work.rendered = rendered
                    if drawn.fits is not None:
                        session.notes.append(
                            f"the device ran out of memory; at most {drawn.fits} faces are drawn at once from now on"
                        )
            for session, error in failed:
                self.end(session, error)
            self._event(lambda now: self._schedule.drew(now, batch_frames))

        size = sum(scheduled.faces for scheduled in batch_frames)
        for scheduled in batch_frames:
            scheduled.work.batch = size
        self._workers.start("device", _caught(lambda: draw(self._renderer, shares, self.stages)), done, size)

    def _begin_compositing(self, scheduled: ScheduledFrame, show: bool) -> None:
        work: Work = scheduled.work
        session, editor, analysis = work.session, work.editor, work.analysis
        memory, rendered = session.memory.composites, work.rendered
        work.rendered = ()
        session.settled_batch = session.settled_batch if show else work.batch
        if editor is None or analysis is None:
            raise RuntimeError("a frame is composited before it was analysed")

        def composite() -> tuple[Any, ...]:
            kept, edited = editor.composite(memory, analysis, rendered, self.stages, show=show)
            return (
                kept,
                edited,
                note(self._fill, session, edited, analysis, self.stages) if show else session.concealment,
            )

        def keep(result: tuple[Any, ...]) -> None:
            session.memory.composites, work.result, session.concealment = result

        self._end_with(scheduled, composite, keep, len(rendered), show=show)

    def _begin_reprojection(self, scheduled: ScheduledFrame) -> None:
        work: Work = scheduled.work
        session, editor, analysis = work.session, work.editor, work.analysis
        state, reason = session.memory.state, scheduled.reason
        late = reason in (deadlines.LATE_DRAW, deadlines.LATE_COMPOSITE)
        if editor is None or analysis is None:
            raise RuntimeError("a drawing is reprojected onto a frame before it was analysed")

        def reproject() -> tuple[Any, ...]:
            edited = choose()
            return edited, note(self._fill, session, edited, analysis, self.stages)

        def choose() -> Edited:
            guess = self._predict(editor, state, analysis, self.stages) if late and self._predict is not None else None
            if guess is not None:
                return Edited(guess.frame, Outcome(OutcomeKind.EDITED, f"predicted, {reason}"))
            moved = editor.reproject(state.composites, analysis, self.stages)
            if moved is not None:
                return Edited(moved.frame, as_moved(reason))
            return Edited(analysis.frame, Outcome(OutcomeKind.PASSED, deadlines.NOT_YET))

        def keep(result: tuple[Any, ...]) -> None:
            work.result, session.concealment = result

        self._end_with(scheduled, reproject, keep, scheduled.faces, reprojected=True)

    def _begin_concealment(self, scheduled: ScheduledFrame) -> None:
        work: Work = scheduled.work

        def keep(result: tuple[Any, ...]) -> None:
            work.session.concealment, work.result = result

        self._end_with(scheduled, lambda: conceal(self._fill, work, scheduled.reason, self.stages), keep)

    def _end_with(
        self,
        scheduled: ScheduledFrame,
        stage: Callable[[], tuple[Any, ...]],
        keep: Callable[[tuple[Any, ...]], None],
        faces: int = 1,
        *,
        reprojected: bool = False,
        show: bool = True,
    ) -> None:
        """Run a frame's last stage in a compositing thread. keep: takes its result, with the lock held."""
        began = self.clock()

        def done(result: Any) -> None:
            def composited(now: float) -> Sequence[Action]:
                if not isinstance(result, BaseException):
                    keep(result)
                return self._schedule.composited(now, scheduled, now - began, reprojected=reprojected, show=show)

            self._report(scheduled.work.session, result, composited)

        self._workers.start("composite", _caught(stage), done, faces)

    def _report(self, session: Session, result: object, event: Callable[[float], Sequence[Action]]) -> None:
        """Report the end of a stage. An error ends its session before the schedule continues without it."""
        if isinstance(result, BaseException):
            self.end(session, result)
        self._event(event)

    def _show(self, scheduled: ScheduledFrame, what: str, reason: str) -> None:
        work: Work = scheduled.work
        session, result = work.session, work.result
        if scheduled.plan == "conceal" and (what == "nothing" or result is None):
            if session.stream.cadence is not None and work.missing is not None:
                session.stream.cadence.unfill(work.missing)
            session.tally.add(Outcome(OutcomeKind.DROPPED, reason))
            session.results.put(work.future, None)
            return
        if what == "nothing":
            session.tally.add(Outcome(OutcomeKind.DROPPED, reason))
            session.results.put(work.future, None)
            return
        age = self.clock() - scheduled.captured
        if what == "result" and result is not None:
            # The source's own time: the session's may continue from before a reconnection.
            batch, session.settled_batch = work.batch if scheduled.drawn else session.settled_batch, None
            shown = Shown(work.frame.with_pixels(result.frame.pixels), result.outcome, age, batch)
            if session.stand_in is not None:
                session.stand_in = result.frame.pixels
        elif session.stand_in is not None:
            held = Outcome(OutcomeKind.EDITED, f"held, {reason}")
            shown = Shown(work.frame.with_pixels(session.stand_in), held, age)
        else:
            kind = OutcomeKind.UNCHANGED if reason == deadlines.BYPASS else OutcomeKind.PASSED
            shown = Shown(work.frame, Outcome(kind, reason), age)
        session.tally.add(shown.outcome, age)
        session.results.put(work.future, shown)
        work.result = None


def _draws_ahead(stream: Stream, scheduled: ScheduledFrame) -> bool:
    return any(one.plan == "draw" and not one.drawn and one.number < scheduled.number for one in stream.flight)


def _caught(work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return work()
        except BaseException as error:
            return error

    return run


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"drawing was interrupted: {error!r}")
