"""The schedule of an engine: a state machine that takes events and returns actions.

It holds no thread, no clock, no picture and no network. Each method takes the time in seconds, changes the state and
returns actions in the order in which to begin them. The caller reports when they are done. `wake` gives the time at
which to call `tick` if nothing else happens.

A frame of a live stream waits (one per stream, the newest), is analysed, is drawn or not, is composited and is shown.
At its deadline it is shown in any case. Frames of a stream are shown in order. A frame that is not drawn, or whose
drawing would be late, shows the drawing of an earlier frame, reprojected. A drawing that is too late for its own frame
is used for later ones.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from . import deadlines
from .deadlines import Busy, Costs
from .degradation import DegradationPolicy
from .scheduled_frame import (
    Action,
    Analyse,
    Composite,
    Conceal,
    Draw,
    Reproject,
    ScheduledFrame,
    Show,
    Stream,
    choose,
    due,
)
from .settings import EngineSettings


class Schedule:
    """The state machine; see the module. settings: of the engine."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.streams: list[Stream] = []
        self.costs = Costs()
        self.busy = Busy()
        self.degradation = DegradationPolicy(
            settings.quality_levels, settings.degradation, settings.level_of(settings.first_level)
        )
        self.batches: Counter[int] = Counter()
        self.most_under_way = 0
        self._max_batch = settings.max_batch
        self._ready: deque[ScheduledFrame] = deque()
        self._device_since: float | None = None
        self._analysing = 0
        self._compositing = 0

    def open(self, stream: Stream) -> None:
        """Add a stream."""
        self.streams.append(stream)

    def close(self, now: float, stream: Stream) -> tuple[list[ScheduledFrame], list[Action]]:
        """Remove a stream: (its frames that were not shown, actions for the others)."""
        if stream.closed:
            return [], []
        stream.closed = True
        self.streams.remove(stream)
        left = [*stream.flight, *stream.waiting]
        for scheduled in left:
            scheduled.phase = "shown"
        stream.flight.clear()
        stream.waiting.clear()
        stream.settling.clear()
        self._ready = deque(scheduled for scheduled in self._ready if scheduled.stream is not stream)
        return left, self._go_on(now)

    def submit(self, now: float, stream: Stream, captured: float) -> tuple[ScheduledFrame, list[Action]]:
        """Add a frame, captured at a time of the same clock."""
        deadline = captured + stream.max_latency if stream.live else float("inf")
        scheduled = ScheduledFrame(stream, stream.numbers, captured, deadline)
        stream.numbers += 1
        actions: list[Action] = []
        if stream.bypass or (stream.live and self.degradation.quality.draw_every == 0):
            scheduled.plan, scheduled.reason = "pass", deadlines.BYPASS if stream.bypass else deadlines.OVERLOADED
        elif stream.live and stream.waiting and stream.waiting[-1].plan != "pass":
            actions.append(self._drop(now, stream.waiting.pop()))
        stream.waiting.append(scheduled)
        self.most_under_way = max(self.most_under_way, stream.under_way)
        return scheduled, actions + self._go_on(now)

    def miss(self, now: float, stream: Stream, missing: float) -> ScheduledFrame | None:
        """Note a missing frame: returns the frame to conceal it with, None if there is no room for it.

        It needs no analysis and takes its place before the next frame that comes.
        """
        idle = self.degradation.quality.draw_every == 0
        if idle or stream.bypass or stream.waiting or len(stream.flight) >= self.settings.live_flight:
            return None
        scheduled = ScheduledFrame(
            stream, stream.numbers, missing, missing + stream.max_latency, phase="analysed", plan="conceal"
        )
        scheduled.reason = deadlines.LOST
        stream.numbers += 1
        stream.flight.append(scheduled)
        return scheduled

    def has_room(self, stream: Stream) -> bool:
        """Whether a stream without a deadline may submit another frame now."""
        return stream.closed or stream.under_way < self.settings.patient_flight

    def analysed(self, now: float, scheduled: ScheduledFrame, seconds: float, faces: int, fresh: bool) -> list[Action]:
        """A frame was analysed in `seconds`. faces: to draw. fresh: whether one of them was never drawn."""
        self._analysing -= 1
        self.costs.add("analyse", seconds)
        stream = scheduled.stream
        stream.analysing = None
        scheduled.faces = faces
        if not scheduled.shown:
            scheduled.phase = "analysed"
            self._plan(now, scheduled, fresh)
        return self._go_on(now)

    def drew(self, now: float, batch_frames: Sequence[ScheduledFrame]) -> list[Action]:
        """A batch was drawn."""
        if self._device_since is not None:
            self.busy.add(self._device_since, now)
            self.costs.add("draw", now - self._device_since, sum(scheduled.faces for scheduled in batch_frames))
        self._device_since = None
        self.batches[len(batch_frames)] += 1
        for scheduled in batch_frames:
            stream = scheduled.stream
            if stream.drawing is scheduled:
                stream.drawing = None
            scheduled.drawn = True
            if stream.closed:
                continue
            if scheduled.phase == "analysed":
                scheduled.plan = "draw"  # also if it did not have to wait: the drawing is in time
            else:
                stream.settling.append(scheduled)
        return self._go_on(now)

    def shrink(self, largest: int) -> None:
        """Limit batches: the device ran out of memory with more faces than this."""
        self._max_batch = max(1, min(self._max_batch, largest))

    @property
    def max_batch(self) -> int:
        """Largest number of faces in a batch."""
        return self._max_batch

    def composited(
        self, now: float, scheduled: ScheduledFrame, seconds: float, *, reprojected: bool, show: bool
    ) -> list[Action]:
        """`Composite`, `Reproject` or `Conceal` has ended after `seconds` of work."""
        self._compositing -= 1
        stream = scheduled.stream
        stream.compositing = False
        if scheduled.plan == "conceal" and stream.cadence is not None:
            stream.cadence.took(now, seconds)
        if scheduled.faces:
            self.costs.add("reproject" if reprojected else "composite", seconds)
        actions: list[Action] = []
        if show and not scheduled.shown and not stream.closed:
            actions.append(self._show(now, scheduled, "result", scheduled.reason))
        return actions + self._go_on(now)

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        return self._go_on(now)

    def wake(self) -> float | None:
        """When `tick` is due, in seconds; None while nothing waits for a time."""
        times = []
        for stream in self.streams:
            for scheduled in self._first_two(stream):
                times.append(scheduled.deadline)
            if stream.cadence is not None and (missing := stream.cadence.due()) is not None:
                times.append(missing)
            if self._waits_for_drawing(stream):
                times.append(deadlines.conceal_at(stream.flight[0], self.costs, self._spare))
        if self._device_since is None and (batch := choose(self._ready, self._max_batch)):
            times.append(due(batch, self.streams, self._max_batch, self.settings.window_ms / 1000))
        soonest = min(times, default=float("inf"))
        return None if soonest == float("inf") else soonest

    @property
    def _spare(self) -> float:
        return self.settings.spare_ms / 1000

    def _waits_for_drawing(self, stream: Stream) -> bool:
        """Whether its first frame lacks only its drawing to be composited."""
        head = stream.flight[0] if stream.flight else None
        able = not stream.compositing and self._compositing < self.settings.composite_workers
        return able and head is not None and head.phase == "analysed" and head.plan == "draw" and not head.drawn

    @staticmethod
    def _first_two(stream: Stream) -> Iterable[ScheduledFrame]:
        if stream.flight:
            yield stream.flight[0]
        if stream.waiting:
            yield stream.waiting[0]

    def _plan(self, now: float, scheduled: ScheduledFrame, fresh: bool) -> None:
        """Plan a frame whose faces are known."""
        stream, quality = scheduled.stream, self.degradation.quality
        if scheduled.faces == 0:
            scheduled.plan = "composite"
            return
        if not stream.live:
            scheduled.plan = "draw"
            self._queue(now, scheduled)
            return
        stream.since_draw += 1
        before = stream.drawing
        if before is not None and before in self._ready and before.plan != "draw":
            self._ready.remove(before)  # no frame waits for that drawing, and this one is newer
            stream.drawing, stream.since_draw = None, max(stream.since_draw, quality.draw_every)
        scheduled.plan = "reproject"
        if quality.draw_every == 0:
            scheduled.reason = deadlines.OVERLOADED
        elif not fresh and stream.since_draw < quality.draw_every:
            scheduled.reason = deadlines.BETWEEN
        elif stream.drawing is not None:
            scheduled.reason = deadlines.DEVICE_BUSY
        else:
            scheduled.plan = "draw" if quality.waits else "reproject"
            scheduled.reason = "" if quality.waits else deadlines.BETWEEN
            stream.drawing, stream.since_draw = scheduled, 0
            self._queue(now, scheduled)

    def _queue(self, now: float, scheduled: ScheduledFrame) -> None:
        scheduled.queued = now
        self._ready.append(scheduled)

    def _go_on(self, now: float) -> list[Action]:
        """Actions for all that can begin or be shown now."""
        actions: list[Action] = []
        self._advance_all(now, actions)
        self._begin_batch(now, actions)
        self._advance_all(now, actions)  # after a batch, some frames have no drawing to wait for
        self._begin_analyses(actions)
        self.degradation.update(now, lambda: self.busy.share(now, self._device_since))
        return actions

    def _advance_all(self, now: float, actions: list[Action]) -> None:
        for stream in sorted(self.streams, key=_first_deadline):
            self._advance(now, stream, actions)

    def _advance(self, now: float, stream: Stream, actions: list[Action]) -> None:
        """Show frames that are late or pass unedited, and begin to composite the first one if possible."""
        while not stream.closed:
            head = stream.flight[0] if stream.flight else stream.waiting[0] if stream.waiting else None
            if head is not None and head.plan == "pass":
                actions.append(self._show(now, head, "source", head.reason))
            elif head is not None and now >= head.deadline and head.plan == "conceal":
                actions.append(self._show(now, head, "nothing", deadlines.LATE_SHOW))
            elif head is not None and now >= head.deadline:
                reason = deadlines.LATE_ANALYSIS if head.phase in ("waiting", "analysing") else deadlines.LATE_SHOW
                actions.append(self._show(now, head, "source", reason))
            else:
                break
        if stream.compositing or self._compositing >= self.settings.composite_workers:
            return
        head = stream.flight[0] if stream.flight else None
        if stream.settling and not self._is_urgent(now, head):
            self._composite(stream, Composite(stream.settling.popleft(), show=False), actions)
        elif head is not None and head.phase == "analysed":
            self._composite_head(now, stream, head, actions)

    def _is_urgent(self, now: float, head: ScheduledFrame | None) -> bool:
        """Whether there is no time to make the newest layers before compositing this frame."""
        if head is None:
            return False
        return now + self.costs.guess("composite") >= deadlines.conceal_at(head, self.costs, self._spare)

    def _composite_head(self, now: float, stream: Stream, head: ScheduledFrame, actions: list[Action]) -> None:
        if head.plan == "draw" and not head.drawn:
            if now < deadlines.conceal_at(head, self.costs, self._spare):
                return
            head.plan, head.reason = "reproject", deadlines.LATE_COMPOSITE
            if head in self._ready:
                self._ready.remove(head)
                stream.drawing = None
                head.reason = deadlines.LATE_DRAW
        elif head.plan == "draw" and deadlines.too_late_to_composite(head, now, self.costs):
            head.plan, head.reason = "reproject", deadlines.LATE_COMPOSITE
            stream.settling.append(head)
        elif head.plan == "draw":
            head.reason = ""
        action: Composite | Reproject | Conceal = Composite(head, show=True)
        if head.plan in ("reproject", "conceal"):
            action = Reproject(head) if head.plan == "reproject" else Conceal(head)
        self._composite(stream, action, actions)

    def _composite(self, stream: Stream, action: Composite | Reproject | Conceal, actions: list[Action]) -> None:
        if not action.scheduled.shown:
            action.scheduled.phase = "compositing"
        stream.compositing = True
        self._compositing += 1
        actions.append(action)

    def _begin_analyses(self, actions: list[Action]) -> None:
        while self._analysing < self.settings.analysis_workers:
            able = [stream for stream in self.streams if self._can_analyse(stream)]
            if not able:
                return
            stream = min(able, key=lambda stream: (stream.waiting[0].deadline, stream.waiting[0].captured))
            scheduled = stream.waiting.popleft()
            scheduled.phase = "analysing"
            stream.analysing = scheduled
            stream.flight.append(scheduled)
            self._analysing += 1
            actions.append(Analyse(scheduled))

    def _can_analyse(self, stream: Stream) -> bool:
        if stream.analysing is not None or not stream.waiting or stream.waiting[0].plan == "pass":
            return False
        return not stream.live or len(stream.flight) < self.settings.live_flight

    def _begin_batch(self, now: float, actions: list[Action]) -> None:
        if self._device_since is not None or not self._ready:
            return
        batch = choose(self._ready, self._max_batch)
        if now < due(batch, self.streams, self._max_batch, self.settings.window_ms / 1000):
            return
        self._device_since = now
        faces = sum(scheduled.faces for scheduled in batch)
        encode = []
        for scheduled in batch:
            self._ready.remove(scheduled)
            stream, quality = scheduled.stream, self.degradation.quality
            if scheduled.plan == "draw" and deadlines.too_late_to_draw(scheduled, now, faces, self.costs):
                scheduled.plan, scheduled.reason = "reproject", deadlines.LATE_DRAW
            encode.append(not stream.live or quality.encode_every <= 1 or stream.drawings % quality.encode_every == 0)
            stream.drawings += 1
        actions.append(Draw(tuple(batch), tuple(encode)))

    def _drop(self, now: float, scheduled: ScheduledFrame) -> Show:
        scheduled.phase = "shown"
        self.degradation.note(now, late=True)
        return Show(scheduled, "nothing", "a newer frame came")

    def _show(self, now: float, scheduled: ScheduledFrame, what: str, reason: str) -> Show:
        stream = scheduled.stream
        (stream.flight if stream.flight and stream.flight[0] is scheduled else stream.waiting).popleft()
        if scheduled in self._ready and stream.live and scheduled.plan == "draw":
            self._ready.remove(scheduled)  # too late for its own frame, and the next one is analysed by now
            stream.drawing = None
        scheduled.phase = "shown"
        if scheduled.plan == "conceal":
            return Show(scheduled, "result" if what == "result" else "nothing", reason)
        if stream.live and scheduled.plan != "pass":
            late = reason in (deadlines.LATE_ANALYSIS, deadlines.LATE_SHOW)
            behind = reason in (deadlines.LATE_DRAW, deadlines.LATE_COMPOSITE, deadlines.DEVICE_BUSY)
            self.degradation.note(now, behind=behind, late=late)
        elif stream.live and reason == deadlines.OVERLOADED:
            self.degradation.note(now)
        return Show(scheduled, "result" if what == "result" else "source", reason)


def _first_deadline(stream: Stream) -> float:
    return stream.flight[0].deadline if stream.flight else float("inf")
