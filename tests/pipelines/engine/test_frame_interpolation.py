"""More pictures than frames: made from both neighbours, in order and in even steps, and only while there is time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction

import numpy as np
import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.common.outcome import EDITED, NO_EDIT, NO_FACE, Outcome, OutcomeKind, moved
from dynstream.pipelines.common.stage_timing import Stages
from dynstream.pipelines.engine import frame_interpolation as in_between
from dynstream.pipelines.engine.frame_interpolation import InterpolatingQueue, make
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.engine.settings import SessionSpec
from dynstream.pipelines.inversion.latent_memory import GAP_SECONDS
from dynstream.stream.frame import Frame, Pixels

from ..fakes import edits, scene
from .simulation import World

STEP = 1 / 15
AGE = 0.04
MAKING = 0.01


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def picture(place: float) -> Pixels:
    """An oval that has come `place` frames of 6 pixels far."""
    return scene((round(60 + 6 * place), 60))


def shown(place: float, outcome: Outcome = EDITED, age: float = AGE, pixels: Pixels | None = None) -> Shown:
    """At 15 frames a second in a time base that has no place between two."""
    return Shown(Frame(picture(place) if pixels is None else pixels, round(place), Fraction(1, 15)), outcome, age)


class Story:
    """An result queue, the time at which each picture was shown, and its time in the stream."""

    def __init__(self, rate: float = 30, latency: float = 0.25) -> None:
        self.clock, self.closed = Clock(), False
        self.seen: list[tuple[float, float, str, float]] = []
        self.lock = threading.Condition(threading.Lock())
        self.stages = Stages()
        self.results = InterpolatingQueue(
            self.lock,
            rate,
            latency=lambda: latency,
            ended=lambda: self.closed,
            stages=self.stages,
            clock=self.clock,
        )

    def begin(self) -> "Story":
        self.results.begin(self.note, thread=False)
        return self

    def note(self, shown: Shown) -> None:
        at = round(self.clock.seconds - 100, 4)
        self.seen.append((at, round(shown.frame.seconds / STEP, 3), str(shown.outcome), round(shown.age, 4)))

    def come(self, result: Shown | BaseException | None) -> "Future[Shown]":
        future: Future[Shown] = Future()

        def done(future: "Future[Shown]") -> None:
            if not future.cancelled() and future.exception() is None:
                self.note(future.result())

        future.add_done_callback(done)
        with self.lock:
            self.results.put(future, result)
        self.results.deliver()
        return future

    def until(self, seconds: float) -> None:
        """Let time go by up to here, in thousandths."""
        while self.clock.seconds - 100 < seconds - 1e-9:
            self.results.step(timeout=0.0)
            self.clock.seconds += 0.001
        self.results.step(timeout=0.0)

    def feed(self, frames: int, every: float = STEP, make: Callable[[float], Shown] = shown) -> None:
        for number in range(frames):
            self.until(number * every)
            self.come(make(number))
        self.until(frames * every)

    def places(self) -> list[float]:
        return [place for _, place, _, _ in self.seen]


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> Callable[["Story", float], None]:
    """Makes the making of pictures take some of the clock's time."""

    def set_cost(story: "Story", seconds: float) -> None:
        def slow(one: Shown, other: Shown, slots: int) -> list[Shown]:
            story.clock.seconds += seconds
            return make(one, other, slots)

        monkeypatch.setattr(in_between, "make", slow)

    return set_cost


def test_between_two_frames_the_wanted_pictures_are_shown_in_even_steps() -> None:
    story = Story().begin()
    story.feed(4)
    assert story.places() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    times = [at for at, _, _, _ in story.seen]
    assert np.diff(times[1:]) == pytest.approx(STEP / 2, abs=0.0021)
    assert [outcome for _, _, outcome, _ in story.seen] == ["edited", *["edited: in between", "edited"] * 3]


def test_the_age_of_what_waited_counts_the_wait() -> None:
    story = Story().begin()
    story.feed(3)
    ages = [age for _, _, _, age in story.seen]
    assert ages == pytest.approx([AGE, AGE, AGE + STEP / 2, AGE, AGE + STEP / 2], abs=0.0021)


def test_what_lies_between_is_nearer_to_the_truth_than_either_neighbour() -> None:
    (made,) = make(shown(0), shown(1), 2)
    truth = picture(0.5)

    def apart(pixels: Pixels) -> float:
        return float(np.abs(pixels.astype(int) - truth).mean())

    assert apart(made.frame.pixels) < 0.5 * min(apart(picture(0)), apart(picture(1)))
    assert made.frame.seconds == pytest.approx(STEP / 2)


def test_three_slots_of_a_time_are_thirds() -> None:
    made = make(shown(0), shown(1), 3)
    assert [one.frame.seconds / STEP for one in made] == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


@pytest.mark.parametrize(
    ("outcomes", "made"),
    [
        ((NO_FACE, EDITED), "passed"),
        ((moved("x"), Outcome(OutcomeKind.FADED, "y")), "edited"),
        ((NO_EDIT, NO_EDIT), "unchanged"),
        ((NO_EDIT, EDITED), "passed"),
    ],
)
def test_it_counts_as_edited_where_both_neighbours_are(outcomes: tuple[Outcome, Outcome], made: str) -> None:
    (one,) = make(shown(0, outcomes[0]), shown(1, outcomes[1]), 2)
    assert str(one.outcome) == f"{made}: in between"


def test_across_a_cut_and_between_sizes_nothing_is_made_and_nothing_waits() -> None:
    story = Story().begin()
    story.come(shown(0))
    story.until(STEP)
    story.come(shown(1, pixels=np.full_like(picture(0), 250)))
    story.results.step(timeout=0.0)
    story.results.step(timeout=0.0)
    assert [place for _, place, _, _ in story.seen] == [0, 1]
    assert story.seen[-1][0] == pytest.approx(STEP, abs=0.0021)
    assert make(shown(0), shown(1, pixels=picture(0)[:-2]), 2) == []


@pytest.mark.parametrize(
    ("rate", "frames"),
    [(15, 3), (20, 3), (24, 5), (1000, 9)],
)
def test_so_many_are_made_as_come_nearest_to_the_rate_at_most_three(rate: float, frames: int) -> None:
    story = Story(rate).begin()
    story.feed(3)
    assert len(story.seen) == frames


def test_a_long_gap_is_not_filled() -> None:
    story = Story().begin()
    story.come(shown(0))
    story.until(STEP)
    story.come(shown(1 + GAP_SECONDS / STEP))
    story.until(STEP + 0.01)
    assert len(story.seen) == 2


def test_a_frame_that_would_become_too_old_does_not_wait() -> None:
    story = Story(latency=AGE + STEP / 2 - 0.001).begin()
    story.feed(3)
    assert story.places() == [0, 1, 2]
    assert [age for _, _, _, age in story.seen] == [AGE] * 3


def test_the_next_frame_ends_the_wait_of_the_one_before() -> None:
    story = Story().begin()
    story.come(shown(0))
    story.until(STEP)
    story.come(shown(1))
    story.until(STEP + 0.005)
    story.come(shown(2))
    story.results.step(timeout=0.0)
    assert story.places()[:3] == [0, 0.5, 1]
    assert story.seen[2][0] == pytest.approx(STEP + 0.005, abs=0.0021)
    story.until(3 * STEP)
    assert story.places() == [0, 0.5, 1, 1.5, 2]


def test_where_making_takes_longer_than_there_is_time_for_it_rests(costly: Callable[[Story, float], None]) -> None:
    story = Story().begin()
    costly(story, 1.15 * STEP / 2)
    story.feed(20)
    assert [place for place in story.places() if place % 1] == [number + 0.5 for number in range(7)]  # 7 x 1.15 > 8
    assert [place for place in story.places() if not place % 1] == list(range(20))


def test_a_picture_that_takes_long_once_is_late_and_nothing_else(costly: Callable[[Story, float], None]) -> None:
    story = Story().begin()
    costly(story, MAKING)
    story.feed(6)
    costly(story, STEP / 2 + 0.01)
    story.until(6 * STEP)
    story.come(shown(6))
    story.until(7 * STEP)
    costly(story, MAKING)
    story.come(shown(7))
    story.until(8 * STEP)
    assert story.places() == [number / 2 for number in range(15)]


def test_making_within_the_time_moves_nothing(costly: Callable[[Story, float], None]) -> None:
    story = Story().begin()
    costly(story, MAKING)
    story.feed(4)
    assert story.places() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert story.stages.summary()["in between"]["count"] == 3


def test_where_making_fails_the_frames_go_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_anything: object) -> list[Shown]:
        raise MemoryError("no room for flow")

    monkeypatch.setattr(in_between, "make", fail)
    story = Story().begin()
    story.feed(6)
    assert story.places() == list(range(6))
    assert [record.message for record in caplog.records] == ["no pictures are made between frames any more"]


def test_errors_and_drops_are_passed_on_in_order() -> None:
    story = Story().begin()
    story.feed(2)
    story.come(shown(2))
    dropped, broken = story.come(None), story.come(RuntimeError("the model failed"))
    for _ in range(4):
        story.results.step(timeout=0.0)
    assert story.places()[-1] == 2
    assert dropped.cancelled()
    assert "the model failed" in str(broken.exception())


def test_it_ends_when_the_session_has_ended_and_all_is_shown() -> None:
    story = Story().begin()
    story.feed(2)
    last = story.come(shown(2))
    assert story.results.step(timeout=0.0)
    story.closed = True
    steps = 0
    while story.results.step(timeout=0.0):
        steps += 1
        assert steps < 5
    assert last.done()


def test_without_anybody_to_give_to_it_is_an_outbox_like_any_other() -> None:
    story = Story()
    story.come(shown(0))
    story.come(shown(1))
    assert story.places() == [0, 1]


def test_a_session_counts_what_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = InterpolatingQueue.begin
    monkeypatch.setattr(InterpolatingQueue, "begin", lambda self, give: begin(self, give, thread=False))
    world = World()
    session = world.open(output_rate=50.0)
    given: list[Shown] = []
    assert session.conceal_missing(given.append)
    for number in range(3):
        frame = Frame(picture(number), number, Fraction(1, 25))
        world.workers.at(number / 25, lambda frame=frame: session.submit(frame))  # type: ignore[misc]
    for number in range(300):
        world.workers.run(number / 1000)
        session.results.step(timeout=0.0)  # type: ignore[attr-defined]
    assert [round(one.frame.seconds * 50) for one in given] == [1, 3]
    stats = session.stats()
    assert stats["outcomes"] == {"edited": 3, "edited: in between": 2}
    assert (stats["submitted"], stats["edited"]) == (3, 5)


def test_its_own_thread_shows_everything_and_ends() -> None:
    story = Story(rate=15)
    story.results.begin(story.note)
    futures = [story.come(shown(number)) for number in range(5)]
    assert [future.result(timeout=30).frame.pts for future in futures] == [0, 1, 2, 3, 4]
    story.closed = True
    story.results.deliver()
    for thread in threading.enumerate():
        if thread.name == "engine-in-between":
            thread.join(timeout=30)
            assert not thread.is_alive()


def test_a_patient_session_and_a_wrong_rate() -> None:
    assert not World().open(live=False, output_rate=50.0).conceal_missing(lambda _made: None)
    with pytest.raises(PipelineError, match="0 frames a second"):
        SessionSpec(edits=edits(), output_rate=0.0)
