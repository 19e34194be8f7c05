"""The video pump of one stream: takes the newest frame, converts, edits, converts back, and sends to every outlet.

At most `in_flight` frames are under way, in order. Newer frames wait in a mailbox of size one.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import av

from ...stream.frame import Frame, Pixels
from ...stream.mailbox import Mailbox, MailboxClosed, Posted
from ...stream.webrtc.decode_queue import Arrivals
from ...stream.webrtc.encoders import Encoded
from ...stream.webrtc.timeline import Timeline
from ...stream.webrtc.tracks import VideoOutlet
from ..common.outcome import HELD, NO_EDIT, NO_FACE, Outcome, OutcomeKind
from ..compositing.mark import PLAIN, Marker, MarkStyle
from ..engine.deadlines import BYPASS, LATE_ANALYSIS, LATE_SHOW, OVERLOADED
from ..engine.result_queue import Shown
from .engine_interface import EditSession
from .frame_conversion import fits, retimed, to_picture, to_video
from .held_rate import HeldRate
from .meters import Meters
from .stream_settings import StreamSettings

LEAST_WAIT: Final = 0.02
FOLLOW: Final = 0.05
"""Weight of each new frame in the average share of frames that are too late to be edited."""

T = TypeVar("T")

log = logging.getLogger(__name__)
BYPASSED: Final = Outcome(OutcomeKind.UNCHANGED, BYPASS)
LATE: Final = Outcome(OutcomeKind.PASSED, LATE_SHOW)
LATE_REASONS: Final = frozenset({LATE_ANALYSIS, LATE_SHOW, OVERLOADED})


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A picture in the line.

    Attributes:
        made: the picture for a lost frame.
    """

    task: "asyncio.Task[av.VideoFrame | None]"
    pts: int
    made: bool


class VideoPump:
    """Runs from `start` to `close`.

    edit: the engine's session. settings: called for each frame. largest: (width, height), largest size to edit.
    patience: seconds beyond the maximum latency to wait for the engine. held: the rate to work at, None for any.
    executor: for conversions. stand_in: see `EditEngine`. mark: what edited pictures get. `mailbox`: takes decoded
    frames; `outlets`: get the results. `late_share`: 0..1, share of about the last twenty frames that were shown
    unedited, their edit being late.
    """

    def __init__(
        self,
        edit: EditSession,
        settings: Callable[[], StreamSettings],
        meters: Meters,
        executor: Executor,
        *,
        largest: tuple[int, int],
        in_flight: int = 1,
        patience: float = 0.0,
        held: HeldRate | None = None,
        mark: MarkStyle = PLAIN,
        stand_in: Pixels | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mailbox: Mailbox[av.VideoFrame] = Mailbox(clock)
        self.outlets: set[VideoOutlet] = set()
        self.timeline = Timeline()
        self.last_frame = clock()
        self.face_seen: bool | None = None
        self.late_share = 0.0
        self._edit = edit
        self._settings = settings
        self._meters = meters
        self._executor = executor
        self._largest = largest
        self._patience = patience
        self._clock = clock
        self._held = held
        self._marker = Marker(mark)
        self._stand_in = stand_in
        self._arrivals = Arrivals()
        self._slots = asyncio.Semaphore(in_flight)
        self._line: deque[_Job] = deque()
        self._moved = asyncio.Event()
        self._given: int | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._seen_put = self._seen_dropped = 0
        self._failed = False
        self._closed = False

    def start(self) -> None:
        """Begin; on the event loop."""
        self._loops = [asyncio.ensure_future(self._take()), asyncio.ensure_future(self._give())]
        loop = asyncio.get_running_loop()

        def fill(made: Shown) -> None:
            with contextlib.suppress(RuntimeError):  # that event loop is gone
                loop.call_soon_threadsafe(self._fill, made)

        self._edit.conceal_missing(fill)

    async def close(self) -> None:
        """End, and cancel the frames under way."""
        self.mailbox.close(discard=True)
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._closed = True
        under_way = [job.task for job in self._line]
        self._line.clear()
        for job in under_way:
            job.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._count_mailbox()

    def encoded(self, encoded: Encoded) -> None:
        """Told by an encoder, on its thread; the first of several outlets counts."""
        arrival = self._arrivals.take(encoded.pts)
        if arrival is not None:
            self._meters.sent(arrival, encoded.size, encoded.seconds)

    async def _take(self) -> None:
        with contextlib.suppress(MailboxClosed):
            while True:
                await self._slots.acquire()
                posted = await self._next()
                pts = self.timeline.map(posted.item.pts or 0, posted.seconds)
                self._begin(self._work(posted, pts), pts, len(self._line))

    async def _next(self) -> Posted[av.VideoFrame]:
        while True:
            posted = await self.mailbox.receive()
            self._count_mailbox()
            self.last_frame = self._clock()
            if self._held is None or self._held.takes(posted.seconds):
                return posted
            self._meters.dropped()

    def _begin(
        self, work: Coroutine[Any, Any, av.VideoFrame | None], pts: int, place: int, *, made: bool = False
    ) -> None:
        task = asyncio.ensure_future(work)
        self._line.insert(place, _Job(task, pts, made))
        task.add_done_callback(lambda _task: self._moved.set())

    def _fill(self, made: Shown) -> None:
        """Queue a picture for a lost frame, before all later frames."""
        settings, pts = self._settings(), made.frame.pts
        if self._closed or settings.paused or settings.bypass or (self._given is not None and pts <= self._given):
            return
        self._arrivals.note(pts, self._clock())
        self._meters.became(made.outcome)
        place = next((number for number, job in enumerate(self._line) if job.pts > pts), len(self._line))
        self._begin(self._finish(made.frame, made, settings), pts, place, made=True)

    async def _give(self) -> None:
        while True:
            while not self._line or not self._line[0].task.done():
                await self._moved.wait()
                self._moved.clear()
            job = self._line.popleft()
            try:
                frame = job.task.result()
            except Exception:
                log.exception("a frame could not be prepared")
                frame = None
            finally:
                if not job.made:
                    self._slots.release()
            if frame is None:
                self._meters.dropped()
                continue
            self._given = frame.pts
            arrival = self._arrivals.peek(frame.pts or 0) or self._clock()
            for outlet in tuple(self.outlets):
                outlet.put(frame, arrival)

    async def _work(self, posted: Posted[av.VideoFrame], pts: int) -> av.VideoFrame | None:
        settings, frame, arrived = self._settings(), posted.item, posted.seconds
        self._meters.size = (frame.width, frame.height)
        if settings.paused:
            return None
        self._arrivals.note(pts, arrived)
        started = self._clock()
        self._meters.stage("wait", max(0.0, started - arrived))
        if settings.bypass and self._stand_in is None and fits(frame, self._largest):
            self._meters.became(BYPASSED)
            return retimed(frame, pts)
        source = await self._run(to_picture, frame, pts, self._largest)
        converted = self._clock()
        self._meters.stage("convert", converted - started)
        if settings.bypass:
            shown: Shown | None = Shown(self._instead(source), BYPASSED, 0.0)
        else:
            shown = await self._edited(source, arrived, settings)
        if shown is None:
            return None
        edited = self._clock()
        self._meters.stage("edit", edited - converted)
        outcome = self._judge(shown.outcome, settings)
        self._meters.became(outcome)
        self._meters.batch(shown.batch)
        late = outcome.kind == OutcomeKind.PASSED and outcome.reason in LATE_REASONS
        self.late_share += FOLLOW * (late - self.late_share)
        if self._held is not None and outcome.kind != OutcomeKind.UNCHANGED:
            self._held.note(late, self._meters.coming())
        if outcome == NO_FACE or outcome.kind == OutcomeKind.EDITED:
            self.face_seen = outcome not in (NO_FACE, HELD)
        result = await self._finish(source, shown, settings)
        self._meters.stage("finish", self._clock() - edited)
        return result

    @staticmethod
    def _judge(outcome: Outcome, settings: StreamSettings) -> Outcome:
        """The outcome as the client sees it: where it asked for nothing, the source is what it gets."""
        asked = settings.mode == "replace" or any(settings.edits.values())
        return NO_EDIT if outcome.kind == OutcomeKind.PASSED and not asked else outcome

    async def _finish(self, source: Frame, shown: Shown, settings: StreamSettings) -> av.VideoFrame:
        def mark(pixels: Pixels) -> Pixels:
            if self._stand_in is not None:
                return self._marker.draw(pixels)
            return self._marker(source, source.with_pixels(pixels), edited=shown.outcome.has_edit)

        bypass = settings.bypass and self._stand_in is None
        wanted = mark if settings.watermark and not bypass else None
        stamp = settings.stamp and not settings.bypass
        return await self._run(partial(to_video, source, shown.frame.pixels, mark=wanted, stamp=stamp))

    async def _edited(self, source: Frame, arrived: float, settings: StreamSettings) -> Shown | None:
        """The engine's result; the source if it fails or is too late; None if the engine dropped the frame."""
        left = max(LEAST_WAIT, settings.max_latency_ms / 1000 + self._patience - (self._clock() - arrived))
        try:
            # Not wait_for, which before Python 3.12 may swallow a cancellation, and so the end of this stream.
            async with asyncio.timeout(left):
                shown = await asyncio.wrap_future(self._edit.submit(source, arrived))
        except TimeoutError:
            return Shown(self._instead(source), LATE, 0.0)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return None
        except Exception:
            if not self._failed:  # log once, not thirty times a second
                log.exception("the engine failed on a frame; the source is shown")
            self._failed = True
            return Shown(self._instead(source), LATE, 0.0)
        self._failed = False
        if self._stand_in is not None:
            self._stand_in = shown.frame.pixels
        return shown

    def _instead(self, source: Frame) -> Frame:
        """What is shown where there is no result: the source, or the picture that may be seen in its place."""
        return source if self._stand_in is None else source.with_pixels(self._stand_in)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    def _count_mailbox(self) -> None:
        counts = self.mailbox.counts
        self._meters.received(counts.put - self._seen_put)
        self._meters.dropped(counts.dropped - self._seen_dropped)
        self._seen_put, self._seen_dropped = counts.put, counts.dropped
