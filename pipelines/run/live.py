"""A live run from a source to a sink: three threads with size-one mailboxes between them.

Capture puts each frame into a mailbox, where a newer one replaces it. Editing takes the newest, and the output shows
each result at once. Nothing queues, so a shown frame is only as old as one edit takes, however slow. When nothing new
comes, the output shows a notice with the last picture, and it shows a farewell at the end.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ...stream.frame import Frame, Pixels
from ...stream.live_source import LiveSource
from ...stream.mailbox import Mailbox, MailboxClosed, Posted
from ...stream.virtual_camera import FrameSink
from ..common.outcome import Outcome, OutcomeKind
from ..compositing.mark import Marker, MarkStyle
from ..editor.face_editor import Edited
from ..edits.ramps import EditedFrame, Editing
from .notice import notice_picture
from .rolling_statistics import RollingStatistics

PAUSED: Final = Outcome(OutcomeKind.UNCHANGED, "paused")
FAREWELL_PICTURES: Final = 3  # a driver may buffer one or two
JOIN_SECONDS: Final = 3.0
SLOT_SECONDS: Final = 0.1
"""Seconds after which a pause is noticed while a frame is being edited."""


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """Settings of a live run.

    Attributes:
        in_flight: frames in the edit at once.
        ramp_ms: duration of the ramp of every change.
        stall_seconds: seconds without a new picture until the output shows a notice.
        repeat_seconds: longest time without a picture sent.
    """

    in_flight: int = 1
    ramp_ms: float = 250.0
    stall_seconds: float = 2.0
    repeat_seconds: float = 0.2

    def __post_init__(self) -> None:
        if self.in_flight < 1 or self.ramp_ms < 0 or not 0 < self.repeat_seconds <= self.stall_seconds:
            raise ValueError(f"expected in_flight from 1, ramp_ms from 0 and 0 < repeat <= stall, got {self}")


@dataclass(frozen=True, kw_only=True)
class LiveStatus:
    """The status of a live run, for a panel.

    Attributes:
        ages: p50 and p95 of the last seconds, from capture to output; None without frames.
        dropped: captured frames that were replaced by newer ones before the edit.
        notice: text that the output shows instead of a new picture, "" without a problem.
        said: the last event, in words.
    """

    source: str
    device: str
    size: tuple[int, int]
    captured: int
    shown: int
    dropped: int
    captured_rate: float
    shown_rate: float
    ages: tuple[float, float] | None
    outcomes: Mapping[str, int]
    paused: bool
    notice: str
    said: str


class Live:
    """One run from a source to a sink.

    source: opened; its reading thread closes it. strengths: of the edits at the start of `editing`.
    clock: seconds. stop: set it, or call `stop`, to end the run. mark: what edited pictures say, None for nothing.
    stand_in: shown where the source would be, until there is a picture, which then stays; with it all pictures are
    marked. None shows the source.
    """

    def __init__(
        self,
        source: LiveSource,
        editing: Editing[Any],
        sink: FrameSink,
        settings: LiveSettings = LiveSettings(),
        *,
        strengths: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
        mark: MarkStyle | None = None,
        stand_in: Pixels | None = None,
    ) -> None:
        self.source, self.editing, self.sink, self.settings = source, editing, sink, settings
        self.error: BaseException | None = None
        self.picture: Pixels | None = None
        self._clock = clock
        self._marker = None if mark is None else Marker(mark)
        self._stand_in = stand_in
        self._stopping = stop or threading.Event()
        self._ended = threading.Event()
        self._captured_frames: Mailbox[Frame] = Mailbox(clock)
        self._edited_frames: Mailbox[EditedFrame] = Mailbox(clock)
        self._slots = threading.Semaphore(settings.in_flight)
        self._order, self._newest = threading.Lock(), float("-inf")
        self._paused = False
        self._strengths = dict(strengths or {})
        self._captured, self._ages = RollingStatistics(clock), RollingStatistics(clock)
        self._outcomes: Counter[Outcome] = Counter()
        self._shown = self._overtaken = 0
        self._fresh_at = self._sent_at = clock()
        self._notice, self._said = "", ""
        self._away = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; returns at once."""
        # A camera that hangs cannot be woken; daemon threads do not delay the end of the program.
        self.editing.conceal_missing(self.fill)
        for name, work in (("capture", self.capture), ("edit", self.edit), ("output", self.show)):
            thread = threading.Thread(target=work, name=f"live-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def running(self) -> bool:
        """True until the source has ended, something failed, or `stop` was called."""
        return not (self._ended.is_set() or self._stopping.is_set())

    def stop(self) -> None:
        """End the run: show the farewell, close the sink and return when done. A second call does nothing more."""
        self._stopping.set()
        self._captured_frames.close(discard=True)
        self._edited_frames.close(discard=True)
        self.editing.close()
        for thread in reversed(self._threads):
            thread.join(JOIN_SECONDS)

    def set(self, strengths: Mapping[str, float]) -> None:
        """Move edits to new strengths, evenly over the settings' ramp. Raises EditError for an unknown name."""
        self._strengths.update(strengths)
        self.editing.set(strengths, self.settings.ramp_ms)

    def calibrate(self) -> None:
        """Take what a portrait's driver does now for at rest."""
        self.editing.calibrate()

    def pause(self) -> None:
        """Pass the source through unedited, from the next frame on; with a stand-in, the last picture stays."""
        self._paused = True

    def resume(self) -> None:
        """Edit again, ramping up from nothing."""
        if self._paused and self._strengths:
            self.editing.set(dict.fromkeys(self._strengths, 0.0), 0.0)
            self.editing.set(self._strengths, self.settings.ramp_ms)
        self._paused = False

    def source_lost(self, reason: str) -> None:
        """For `Reconnecting`: the source has been lost."""
        self._away, self._said = True, reason

    def source_found(self) -> None:
        """For `Reconnecting`: it is back."""
        self._away, self._said = False, f"{self.source.name} is back"

    def status(self) -> LiveStatus:
        """The present status."""
        counts, ages = self._captured_frames.counts, self._ages.percentiles(50, 95)
        return LiveStatus(
            source=self.source.name,
            device=self.sink.device,
            size=self.sink.size,
            captured=counts.put,
            shown=self._shown,
            dropped=counts.dropped + self._overtaken,
            captured_rate=self._captured.rate(),
            shown_rate=self._ages.rate(),
            ages=None if ages is None else (ages[0], ages[1]),
            outcomes={str(outcome): count for outcome, count in self._outcomes.most_common()},
            paused=self._paused,
            notice=self._notice,
            said=self._said,
        )

    def capture(self) -> None:
        """The capture thread: put every frame of the source into the mailbox, until either ends."""
        reason: Exception | None = None
        try:
            while not self._stopping.is_set() and (frame := self.source.read()) is not None:
                self._captured.add()
                self._captured_frames.put(frame)
        except MailboxClosed:
            pass
        except Exception as error:
            reason = error
        finally:
            self.source.close()
            self._captured_frames.close(reason)

    def edit(self) -> None:
        """The edit thread: submit the newest frame as soon as the edit has room."""
        try:
            while True:
                # Wait before taking the frame, so that it is the newest one.
                has_slot = self._slots.acquire(timeout=SLOT_SECONDS)
                if not has_slot and not self._paused:
                    continue
                posted = self._captured_frames.take()
                if posted is not None and has_slot and not self._paused:
                    self.editing.submit(posted.item, posted.seconds).add_done_callback(partial(self._finished, posted))
                    continue
                if posted is not None and self._paused:
                    self._output(Edited(self._paused_picture(posted.item), PAUSED), posted.seconds)
                if has_slot:
                    self._slots.release()
        except MailboxClosed as end:
            for _ in range(self.settings.in_flight - 1):  # frames that are still being edited are shown first
                self._slots.acquire()
            self._edited_frames.close(end.reason)
        except Exception as error:
            self._edited_frames.close(error, discard=True)

    def _paused_picture(self, source: Frame) -> Frame:
        if self._stand_in is None:
            return source
        return source.with_pixels(self._marked_rest() if self.picture is None else self.picture)

    def _marked_rest(self) -> Pixels:
        assert self._stand_in is not None
        return self._stand_in if self._marker is None else self._marker.draw(self._stand_in)

    def _finished(self, posted: Posted[Frame], future: "Future[EditedFrame]") -> None:
        try:
            if future.cancelled():
                self._overtaken += 1
            else:
                self._output(future.result(), posted.seconds, posted.item)
        except MailboxClosed:
            pass
        except Exception as error:
            self._edited_frames.close(error, discard=True)
        finally:
            self._slots.release()

    def fill(self, made: EditedFrame) -> None:
        """Show a picture made for a lost frame next."""
        with self._order, contextlib.suppress(MailboxClosed):
            if not self._paused:
                self._edited_frames.put(self._marked(made))

    def _output(self, edited: EditedFrame, seconds: float, source: Frame | None = None) -> None:
        with self._order:
            if seconds >= self._newest:  # an edit older than the last frame of a pause is not shown
                self._newest = seconds
                self._edited_frames.put(self._marked(edited, source), seconds)

    def _marked(self, edited: EditedFrame, source: Frame | None = None) -> EditedFrame:
        if self._marker is None or self._paused:
            return edited
        if self._stand_in is not None:
            return Edited(edited.frame.with_pixels(self._marker.draw(edited.frame.pixels)), edited.outcome)
        pixels = self._marker(source, edited.frame, edited=edited.outcome.has_edit)
        return Edited(edited.frame.with_pixels(pixels), edited.outcome)

    def show(self) -> None:
        """The output thread: show pictures until they end, then the farewell, and close the sink."""
        try:
            while self.show_next():
                pass
        except Exception as error:
            self.error = error
        finally:
            self._ended.set()
            self._captured_frames.close(discard=True)  # end capture in any case
            with contextlib.suppress(Exception):
                self._say_goodbye()
            self.sink.close()

    def show_next(self, timeout: float | None = None) -> bool:
        """Wait for one picture and show it, or a notice in its place; False after the end.

        timeout: seconds to wait, the settings' `repeat_seconds` if None.
        """
        try:
            posted = self._edited_frames.take(self.settings.repeat_seconds if timeout is None else timeout)
        except MailboxClosed as end:
            self.error = end.reason
            return False
        now = self._clock()
        if posted is not None:
            self.picture = posted.item.frame.pixels
            self.sink.send(self.picture)
            self._ages.add(self._clock() - posted.seconds)
            self._outcomes[posted.item.outcome] += 1
            self._shown += 1
            self._fresh_at = self._sent_at = now
            self._notice = ""
        elif now - self._fresh_at >= self.settings.stall_seconds:
            self._notice = self._why()
            self.sink.send(notice_picture(self.sink.size, self._notice, self.picture))
            self._sent_at = now
        elif now - self._sent_at >= self.settings.repeat_seconds and self.picture is not None:
            self.sink.send(self.picture)
            self._sent_at = now
        return True

    def _why(self) -> str:
        if self._away:
            return "The camera is away"
        silent = self._captured.since()
        if silent is None or silent >= self.settings.stall_seconds:
            return "No picture from the source"
        return "Starting" if self.picture is None else "The edit has come to a stop"

    def _say_goodbye(self) -> None:
        text = "The video has ended" if self.error is None else "The video has ended with an error"
        for _ in range(FAREWELL_PICTURES):
            self.sink.send(notice_picture(self.sink.size, text))
