"""Which frames are foretold to be late."""

from dynstream.pipelines.gstreamer.lateness import LONGEST_GAP, Lateness

MS = 1_000_000


def test_nothing_is_late_before_the_sink_says_so() -> None:
    lateness = Lateness()
    lateness.sent(0, 900 * MS, 900 * MS)
    assert lateness.expected(40 * MS, 900 * MS, 40 * MS) == 0


def test_a_frame_is_late_by_what_is_left_of_its_cost() -> None:
    lateness = Lateness()
    lateness.sent(0, 100 * MS, 100 * MS)
    lateness.told(0, 50 * MS, 2.0)  # the sink allows 50 ms
    assert lateness.expected(40 * MS, 100 * MS, 40 * MS) == 110 * MS
    assert lateness.expected(150 * MS, 100 * MS, 40 * MS) == 0


def test_an_editor_that_keeps_up_may_have_a_queue_behind_it() -> None:
    lateness = Lateness()
    lateness.sent(0, 30 * MS, 30 * MS)
    lateness.told(0, -1 * MS, 1.0)
    assert lateness.expected(40 * MS, 500 * MS, 40 * MS) == 0


def test_one_frame_a_second_is_edited_however_late() -> None:
    lateness = Lateness()
    lateness.sent(0, 900 * MS, 900 * MS)
    lateness.told(0, 800 * MS, 9.0)
    assert lateness.expected(LONGEST_GAP - 1, 1000 * MS, 40 * MS) > 0
    assert lateness.expected(LONGEST_GAP, 1000 * MS, 40 * MS) == 0


def test_time_that_begins_anew_is_not_late() -> None:
    lateness = Lateness()
    lateness.sent(0, 900 * MS, 900 * MS)
    lateness.told(0, 800 * MS, 9.0)
    lateness.reset()
    assert lateness.expected(40 * MS, 900 * MS, 40 * MS) == 0
