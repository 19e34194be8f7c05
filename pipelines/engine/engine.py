"""One device's engine: sessions in front, the schedule within, a crew behind.

Every event (a frame came, a stage ended, a time is reached) takes the lock, tells the schedule, begins what it says,
and lets results out after the lock is released, in order.
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
from ..common.stage_timing import Stages
from ..editor.face_editor import Edited, Look, SessionState
from . import deadlines as contract
from .admission import refusal
from .drawing import Drawn, Draws, Share, draw
from .frame_concealment import Fill, make, missing_work, note
from .outcome import Shown
from .schedule import Schedule
from .scheduled_frame import Action, Finish, Make, Move, Show, Stream, Ticket
from .scheduled_frame import Draw as DrawAction
from .scheduled_frame import Look as LookAction
from .session import Editor, Editors, Session, Work
from .session_memory import Memory
from .settings import EngineSettings, SessionSpec
from .worker_pool import Crew, ThreadCrew


class Predict(Protocol):
    """A guess at a frame whose drawing is late, tried before anything is moved onto it."""

    def __call__(self, editor: Editor, state: SessionState, look: Look, stages: Stages) -> Edited | None:
        """The edited frame, None where it cannot be guessed. Called in a thread of the finish lane.

        editor: the session's. state: all that it remembers, which stays as it is.
        """
        ...


class Engine:
    """Draws for many sessions on one device.

    renderer: networks that all share. editors: makes each session's editor. predict: see there; without it, or where
    it gives nothing, the last drawing is moved onto a late frame, and where nothing was drawn the source is shown.
    fill: makes frames that did not come, for sessions that want them; see `Session.fill_holes`.
    clock: seconds; frames' ages are measured with it. crew: who does the work; own threads where not given. device: of
    the networks, for restored memories.
    """

    def __init__(
        self,
        renderer: Draws,
        editors: Editors,
        settings: EngineSettings | None = None,
        *,
        predict: Predict | None = None,
        fill: Fill | None = None,
        clock: Callable[[], float] = time.monotonic,
        crew: Crew | None = None,
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
        self._ended: Counter[str] = Counter()
        self._closed = False
        self._crew = crew or ThreadCrew(settings.look_workers, settings.finish_workers, clock)
        self._crew.begin(self._tick)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def fills(self) -> bool:
        """Whether it can make frames that do not come."""
        return self._fill is not None

    def admit(self, spec: SessionSpec) -> str:
        """Why a session would break the contract of the others, from measured cost; "" where there is room."""
        with self.changed:
            rates = [session.stream.rate for session in self._sessions if session.stream.live]
            return refusal(self._schedule.costs, rates, spec.rate, self.settings) if spec.live else ""

    def open(self, spec: SessionSpec) -> Session:
        """A new session. Raises EngineFullError where `admit` refuses it, EngineError after `close`."""
        reason = self.admit(spec)
        if reason:
            raise EngineFullError(reason)
        editor = self._editors(spec, None)
        stream = Stream(spec.live, spec.max_latency_ms / 1000, spec.rate)
        session = Session(self, spec, editor, stream, Memory(SessionState()))
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
            awaited = session.stream.awaited
            if awaited is not None and not awaited.came(now, frame.seconds):
                session.tally.add(f"dropped: {contract.FILLED}")
                session.outbox.put(future, None)
                return []
            ticket, actions = self._schedule.submit(now, session.stream, now if captured is None else captured)
            ticket.work = Work(session, frame, seen, future)
            return actions

        with self.changed:
            if not session.stream.live:
                self._crew.wait_for(self.changed, lambda: self._schedule.has_room(session.stream))
        self._event(come)
        if session.stream.awaited is not None:
            session.outbox.deliver()
        return future

    def change(self, session: Session, **settings: Any) -> None:
        """Another mode or other faces, from the next frame on."""
        spec = replace(session.spec, **settings)
        editor = self._editors(spec, session.editor)
        with self.changed:
            if session.stream.closed:
                raise session.ended()
            session.spec, session.editor = spec, editor

    def end(self, session: Session, error: BaseException | None) -> None:
        """End a session; `error` becomes that of its futures, which are cancelled where there is none."""

        def leave(now: float) -> list[Action]:
            if session.stream.closed:
                return []
            session.error = error
            left, actions = self._schedule.close(now, session.stream)
            for ticket in left:
                session.outbox.put(ticket.work.future, error)
                if ticket.plan != "make":
                    session.tally.add("closed" if error is None else "failed")
            self._sessions.remove(session)
            self._ended.update(session.tally.outcomes)
            return actions

        self._event(leave)
        session.outbox.deliver()

    def close(self) -> None:
        """End all sessions, finish what the threads are doing, and end these. A second call does nothing."""
        with self.changed:
            sessions, done, self._closed = list(self._sessions), self._closed, True
        for session in sessions:
            self.end(session, None)
        if not done:
            self._crew.close()

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
                "outcomes": dict(outcomes.most_common()),
                "rung": schedule.ladder.rung.name,
                "level": schedule.ladder.level,
                "steps": [[round(seconds, 3), name] for seconds, name in schedule.ladder.steps],
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
        """Frames that should have come by now are to be made, where that is wanted; with the lock held."""
        awaited, give, last = session.stream.awaited, session.give, session.last_frame
        while awaited is not None and give is not None and (due := awaited.due()) is not None and due <= now:
            seconds = awaited.miss(now)
            if seconds is None or last is None:
                continue
            ticket = self._schedule.miss(now, session.stream, due)
            if ticket is None:
                awaited.unfill(seconds)
                continue
            ticket.work = missing_work(session, last, seconds, give)

    def _event(self, event: Callable[[float], Sequence[Action]]) -> None:
        with self.changed:
            touched = self._begin(event(self.clock()))
            self._crew.wake_at(self._schedule.wake())
            self.changed.notify_all()
        for session in touched:
            session.outbox.deliver()

    def _begin(self, actions: Sequence[Action]) -> list[Session]:
        """Begin what is to be done; gives the sessions that have something to deliver."""
        touched: list[Session] = []
        for action in actions:
            match action:
                case LookAction(ticket):
                    self._begin_look(ticket)
                case DrawAction(tickets, encode):
                    self._begin_drawing(tickets, encode)
                case Finish(ticket, show):
                    self._begin_finish(ticket, show)
                case Move(ticket):
                    self._begin_move(ticket)
                case Make(ticket):
                    self._begin_making(ticket)
                case Show(ticket, what, reason):
                    self._show(ticket, what, reason)
                    touched.append(ticket.work.session)
        return touched

    def _begin_look(self, ticket: Ticket) -> None:
        work: Work = ticket.work
        session, began = work.session, self.clock()
        editor = work.editor = session.next_editor(work.seen)
        memory = session.memory.look

        def done(result: Any) -> None:
            def looked(now: float) -> Sequence[Action]:
                faces, fresh = 0, False
                if not isinstance(result, BaseException):
                    session.memory.look, work.look = result
                    faces = len(work.look.jobs)
                    fresh = faces > 0 and session.memory.has_fresh(work.look)
                    if not faces:
                        busy = session.stream.drawing is not None or _draws_ahead(session.stream, ticket)
                        session.memory.pass_over(ticket.number, work.look, now=not busy)
                return self._schedule.looked(now, ticket, now - began, faces, fresh)

            self._report(session, result, looked)

        self._crew.start("look", _caught(lambda: editor.look(memory, work.seen, self.stages)), done)

    def _begin_drawing(self, tickets: Sequence[Ticket], encode: Sequence[bool]) -> None:
        shares = []
        for ticket, anew in zip(tickets, encode, strict=True):
            look: Look = ticket.work.look
            jobs = look.jobs if anew else [replace(job, encode=False) for job in look.jobs]
            shares.append(Share(jobs, ticket.work.session.memory.recall(ticket.number, look)))

        def done(result: Drawn | BaseException) -> None:
            drawn = Drawn([_as_exception(result)] * len(tickets)) if isinstance(result, BaseException) else result
            failed = []
            with self.changed:
                if drawn.fits is not None:
                    self._schedule.shrink(drawn.fits)
                for ticket, rendered in zip(tickets, drawn.results, strict=True):
                    session = ticket.work.session
                    if isinstance(rendered, Exception):
                        failed.append((session, rendered))
                        continue
                    session.memory.drew(ticket.work.look, rendered)
                    ticket.work.rendered = rendered
                    if drawn.fits is not None:
                        session.notes.append(
                            f"the device ran out of memory; at most {drawn.fits} faces are drawn at once from now on"
                        )
            for session, error in failed:
                self.end(session, error)
            self._event(lambda now: self._schedule.drew(now, tickets))

        size = sum(ticket.faces for ticket in tickets)
        for ticket in tickets:
            ticket.work.batch = size
        self._crew.start("device", _caught(lambda: draw(self._renderer, shares, self.stages)), done, size)

    def _begin_finish(self, ticket: Ticket, show: bool) -> None:
        work: Work = ticket.work
        session, editor, look = work.session, work.editor, work.look
        memory, rendered = session.memory.finish, work.rendered
        work.rendered = ()
        if editor is None or look is None:
            raise RuntimeError("a frame is finished that nobody has looked at")

        def finish() -> tuple[Any, ...]:
            kept, edited = editor.finish(memory, look, rendered, self.stages, show=show)
            return kept, edited, note(self._fill, session, edited, look, self.stages) if show else session.showing

        def keep(result: tuple[Any, ...]) -> None:
            session.memory.finish, work.result, session.showing = result

        self._end_with(ticket, finish, keep, len(rendered), show=show)

    def _begin_move(self, ticket: Ticket) -> None:
        work: Work = ticket.work
        session, editor, look = work.session, work.editor, work.look
        state, reason = session.memory.state, ticket.reason
        late = reason in (contract.LATE_DRAW, contract.LATE_FINISH)
        if editor is None or look is None:
            raise RuntimeError("something is moved onto a frame that nobody has looked at")

        def move() -> tuple[Any, ...]:
            edited = choose()
            return edited, note(self._fill, session, edited, look, self.stages)

        def choose() -> Edited:
            guess = self._predict(editor, state, look, self.stages) if late and self._predict is not None else None
            if guess is not None:
                return Edited(guess.frame, f"predicted: {reason}")
            moved = editor.carry(state.finish, look, self.stages)
            if moved is not None:
                return Edited(moved.frame, f"moved: {reason}")
            return Edited(look.frame, f"passed: {contract.NOT_YET}")

        def keep(result: tuple[Any, ...]) -> None:
            work.result, session.showing = result

        self._end_with(ticket, move, keep, ticket.faces, moved=True)

    def _begin_making(self, ticket: Ticket) -> None:
        work: Work = ticket.work

        def keep(result: tuple[Any, ...]) -> None:
            work.session.showing, work.result = result

        self._end_with(ticket, lambda: make(self._fill, work, ticket.reason, self.stages), keep)

    def _end_with(
        self,
        ticket: Ticket,
        stage: Callable[[], tuple[Any, ...]],
        keep: Callable[[tuple[Any, ...]], None],
        faces: int = 1,
        *,
        moved: bool = False,
        show: bool = True,
    ) -> None:
        """A frame's last stage, in the finish lane. keep: what it gave, with the lock held."""
        began = self.clock()

        def done(result: Any) -> None:
            def finished(now: float) -> Sequence[Action]:
                if not isinstance(result, BaseException):
                    keep(result)
                return self._schedule.finished(now, ticket, now - began, moved=moved, show=show)

            self._report(ticket.work.session, result, finished)

        self._crew.start("finish", _caught(stage), done, faces)

    def _report(self, session: Session, result: object, event: Callable[[float], Sequence[Action]]) -> None:
        """A stage has ended. An error ends its session, before the schedule goes on without it."""
        if isinstance(result, BaseException):
            self.end(session, result)
        self._event(event)

    def _show(self, ticket: Ticket, what: str, reason: str) -> None:
        work: Work = ticket.work
        session, result = work.session, work.result
        if ticket.plan == "make" and (what == "nothing" or result is None):
            if session.stream.awaited is not None and work.missing is not None:
                session.stream.awaited.unfill(work.missing)
            session.tally.add(f"held: {reason}")
            session.outbox.put(work.future, None)
            return
        if what == "nothing":
            session.tally.add(f"dropped: {reason}")
            session.outbox.put(work.future, None)
            return
        age = self.clock() - ticket.captured
        if what == "result" and result is not None:
            # The source's own time: the session's may run on from before a reconnection.
            batch = work.batch if ticket.drawn else None
            shown = Shown(work.frame.with_pixels(result.frame.pixels), result.outcome, age, batch)
        else:
            shown = Shown(work.frame, f"passed: {reason}", age)
        session.tally.add(shown.outcome, age)
        session.outbox.put(work.future, shown)
        work.result = None


def _draws_ahead(stream: Stream, ticket: Ticket) -> bool:
    return any(one.plan == "draw" and not one.drawn and one.number < ticket.number for one in stream.flight)


def _caught(work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        try:
            return work()
        except BaseException as error:
            return error

    return run


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"drawing was interrupted: {error!r}")
