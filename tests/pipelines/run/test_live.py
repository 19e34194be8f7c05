"""The live run: newest frame wins, pausing, notices in place of a standstill, and an end that says so."""

import threading
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.outcome import Outcome, OutcomeKind
from dynstream.pipelines.compositing.mark import Marker
from dynstream.pipelines.editor.face_editor import Edited
from dynstream.pipelines.run.live import FAREWELL_PICTURES, PAUSED, Live, LiveSettings
from dynstream.pipelines.run.notice import notice_picture
from dynstream.pipelines.run.rolling_statistics import RollingStatistics
from dynstream.stream.errors import SinkError, SourceError
from dynstream.stream.frame import Frame
from dynstream.stream.test_pattern import TestPattern

from ...stream.live import ManualTime
from .live_fakes import HandEditing, ListSink, ListSource, plain

SETTINGS = LiveSettings(in_flight=1, ramp_ms=200, stall_seconds=1.0, repeat_seconds=0.25)

LOST = Outcome(OutcomeKind.CONCEALED, "lost")


class Run:
    """A Live whose three threads are this one: `capture` reads one frame, `edit` moves what it can."""

    def __init__(self, *events: int | Exception, settings: LiveSettings = SETTINGS, at_once: bool = False) -> None:
        self.time = ManualTime()
        self.source = ListSource(events)
        self.editing = HandEditing(at_once=at_once)
        self.sink = ListSink()
        self.live = Live(
            self.source, self.editing, self.sink, settings, strengths={"smile": 2.0}, clock=self.time.clock
        )

    def feed(self, *levels: int) -> None:
        """Frames that the source gives now."""
        for level in levels:
            self.live._captured.add()
            self.live._captured_frames.put(Frame(plain(level), 1, Fraction(1, 25)))

    def all_of_it(self) -> None:
        """Each body to its end, one after the other."""
        for body in (self.live.capture, self.live.edit, self.live.show):
            body()


def test_a_picture_for_a_frame_that_never_came_is_shown_unless_it_is_paused() -> None:
    run = Run(at_once=True)
    run.live.fill(Edited(Frame(plain(7), 1, Fraction(1, 25)), LOST))
    assert run.live.show_next(10)
    run.live.pause()
    run.live.fill(Edited(Frame(plain(8), 2, Fraction(1, 25)), LOST))
    run.live.show_next(0)
    assert run.sink.levels == [7]
    assert run.live.status().outcomes == {"concealed: lost": 1}
    run.live.stop()
    run.live.fill(Edited(Frame(plain(9), 3, Fraction(1, 25)), LOST))  # after the end, and no harm


def in_thread(body: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


def test_a_source_that_ends_is_shown_to_its_last_frame_and_then_says_so() -> None:
    run = Run(10, 20, 30, at_once=True)
    run.all_of_it()
    assert run.sink.levels == [225] + [-1] * FAREWELL_PICTURES
    assert run.live.error is None
    assert not run.live.running
    assert (run.source.closed, run.sink.closed) == (1, 1)
    status = run.live.status()
    assert (status.captured, status.shown, status.dropped) == (3, 1, 2)
    assert status.outcomes == {"edited": 1}


def test_the_edit_gets_the_newest_frame_and_what_was_late_is_counted() -> None:
    run = Run()
    editor = in_thread(run.live.edit)
    run.feed(1)
    first = run.editing.begun.get(timeout=30)
    run.feed(2, 3, 4)  # while the first is still being edited
    run.time.now += 0.5
    run.editing.begun.put(first)
    run.editing.finish()
    assert run.live.show_next(10)
    run.editing.finish()
    assert run.live.show_next(10)
    assert run.sink.levels == [254, 251]
    status = run.live.status()
    assert status.dropped == 2
    assert status.ages == (pytest.approx(0.5), pytest.approx(0.5))
    run.live._captured_frames.close()
    editor.join(10)
    assert not run.live.show_next(10)


def test_several_frames_may_be_in_the_edit_and_all_are_shown_before_the_end() -> None:
    run = Run(settings=LiveSettings(in_flight=2))
    editor = in_thread(run.live.edit)
    run.feed(5)
    first = run.editing.begun.get(timeout=30)
    run.feed(6)
    second = run.editing.begun.get(timeout=30)
    run.live._captured_frames.close()
    run.editing.begun.put(first)
    run.editing.begun.put(second)
    run.editing.finish()
    assert run.live.show_next(10)
    run.editing.finish()
    assert run.live.show_next(10)
    assert not run.live.show_next(10)
    editor.join(10)
    assert run.sink.levels == [250, 249]


def test_a_frame_that_the_edit_gave_up_for_a_newer_one_counts_as_dropped() -> None:
    run = Run()
    editor = in_thread(run.live.edit)
    run.feed(1)
    _, future = run.editing.begun.get(timeout=30)
    future.cancel()
    run.feed(2)
    run.editing.finish()
    assert run.live.show_next(30)
    assert run.sink.levels == [253]
    assert run.live.status().dropped == 1
    run.live._captured_frames.close()
    editor.join(10)


def test_pausing_passes_frames_through_and_resuming_ramps_up_from_nothing() -> None:
    run = Run(40, at_once=True)
    run.live.pause()
    run.live.set({"age": 1.0})
    run.live.capture()
    run.live.edit()
    assert run.live.show_next(0)
    assert run.sink.levels == [40]
    assert run.live.status().outcomes == {str(PAUSED): 1}
    assert run.live.status().paused
    run.editing.wishes.clear()
    run.live.resume()
    assert run.editing.wishes == [({"smile": 0.0, "age": 0.0}, 0.0), ({"smile": 2.0, "age": 1.0}, 200)]
    assert not run.live.status().paused
    run.live.resume()
    assert len(run.editing.wishes) == 2


def test_a_pause_does_not_wait_for_a_slow_edit_nor_show_it_afterwards() -> None:
    run = Run()
    editor = in_thread(run.live.edit)
    run.feed(1)
    first = run.editing.begun.get(timeout=30)
    run.live.pause()
    run.time.now += 1
    run.feed(2)
    assert run.live.show_next(30)
    run.editing.begun.put(first)
    run.editing.finish()
    assert run.live.show_next(0)
    assert run.sink.levels == [2]
    run.live._captured_frames.close()
    editor.join(10)


def test_a_change_is_passed_on_with_the_ramp() -> None:
    run = Run()
    run.live.set({"smile": -1.0})
    assert run.editing.wishes == [({"smile": -1.0}, 200)]


def test_when_nothing_new_comes_the_output_repeats_and_then_says_why() -> None:
    run = Run(at_once=True)
    run.feed(10)
    editor = in_thread(run.live.edit)
    assert run.live.show_next(10)
    said = []
    for _ in range(6):
        run.time.now += 0.25
        assert run.live.show_next(0)
        said.append(run.live.status().notice)
    assert run.sink.levels == [245, 245, 245, 245, -1, -1, -1]
    assert said == ["", "", "", *["No picture from the source"] * 3]
    assert run.sink.sent[-1].shape == (48, 64, 3)
    run.live._captured.add()  # frames come, and the edit hangs
    run.time.now += 0.25
    run.live.show_next(0)
    assert run.live.status().notice == "The edit has come to a stop"
    run.live.source_lost("camera was lost")
    run.live.show_next(0)
    assert run.live.status().notice == "The camera is away"
    assert run.live.status().said == "camera was lost"
    run.live.source_found()
    assert run.live.status().said == "list is back"
    run.feed(20)
    assert run.live.show_next(10)
    assert run.sink.levels[-1] == 235
    assert run.live.status().notice == ""
    run.live._captured_frames.close()
    editor.join(10)


def test_before_the_first_picture_the_output_says_that_it_starts() -> None:
    run = Run()
    assert run.live.show_next(0)
    assert run.sink.sent == []
    run.time.now += 2
    run.live._captured.add()
    run.live.show_next(0)
    assert run.live.status().notice == "Starting"
    assert run.sink.sent[0].max() > 100


def test_a_lost_source_ends_with_its_error_and_a_picture_that_says_so() -> None:
    error = SourceError("camera was lost")
    run = Run(10, error, at_once=True)
    run.all_of_it()
    assert run.live.error is error
    assert run.sink.levels == [245] + [-1] * FAREWELL_PICTURES
    assert run.sink.closed == 1


def test_a_failing_edit_ends_the_run_and_never_shows_the_face_unedited() -> None:
    error = ZeroDivisionError("in a model")
    run = Run(10, 20)
    run.live.capture()
    editor = in_thread(run.live.edit)
    run.editing.finish(error)
    run.live.show()
    assert run.live.error is error
    assert run.sink.levels == [-1] * FAREWELL_PICTURES
    editor.join(10)


def test_an_edit_that_takes_no_frames_ends_the_run() -> None:
    run = Run(10)
    run.editing.close()
    run.all_of_it()
    assert isinstance(run.live.error, RuntimeError)
    assert run.sink.closed == 1


def test_a_failing_sink_ends_the_run_with_its_error_and_is_let_go() -> None:
    run = Run(10, at_once=True)
    run.sink.fails = SinkError("takes no more pictures")
    run.all_of_it()
    assert run.live.error is run.sink.fails
    assert run.sink.closed == 1


def test_real_threads_end_at_once_when_told_to_and_release_everything() -> None:
    time = ManualTime()
    stop = threading.Event()
    shown = threading.Event()
    source = TestPattern((160, 120), 25, clock=time.clock, sleep=lambda seconds: stop.wait(0.001))
    sink = ListSink((160, 120))
    send = sink.send

    def send_and_tell(pixels: np.ndarray) -> None:
        send(pixels)
        shown.set()

    sink.send = send_and_tell  # type: ignore[method-assign]
    editing = HandEditing(at_once=True)
    live = Live(source, editing, sink, SETTINGS, clock=time.clock, stop=stop)
    live.start()
    assert shown.wait(30)
    assert live.running
    live.stop()
    live.stop()
    assert not live.running
    assert live.error is None
    assert sink.closed == 1
    assert editing.closed
    assert not [thread for thread in live._threads if thread.is_alive()]
    assert sink.sent[-1][0, 0].max() == 0  # the goodbye
    assert source.read() is None


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="in_flight"):
        LiveSettings(in_flight=0)
    with pytest.raises(ValueError, match="repeat"):
        LiveSettings(repeat_seconds=2, stall_seconds=1)


def test_a_notice_is_legible_on_any_size_and_shows_the_last_picture_dimmed() -> None:
    for size in ((64, 48), (640, 360), (1920, 1080)):
        picture = notice_picture(size, "No picture from the source", plain(200))
        assert picture.shape == (size[1], size[0], 3)
        assert picture.max() > 100
        assert picture[0, 0, 0] == 50
        assert (picture[:, 0] == 50).all()
        assert (picture[:, -1] == 50).all()


def test_recent_values_are_those_of_the_window() -> None:
    time = ManualTime()
    recent = RollingStatistics(time.clock, window=2.0)
    assert (recent.rate(), recent.percentiles(50), recent.since()) == (0.0, None, None)
    for value in range(50):
        recent.add(float(value))
        time.now += 0.1
    assert recent.rate() == pytest.approx(10)
    assert recent.percentiles(0, 100) == [30, 49]
    assert recent.since() == pytest.approx(0.1)
    time.now += 100
    assert recent.rate() == 0


def test_edited_pictures_are_marked_and_those_of_a_pause_are_not() -> None:
    run = Run(at_once=True)
    run.live._marker = Marker()
    run.live.fill(Edited(Frame(np.full((90, 160, 3), 7, np.uint8), 1, Fraction(1, 25)), LOST))
    assert run.live.show_next(10)
    assert run.live.picture is not None
    assert (run.live.picture[70:] != 7).any()
    assert (run.live.picture[:60] == 7).all()
    run.live.pause()
    run.live._output(Edited(Frame(np.full((90, 160, 3), 8, np.uint8), 2, Fraction(1, 25)), PAUSED), 1e9)
    assert run.live.show_next(10)
    assert (run.live.picture == 8).all()


def test_a_stand_in_is_shown_in_place_of_the_source_and_always_marked() -> None:
    run = Run(at_once=True)
    run.live._marker, run.live._stand_in = Marker(), np.full((90, 160, 3), 50, np.uint8)
    run.live.pause()
    run.feed(8)
    run.live._captured_frames.close(None)
    run.live.edit()
    assert run.live.show_next(10)
    assert run.live.picture is not None
    assert (run.live.picture[:60] == 50).all()
    assert (run.live.picture[70:] != 50).any()
    shown = Edited(Frame(np.full((90, 160, 3), 7, np.uint8), 1, Fraction(1, 25)), PAUSED)
    marked = run.live._marked(shown, Frame(plain(8), 1, Fraction(1, 25)))
    run.live._paused = False
    assert (run.live._marked(shown, Frame(plain(8), 1, Fraction(1, 25))).frame.pixels[70:] != 7).any()
    assert marked is shown
    run.live.calibrate()
    assert run.editing.calibrations == 1
