"""A track between two of aiortc's: edited, with the source's times, no queue, and an end for all that may end it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from fractions import Fraction
from typing import Any, TypeVar

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError, VideoStreamTrack

import dynstream
from dynstream.aiortc import EditedVideoTrack
from dynstream.pipelines.editor.renderer import Renderer
from dynstream.pipelines.edits.text import TableOnly, TextReader
from dynstream.pipelines.engine import load as load_module
from dynstream.pipelines.engine.engine import Engine
from dynstream.pipelines.engine.load import editors
from dynstream.stream.frame import Pixels

from ..fakes import LevelEncoder, LevelGenerator, OvalBackend, scene

pytestmark = pytest.mark.usefixtures("asked")

T = TypeVar("T")
SECONDS = 120.0
"""Long enough for any machine; nothing waits that long unless it is stuck."""

FACE = (slice(50, 80), slice(88, 112))
MS = Fraction(1, 1000)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, SECONDS))


def video(pixels: Pixels, pts: int, base: Fraction = MS, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
    frame.pts, frame.time_base = pts, base
    return frame


class Source(MediaStreamTrack):
    """Frames of a list, each when the test says so; then the end, if `ends`."""

    kind = "video"

    def __init__(self, frames: list[av.VideoFrame], *, ends: bool = True) -> None:
        super().__init__()
        self.frames, self.ends, self.read = list(frames), ends, 0
        self.allowed = asyncio.Semaphore(0)

    async def recv(self) -> Any:
        await self.allowed.acquire()
        if not self.frames:
            if not self.ends:
                await asyncio.Event().wait()
            raise MediaStreamError
        self.read += 1
        return self.frames.pop(0)

    def allow(self, number: int = 1) -> None:
        for _ in range(number):
            self.allowed.release()


class Slow(Renderer):
    """Draws when the test says so; fails where it says that."""

    def __init__(self) -> None:
        super().__init__(LevelEncoder(), LevelGenerator())  # type: ignore[arg-type]
        self.go_on, self.begun, self.fails = threading.Event(), threading.Event(), False
        self.go_on.set()

    def render(self, *arguments: Any, **options: Any) -> Any:
        self.begun.set()
        self.go_on.wait(SECONDS)
        if self.fails:
            raise ZeroDivisionError("a model has failed")
        return super().render(*arguments, **options)


@pytest.fixture
def renderer() -> Slow:
    return Slow()


@pytest.fixture
def engine(renderer: Slow) -> Iterator[Engine]:
    # The clock stands still: nothing is ever late.
    with Engine(renderer, editors(renderer, OvalBackend, None), clock=lambda: 0.0) as engine:
        yield engine


def clip(count: int, pix_fmt: str = "yuv420p") -> list[av.VideoFrame]:
    return [video(scene((90 + i % 10, 60)), 1000 + 40 * i, pix_fmt=pix_fmt) for i in range(count)]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "rgb24"])
def test_every_frame_is_edited_at_its_own_time(pix_fmt: str, engine: Engine) -> None:
    frames = clip(4, pix_fmt)

    async def work() -> list[Any]:
        source = Source(frames)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        results = []
        for _ in frames:
            source.allow()
            results.append(await track.recv())
        source.allow()
        with pytest.raises(MediaStreamError):
            await track.recv()
        assert (track.readyState, track.error) == ("ended", None)
        assert track.stats()["outcomes"] == {"edited": 4}
        return results

    for came, result in zip(frames, run(work()), strict=True):
        assert (result.pts, result.time_base) == (came.pts, MS)
        assert (result.format.name, result.width, result.height) == (pix_fmt, 200, 160)
        before, after = came.to_ndarray(format="rgb24").astype(int), result.to_ndarray(format="rgb24").astype(int)
        assert after[FACE].mean() > before[FACE].mean() + 5
        assert np.abs(after - before)[:30, :30].mean() < 2


def test_edits_in_words(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TextReader(TableOnly(), {"smile": (-2.0, 3.0), "age": (-2.0, 2.0)})
    monkeypatch.setattr("dynstream.pipelines.edits.text.load_text_reader", lambda *_: reader)
    track = EditedVideoTrack(Source([]), {"age": 1}, text="older, with a big smile", engine=engine)
    assert {spec.name: spec.start > 0 for spec in track._spec.edits.specs} == {"smile": True, "age": True}
    assert next(spec.start for spec in track._spec.edits.specs if spec.name == "age") == 1
    track.stop()


def test_a_frame_that_is_not_edited_is_the_one_that_came(engine: Engine) -> None:
    frame = video(scene(None), 7)

    async def work() -> Any:
        source = Source([frame])
        source.allow()
        return await EditedVideoTrack(source, {"smile": 1}, engine=engine).recv()

    assert run(work()) is frame


def test_nothing_queues_and_the_newest_wins(engine: Engine, renderer: Slow) -> None:
    async def work() -> None:
        source = Source(clip(40), ends=False)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        renderer.go_on.clear()
        waiting = asyncio.ensure_future(track.recv())
        source.allow()
        await asyncio.to_thread(renderer.begun.wait, SECONDS)
        source.allow(39)
        while source.frames:  # all are read while the first is still being drawn
            await asyncio.sleep(0.001)
        renderer.go_on.set()
        first = await waiting
        assert first.pts == 1000
        got = []
        while not got or got[-1] < 1000 + 40 * 39:
            got.append((await track.recv()).pts)
        assert got == sorted(set(got))
        assert len(got) < 20
        track.stop()

    run(work())


def test_whoever_reads_seldom_gets_the_newest(engine: Engine) -> None:
    async def work() -> None:
        source = Source(clip(5), ends=False)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        source.allow()
        assert (await track.recv()).pts == 1000
        for number in range(1, 5):
            source.allow()
            while track._outbox.counts.put <= number:
                await asyncio.sleep(0.001)
        assert (await track.recv()).pts == 1160
        assert track.stats()["left_out"] == 3
        track.stop()

    run(work())


def test_the_size_changes_midway(engine: Engine) -> None:
    frames = [video(scene(), 0), video(scene(size=(240, 180)), 40), video(scene(size=(201, 161)), 80)]

    async def work() -> list[tuple[int, int]]:
        source = Source(frames)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        sizes = []
        for _ in frames:
            source.allow()
            result = await track.recv()
            sizes.append((result.width, result.height))
        track.stop()
        return sizes

    assert run(work()) == [(200, 160), (240, 180), (201, 161)]


def test_edits_change_while_it_runs(engine: Engine) -> None:
    async def work() -> None:
        source = Source(clip(2))
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        with pytest.raises(dynstream.EditError, match="did you mean 'smile'"):
            track.set({"smlie": 1})
        track.set({"smile": 0}, ramp_ms=0)
        source.allow()
        assert (await track.recv()).pts == 1000
        assert track.stats()["outcomes"] == {"unchanged: no edit at this time": 1}
        track.set({"smile": 2}, ramp_ms=0)
        source.allow()
        await track.recv()
        assert track.stats()["outcomes"]["edited"] == 1
        track.stop()
        track.set({"smile": 1})  # after the end, and no harm

    run(work())


def test_stopping_lets_go_and_leaves_the_source_unread(engine: Engine) -> None:
    async def work() -> None:
        source = Source(clip(3), ends=False)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        source.allow()
        await track.recv()
        waiting = asyncio.ensure_future(track.recv())
        await asyncio.sleep(0)
        track.stop()
        track.stop()
        for wait in (waiting, track.recv()):
            with pytest.raises(MediaStreamError):
                await wait
        source.allow()
        assert (await source.recv()).pts == 1040
        assert source.readyState == "live"
        while engine.stats()["sessions"]:
            await asyncio.sleep(0.001)

    run(work())


def test_one_that_was_never_read_lets_go(engine: Engine) -> None:
    async def work() -> None:
        track = EditedVideoTrack(Source([]), {"smile": 1}, engine=engine)
        track.stop()
        with pytest.raises(MediaStreamError):
            await track.recv()
        assert not engine.stats()["sessions"]

    run(work())


def test_a_model_that_fails_ends_it_with_the_error(
    engine: Engine, renderer: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        renderer.fails = True
        source = Source(clip(3), ends=False)
        track = EditedVideoTrack(source, {"smile": 1}, engine=engine)
        source.allow(3)
        with pytest.raises(MediaStreamError) as ended:
            await track.recv()
        assert isinstance(track.error, ZeroDivisionError)
        assert ended.value.__cause__ is track.error
        assert track.readyState == "ended"

    run(work())
    assert "an edited track has ended: a model has failed" in caplog.text


def test_an_engine_of_its_own_is_loaded_in_a_thread_and_ended(renderer: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[Engine, threading.Thread]] = []

    def load_engine(_zoo: object, _models: object) -> Engine:
        loaded.append((Engine(renderer, editors(renderer, OvalBackend, None)), threading.current_thread()))
        return loaded[0][0]

    monkeypatch.setattr(load_module, "load_engine", load_engine)

    async def work() -> None:
        source = Source(clip(1))
        track = EditedVideoTrack(source, {"smile": 1}, max_latency_ms=60_000)
        track.set({"smile": 0.5}, ramp_ms=0)
        assert loaded == []
        source.allow(2)
        assert (await track.recv()).pts == 1000
        with pytest.raises(MediaStreamError):
            await track.recv()
        assert track.stats()["outcomes"] == {"edited": 1}

    run(work())
    ((engine, thread),) = loaded
    assert thread is not threading.main_thread()
    thread.join(SECONDS)
    with pytest.raises(dynstream.DynstreamError, match="closed"):
        engine.open(load_module.SessionSpec(edits=dynstream.load_editor({"smile": 1})._faces.edits))


def test_an_engine_that_cannot_be_loaded_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load_engine(_zoo: object, _models: object) -> Engine:
        raise dynstream.WeightsError("there are no weights")

    monkeypatch.setattr(load_module, "load_engine", load_engine)

    async def work() -> None:
        track = EditedVideoTrack(Source(clip(1)), {"smile": 1})
        with pytest.raises(MediaStreamError):
            await track.recv()
        assert isinstance(track.error, dynstream.WeightsError)

    run(work())
    assert "there are no weights" in caplog.text


class Sound(MediaStreamTrack):
    kind = "audio"

    async def recv(self) -> Any:
        raise MediaStreamError


def test_what_is_refused(engine: Engine) -> None:
    with pytest.raises(dynstream.PipelineError, match="expected a track of video, got one of audio"):
        EditedVideoTrack(Sound(), {"smile": 1}, engine=engine)
    for edits, options in (({"smlie": 1}, {}), ("smile=2", {}), ({"smile": 1}, {"mode": "paste"}),
                           ({"smile": 1}, {"faces": "none"}), ({"smile": 1}, {"max_latency_ms": 0})):  # fmt: skip
        with pytest.raises(dynstream.DynstreamError):
            EditedVideoTrack(VideoStreamTrack(), edits, engine=engine, **options)  # type: ignore[arg-type]
    assert not engine.stats()["sessions"]


class Moving(VideoStreamTrack):
    """A face that moves, thirty times a second."""

    number = 0

    async def recv(self) -> Any:
        pts, base = await self.next_timestamp()
        self.number += 1
        return video(scene((90 + self.number % 10, 60)), pts, base)


def test_between_two_peers(engine: Engine) -> None:
    async def work() -> None:
        sender, receiver = RTCPeerConnection(), RTCPeerConnection()
        came: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        receiver.on("track", came.set_result)
        track = EditedVideoTrack(MediaRelay().subscribe(Moving()), {"smile": 2}, engine=engine)
        sender.addTrack(track)
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        shown: Any = await (await came).recv()
        assert (shown.width, shown.height) == (200, 160)
        plain = scene((95, 60))[FACE].mean()
        assert shown.to_ndarray(format="rgb24")[FACE].mean() > plain + 10
        await sender.close()
        await receiver.close()
        assert track.readyState == "ended"

    run(work())
