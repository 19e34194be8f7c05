import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from dynstream.models.directions.directions import load_directions
from dynstream.pipelines.common.outcome import EDITED, Outcome, OutcomeKind
from dynstream.pipelines.compositing.mark import Marker
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.serve.engine_adapter import list_choices
from dynstream.pipelines.serve.frame_conversion import fits, to_picture, to_video
from dynstream.pipelines.serve.meters import Meters, percentile
from dynstream.pipelines.serve.stream_settings import StreamSettings
from dynstream.pipelines.serve.video_pump import VideoPump
from dynstream.stream.frame import Frame
from dynstream.stream.webrtc.stamp import read_stamp, write_stamp
from dynstream.stream.webrtc.tracks import VideoOutlet

from .live import run, until

CONCEALED = Outcome(OutcomeKind.CONCEALED, "lost")


def video(width: int, height: int, level: int = 90, pts: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
    frame = frame.reformat(format="yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (320, 240)])
def test_the_mark_is_seen_on_any_scene_and_nowhere_else(size: tuple[int, int]) -> None:
    for level in (0, 128, 255):
        pixels = np.full((size[1], size[0], 3), level, np.uint8)
        marked = Marker().draw(pixels)
        changed = np.abs(marked.astype(int) - level).max(axis=2) > 0
        rows, columns = np.nonzero(changed)
        assert rows.min() > size[1] * 0.8
        assert columns.min() > size[0] * 0.6
        inside = marked[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert int(inside.max()) - int(inside.min()) > 100
        assert (pixels == level).all()


def test_a_picture_too_small_for_the_mark_stays() -> None:
    pixels = np.full((24, 32, 3), 9, np.uint8)
    assert Marker().draw(pixels) is pixels


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((640, 360), (640, 360)), ((641, 361), (640, 360)), ((2560, 1440), (1280, 720)), ((720, 1280), (404, 720))],
)
def test_pictures_become_even_and_small_enough(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    picture = to_picture(video(*size), 123, (1280, 720))
    assert picture.size == wanted
    assert picture.pts == 123
    assert abs(int(picture.pixels[5, 5, 0]) - 90) <= 2
    assert fits(video(*size), (1280, 720)) == (size == wanted)


def test_the_stamp_is_the_sources_whatever_the_edit_did() -> None:
    source = np.full((360, 640, 3), 50, np.uint8)
    write_stamp(source, 777)
    frame = Frame(source, 5, Fraction(1, 90_000))
    result = np.full((360, 640, 3), 200, np.uint8)
    for mark in (None, Marker().draw):
        out = to_video(frame, result, mark=mark, stamp=True)
        assert read_stamp(out.to_ndarray(format="rgb24")) == 777
        assert out.pts == 5
    assert (result == 200).all()
    assert read_stamp(to_video(frame, result, mark=None, stamp=False).to_ndarray(format="rgb24")) is None


def test_meters_count_time_and_smooth() -> None:
    now = [10.0]
    told: list[tuple[str, str, float]] = []
    meters = Meters(lambda: now[0], lambda *sample: told.append(sample))
    assert meters.summary(1)["age_ms"] is None
    for _ in range(20):
        now[0] += 0.05
        meters.received(1)
        meters.became(EDITED)
        meters.stage("edit", 0.02)
        meters.sent(now[0] - 0.1, 1000, now[0])
    summary = meters.summary(1)
    assert summary["fps_in"] == pytest.approx(20, abs=1)
    assert summary["fps_out"] == pytest.approx(20, abs=1)
    assert summary["age_ms"] == {"p50": 100.0, "p95": 100.0}
    assert summary["stages_ms"] == {"edit": 20.0}
    assert summary["bitrate_out"] == pytest.approx(160_000, rel=0.1)
    assert summary["frames"]["edited"] == 20
    assert meters.latency == pytest.approx(0.1)
    assert ("frames", "edited", 1) in told
    assert percentile([], 0.5) is None


def test_every_outcome_is_counted_under_its_own_word() -> None:
    meters = Meters()
    for kind in OutcomeKind:
        meters.became(Outcome(kind, "why"))
    assert meters.counts == dict.fromkeys(OutcomeKind, 1) | {"received": 0}
    assert meters.summary(1)["passed_why"] == {"why": 1}
    assert set(OutcomeKind) == {"edited", "unchanged", "faded", "passed", "concealed", "dropped"}


def test_every_direction_is_listed_once_and_named_for_people() -> None:
    directions = load_directions()
    choices = list_choices(directions)
    assert sorted(choice.name for choice in choices) == sorted(directions)
    for choice in choices:
        assert choice.low < choice.default < choice.high
        assert choice.label[0].isupper()
        assert choice.group
    groups = [choice.group for choice in choices]
    assert "More" not in groups
    assert sorted(set(groups), key=groups.index) == list(dict.fromkeys(groups))


class HandEngine:
    """Edits when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Frame, Future[Shown]]] = []

    def submit(self, frame: Frame, arrived: float) -> "Future[Shown]":
        future: Future[Shown] = Future()
        self.waiting.append((frame, future))
        return future

    def conceal_missing(self, give: Callable[[Shown], object]) -> None:
        self.give = give

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


async def pumping(story: Callable[[VideoPump, HandEngine, VideoOutlet, Meters], Any], in_flight: int) -> None:
    engine, meters, outlet = HandEngine(), Meters(), VideoOutlet()
    settings = replace(StreamSettings(), edits={"smile": 1.0}, max_latency_ms=60_000.0)
    with ThreadPoolExecutor(1) as executor:
        pump = VideoPump(engine, lambda: settings, meters, executor, largest=(640, 360), in_flight=in_flight)
        pump.outlets.add(outlet)
        pump.start()
        try:
            await story(pump, engine, outlet, meters)
        finally:
            await pump.close()


def test_results_come_out_in_order_though_they_were_not_made_in_order() -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        for number in range(3):
            pump.mailbox.put(video(64, 48, pts=number * 3000))
            await until(lambda: len(engine.waiting) > number)  # noqa: B023
        for frame, future in reversed(engine.waiting):
            future.set_result(Shown(frame, EDITED, 0.0))
        await until(lambda: outlet.mailbox.counts.put == 3)
        assert (await outlet.recv()).pts == max(frame.pts for frame, _ in engine.waiting)

    run(pumping(story, 3))


def test_a_picture_for_a_frame_that_never_came_goes_out_between_its_neighbours() -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        given: list[int] = []
        put = outlet.put
        outlet.put = lambda frame, arrival: (given.append(frame.pts or 0), put(frame, arrival))[1]  # type: ignore[method-assign]
        for number, pts in enumerate((0, 6000)):
            pump.mailbox.put(video(64, 48, pts=pts))
            await until(lambda: len(engine.waiting) > number)  # noqa: B023
        (first, one), (second, other) = engine.waiting
        made = Frame(first.pixels, (first.pts + second.pts) // 2, first.time_base)
        engine.give(Shown(made, CONCEALED, 0.0))
        other.set_result(Shown(second, EDITED, 0.0))
        one.set_result(Shown(first, EDITED, 0.0))
        await until(lambda: len(given) == 3)
        assert given == [first.pts, made.pts, second.pts]
        assert (meters.counts["concealed"], meters.counts["edited"], meters.counts["received"]) == (1, 2, 2)
        engine.give(Shown(made, CONCEALED, 0.0))  # its time has gone by
        pump.mailbox.put(video(64, 48, pts=9000))
        await until(lambda: len(engine.waiting) == 3)  # both slots are free again
        engine.waiting[2][1].set_result(Shown(engine.waiting[2][0], EDITED, 0.0))
        await until(lambda: len(given) == 4)
        assert meters.counts["concealed"] == 1

    run(pumping(story, 2))


def test_frames_that_the_engine_gives_up_or_fails_on_leave_the_rest_alone() -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        def settle(number: int) -> None:
            frame, future = engine.waiting[number]
            if number == 0:
                future.cancel()
                future.set_running_or_notify_cancel()
            elif number == 1:
                future.set_exception(RuntimeError("the model failed"))
            else:
                future.set_result(Shown(frame, EDITED, 0.0))

        for number in range(4):
            pump.mailbox.put(video(64, 48, pts=number * 3000))
            await until(lambda: len(engine.waiting) > number)  # noqa: B023
            settle(number)
        await until(lambda: outlet.mailbox.counts.put == 3)
        counts = meters.counts
        assert (counts["dropped"], counts["passed"], counts["edited"]) == (1, 1, 2)

    run(pumping(story, 1))


def test_one_frame_waits_and_the_others_are_counted() -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        pump.mailbox.put(video(64, 48))
        await until(lambda: len(engine.waiting) == 1)
        for number in range(1, 10):
            pump.mailbox.put(video(64, 48, pts=number * 3000))
        engine.waiting[0][1].set_result(Shown(engine.waiting[0][0], EDITED, 0.0))
        await until(lambda: len(engine.waiting) == 2)
        assert meters.counts["dropped"] == 8
        assert meters.counts["received"] == 10

    run(pumping(story, 1))


def test_closing_does_not_wait_for_the_engine() -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        pump.mailbox.put(video(64, 48))
        await until(lambda: len(engine.waiting) == 1)
        await asyncio.sleep(0)

    run(pumping(story, 2))


@pytest.mark.parametrize("moment", range(6))
def test_a_stream_ends_also_in_the_moment_in_which_a_result_comes(moment: int) -> None:
    async def story(pump: VideoPump, engine: HandEngine, outlet: VideoOutlet, meters: Meters) -> None:
        pump.mailbox.put(video(64, 48))
        await until(lambda: len(engine.waiting) == 1)
        frame, future = engine.waiting[0]
        future.set_result(Shown(frame, EDITED, 0.0))
        for _ in range(moment):
            await asyncio.sleep(0)
        await pump.close()

    run(pumping(story, 1))


@pytest.mark.parametrize("bypass", [False, True])
def test_where_a_portrait_is_moved_the_source_is_never_sent(bypass: bool) -> None:
    async def story() -> None:
        engine, meters, outlet = HandEngine(), Meters(), VideoOutlet()
        settings = replace(StreamSettings(), bypass=bypass, max_latency_ms=60_000.0)
        portrait = np.full((40, 30, 3), 90, np.uint8)
        with ThreadPoolExecutor(1) as executor:
            pump = VideoPump(
                engine, lambda: settings, meters, executor, largest=(640, 360), stand_in=portrait
            )  # fmt: skip
            pump.outlets.add(outlet)
            pump.start()
            try:
                pump.mailbox.put(video(64, 48, pts=0))
                if not bypass:
                    await until(lambda: len(engine.waiting) == 1)
                    engine.waiting[0][1].set_exception(RuntimeError("a model failed"))
                sent = await outlet.recv()
                assert (sent.width, sent.height) == (30, 40)
                assert abs(int(sent.to_ndarray(format="rgb24")[5, 5, 0]) - 90) < 4
            finally:
                await pump.close()

    run(story())
