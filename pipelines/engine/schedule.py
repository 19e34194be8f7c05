"""The decisions of an engine: a state machine that is told what happened and says what is to be done.

It holds no thread, no clock, no picture and no network. Each method takes the time, in seconds, changes the state and
returns actions, in the order in which they are to be begun; the caller reports back when they are done. `wake` says by
when `tick` is to be called if nothing else happens.

A frame of a live stream: it waits (one a stream, the newest), is looked at, is drawn or not, is composited, is shown.
At its deadline it is shown, whatever has become of it. Frames of a stream are shown in order. A frame that is not
drawn, or whose drawing would be late, shows what was drawn for an earlier one, moved onto it; a drawing that comes too
late for its own frame serves those after it.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from . import deadlines as contract
from .batcher import choose, due
from .costs import Busy, Costs
from .degradation import Ladder
from .scheduled_frame import Action, Draw, Finish, Look, Make, Move, Show, Stream, Ticket
from .settings import EngineSettings


class Schedule:
    """See the module. settings: of the engine."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.streams: list[Stream] = []
        self.costs = Costs()
        self.busy = Busy()
        self.ladder = Ladder(settings.rungs, settings.ladder, settings.rung(settings.first_rung))
        self.batches: Counter[int] = Counter()
        self.most_under_way = 0
        self._max_batch = settings.max_batch
        self._ready: deque[Ticket] = deque()
        self._device_since: float | None = None
        self._looking = 0
        self._finishing = 0

    def open(self, stream: Stream) -> None:
        """One more stream."""
        self.streams.append(stream)

    def close(self, now: float, stream: Stream) -> tuple[list[Ticket], list[Action]]:
        """A stream ends: (its frames that were not shown, what is to be done for the others)."""
        if stream.closed:
            return [], []
        stream.closed = True
        self.streams.remove(stream)
        left = [*stream.flight, *stream.waiting]
        for ticket in left:
            ticket.phase = "shown"
        stream.flight.clear()
        stream.waiting.clear()
        stream.settling.clear()
        self._ready = deque(ticket for ticket in self._ready if ticket.stream is not stream)
        return left, self._go_on(now)

    def submit(self, now: float, stream: Stream, captured: float) -> tuple[Ticket, list[Action]]:
        """A frame has come, captured at a time of the same clock."""
        deadline = captured + stream.max_latency if stream.live else float("inf")
        ticket = Ticket(stream, stream.numbers, captured, deadline)
        stream.numbers += 1
        actions: list[Action] = []
        if stream.bypass or (stream.live and self.ladder.rung.draw_every == 0):
            ticket.plan, ticket.reason = "pass", contract.BYPASS if stream.bypass else contract.LADDER
        elif stream.live and stream.waiting and stream.waiting[-1].plan != "pass":
            actions.append(self._drop(now, stream.waiting.pop()))
        stream.waiting.append(ticket)
        self.most_under_way = max(self.most_under_way, stream.under_way)
        return ticket, actions + self._go_on(now)

    def miss(self, now: float, stream: Stream, missing: float) -> Ticket | None:
        """A frame that should have come at a time did not: a ticket to make it, None where there is no room for one.

        It waits for nobody to look at it, and takes its turn before whatever comes next.
        """
        idle = self.ladder.rung.draw_every == 0
        if idle or stream.bypass or stream.waiting or len(stream.flight) >= self.settings.live_flight:
            return None
        ticket = Ticket(stream, stream.numbers, missing, missing + stream.max_latency, phase="looked", plan="make")
        ticket.reason = contract.LOST
        stream.numbers += 1
        stream.flight.append(ticket)
        return ticket

    def has_room(self, stream: Stream) -> bool:
        """Whether a stream without a deadline may bring another frame now."""
        return stream.closed or stream.under_way < self.settings.patient_flight

    def looked(self, now: float, ticket: Ticket, seconds: float, faces: int, fresh: bool) -> list[Action]:
        """A frame was looked at, which took so long. faces: to draw. fresh: whether one of them was never drawn."""
        self._looking -= 1
        self.costs.add("look", seconds)
        stream = ticket.stream
        stream.looking = None
        ticket.faces = faces
        if not ticket.shown:
            ticket.phase = "looked"
            self._plan(now, ticket, fresh)
        return self._go_on(now)

    def drew(self, now: float, tickets: Sequence[Ticket]) -> list[Action]:
        """A batch was drawn."""
        if self._device_since is not None:
            self.busy.add(self._device_since, now)
            self.costs.add("draw", now - self._device_since, sum(ticket.faces for ticket in tickets))
        self._device_since = None
        self.batches[len(tickets)] += 1
        for ticket in tickets:
            stream = ticket.stream
            if stream.drawing is ticket:
                stream.drawing = None
            ticket.drawn = True
            if stream.closed:
                continue
            if ticket.phase == "looked":
                ticket.plan = "draw"  # also where it was not to wait: it has come in time all the same
            else:
                stream.settling.append(ticket)
        return self._go_on(now)

    def shrink(self, largest: int) -> None:
        """The device had no memory for more faces than this."""
        self._max_batch = max(1, min(self._max_batch, largest))

    @property
    def max_batch(self) -> int:
        """Faces drawn at once, at most."""
        return self._max_batch

    def finished(self, now: float, ticket: Ticket, seconds: float, *, moved: bool, show: bool) -> list[Action]:
        """`Finish`, `Move` or `Make` has ended, after so long."""
        self._finishing -= 1
        stream = ticket.stream
        stream.finishing = False
        if ticket.plan == "make" and stream.awaited is not None:
            stream.awaited.took(now, seconds)
        if ticket.faces:
            self.costs.add("move" if moved else "finish", seconds)
        actions: list[Action] = []
        if show and not ticket.shown and not stream.closed:
            actions.append(self._show(now, ticket, "result", ticket.reason))
        return actions + self._go_on(now)

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        return self._go_on(now)

    def wake(self) -> float | None:
        """When `tick` is due, in seconds; None while nothing waits for a time."""
        times = []
        for stream in self.streams:
            for ticket in self._first_two(stream):
                times.append(ticket.deadline)
            if stream.awaited is not None and (missing := stream.awaited.due()) is not None:
                times.append(missing)
            if self._waits_for_drawing(stream):
                times.append(contract.conceal_at(stream.flight[0], self.costs, self._spare))
        if self._device_since is None and (batch := choose(self._ready, self._max_batch)):
            times.append(due(batch, self.streams, self._max_batch, self.settings.window_ms / 1000))
        soonest = min(times, default=float("inf"))
        return None if soonest == float("inf") else soonest

    @property
    def _spare(self) -> float:
        return self.settings.spare_ms / 1000

    def _waits_for_drawing(self, stream: Stream) -> bool:
        """Whether its first frame could be finished, but for its drawing."""
        head = stream.flight[0] if stream.flight else None
        able = not stream.finishing and self._finishing < self.settings.finish_workers
        return able and head is not None and head.phase == "looked" and head.plan == "draw" and not head.drawn

    @staticmethod
    def _first_two(stream: Stream) -> Iterable[Ticket]:
        if stream.flight:
            yield stream.flight[0]
        if stream.waiting:
            yield stream.waiting[0]

    def _plan(self, now: float, ticket: Ticket, fresh: bool) -> None:
        """What is to become of a frame whose faces are known."""
        stream, rung = ticket.stream, self.ladder.rung
        if ticket.faces == 0:
            ticket.plan = "finish"
            return
        if not stream.live:
            ticket.plan = "draw"
            self._queue(now, ticket)
            return
        stream.since_draw += 1
        before = stream.drawing
        if before is not None and before in self._ready and before.plan != "draw":
            self._ready.remove(before)  # nobody waits for that one, and this one is newer
            stream.drawing, stream.since_draw = None, max(stream.since_draw, rung.draw_every)
        ticket.plan = "move"
        if rung.draw_every == 0:
            ticket.reason = contract.LADDER
        elif not fresh and stream.since_draw < rung.draw_every:
            ticket.reason = contract.BETWEEN
        elif stream.drawing is not None:
            ticket.reason = contract.DEVICE_BUSY
        else:
            ticket.plan = "draw" if rung.waits else "move"
            ticket.reason = "" if rung.waits else contract.BETWEEN
            stream.drawing, stream.since_draw = ticket, 0
            self._queue(now, ticket)

    def _queue(self, now: float, ticket: Ticket) -> None:
        ticket.queued = now
        self._ready.append(ticket)

    def _go_on(self, now: float) -> list[Action]:
        """All that can be begun or shown now."""
        actions: list[Action] = []
        self._advance_all(now, actions)
        self._begin_batch(now, actions)
        self._advance_all(now, actions)  # a batch leaves some of its frames without a drawing to wait for
        self._begin_looks(actions)
        self.ladder.update(now, lambda: self.busy.share(now, self._device_since))
        return actions

    def _advance_all(self, now: float, actions: list[Action]) -> None:
        for stream in sorted(self.streams, key=_first_deadline):
            self._advance(now, stream, actions)

    def _advance(self, now: float, stream: Stream, actions: list[Action]) -> None:
        """Show what is late or passes, and begin to finish the first frame where that can be."""
        while not stream.closed:
            head = stream.flight[0] if stream.flight else stream.waiting[0] if stream.waiting else None
            if head is not None and head.plan == "pass":
                actions.append(self._show(now, head, "source", head.reason))
            elif head is not None and now >= head.deadline and head.plan == "make":
                actions.append(self._show(now, head, "nothing", contract.LATE_SHOW))
            elif head is not None and now >= head.deadline:
                reason = contract.LATE_LOOK if head.phase in ("waiting", "looking") else contract.LATE_SHOW
                actions.append(self._show(now, head, "source", reason))
            else:
                break
        if stream.finishing or self._finishing >= self.settings.finish_workers:
            return
        head = stream.flight[0] if stream.flight else None
        if stream.settling and not self._is_urgent(now, head):
            self._finish(stream, Finish(stream.settling.popleft(), show=False), actions)
        elif head is not None and head.phase == "looked":
            self._finish_head(now, stream, head, actions)

    def _is_urgent(self, now: float, head: Ticket | None) -> bool:
        """Whether there is no time to make the newest layers before this frame is composited."""
        if head is None:
            return False
        return now + self.costs.guess("finish") >= contract.conceal_at(head, self.costs, self._spare)

    def _finish_head(self, now: float, stream: Stream, head: Ticket, actions: list[Action]) -> None:
        if head.plan == "draw" and not head.drawn:
            if now < contract.conceal_at(head, self.costs, self._spare):
                return
            head.plan, head.reason = "move", contract.LATE_FINISH
            if head in self._ready:
                self._ready.remove(head)
                stream.drawing = None
                head.reason = contract.LATE_DRAW
        elif head.plan == "draw" and contract.too_late_to_finish(head, now, self.costs):
            head.plan, head.reason = "move", contract.LATE_FINISH
            stream.settling.append(head)
        elif head.plan == "draw":
            head.reason = ""
        action: Finish | Move | Make = Finish(head, show=True)
        if head.plan in ("move", "make"):
            action = Move(head) if head.plan == "move" else Make(head)
        self._finish(stream, action, actions)

    def _finish(self, stream: Stream, action: Finish | Move | Make, actions: list[Action]) -> None:
        if not action.ticket.shown:
            action.ticket.phase = "finishing"
        stream.finishing = True
        self._finishing += 1
        actions.append(action)

    def _begin_looks(self, actions: list[Action]) -> None:
        while self._looking < self.settings.look_workers:
            able = [stream for stream in self.streams if self._can_look(stream)]
            if not able:
                return
            stream = min(able, key=lambda stream: (stream.waiting[0].deadline, stream.waiting[0].captured))
            ticket = stream.waiting.popleft()
            ticket.phase = "looking"
            stream.looking = ticket
            stream.flight.append(ticket)
            self._looking += 1
            actions.append(Look(ticket))

    def _can_look(self, stream: Stream) -> bool:
        if stream.looking is not None or not stream.waiting or stream.waiting[0].plan == "pass":
            return False
        return not stream.live or len(stream.flight) < self.settings.live_flight

    def _begin_batch(self, now: float, actions: list[Action]) -> None:
        if self._device_since is not None or not self._ready:
            return
        batch = choose(self._ready, self._max_batch)
        if now < due(batch, self.streams, self._max_batch, self.settings.window_ms / 1000):
            return
        self._device_since = now
        faces = sum(ticket.faces for ticket in batch)
        encode = []
        for ticket in batch:
            self._ready.remove(ticket)
            stream, rung = ticket.stream, self.ladder.rung
            if ticket.plan == "draw" and contract.too_late_to_draw(ticket, now, faces, self.costs):
                ticket.plan, ticket.reason = "move", contract.LATE_DRAW
            encode.append(not stream.live or rung.encode_every <= 1 or stream.drawings % rung.encode_every == 0)
            stream.drawings += 1
        actions.append(Draw(tuple(batch), tuple(encode)))

    def _drop(self, now: float, ticket: Ticket) -> Show:
        ticket.phase = "shown"
        self.ladder.note(now, late=True)
        return Show(ticket, "nothing", "a newer frame came")

    def _show(self, now: float, ticket: Ticket, what: str, reason: str) -> Show:
        stream = ticket.stream
        (stream.flight if stream.flight and stream.flight[0] is ticket else stream.waiting).popleft()
        if ticket in self._ready and stream.live and ticket.plan == "draw":
            self._ready.remove(ticket)  # too late for itself; the next frame is looked at by now
            stream.drawing = None
        ticket.phase = "shown"
        if ticket.plan == "make":
            return Show(ticket, "result" if what == "result" else "nothing", reason)
        if stream.live and ticket.plan != "pass":
            late = reason in (contract.LATE_LOOK, contract.LATE_SHOW)
            behind = reason in (contract.LATE_DRAW, contract.LATE_FINISH, contract.DEVICE_BUSY)
            self.ladder.note(now, behind=behind, late=late)
        elif stream.live and reason == contract.LADDER:
            self.ladder.note(now)
        return Show(ticket, "result" if what == "result" else "source", reason)


def _first_deadline(stream: Stream) -> float:
    return stream.flight[0].deadline if stream.flight else float("inf")
