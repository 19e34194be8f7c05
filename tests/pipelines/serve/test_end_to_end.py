"""Real clients against a real server; each waits for what has to happen, and never for a time."""

import asyncio
import os
import random
import threading

import aioice.ice
import numpy as np
import pytest

from dynstream.pipelines.serve.session import LiveSession
from dynstream.pipelines.serve.settings import Limits
from dynstream.pipelines.serve.stub_engine import StubEngine
from dynstream.stream.frame import Pixels
from dynstream.stream.webrtc.client import LiveClient
from dynstream.stream.webrtc.lossy import LossyLine
from dynstream.stream.webrtc.private import get_private

from .live import PATIENCE, SMALL, Lab, Talk, client, grey, lab, run, until


def brightness(one: LiveClient) -> float:
    """Of the middle of the last picture."""
    picture = one.received.last_picture
    return 0.0 if picture is None else float(picture[40:60, 40:60].mean())


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_page_connects_edits_and_leaves(codec: str) -> None:
    async def story() -> None:
        async with lab() as world, client(sound=True, channel="dynstream", codec=codec, keep_picture=True) as one:
            talk = Talk(one)
            answer = await world.join(one, settings={"stamp": True})
            assert answer["resumed"] is False
            await talk.opened()
            hello = await talk.ask(type="hello", versions=[1, 7], id="a")
            assert (hello["type"], hello["id"], hello["version"]) == ("ok", "a", 1)
            assert {edit["name"] for edit in hello["edits"]} == {"smile", "age"}
            await one.until(lambda _: abs(brightness(one) - 100) < 8, PATIENCE)
            state = (await talk.ask(type="set", edits={"smile": 99.0}, id=2))["state"]
            assert state["edits"] == {"smile": 3.0}
            await one.until(lambda _: brightness(one) > 150, PATIENCE)
            await talk.ask(type="bypass", on=True)
            await one.until(lambda _: brightness(one) < 110, PATIENCE)
            await talk.ask(type="bypass", on=False)
            await one.until(lambda _: brightness(one) > 150, PATIENCE)
            await one.until(lambda _: any(seen.number is not None for seen in one.received.frames), PATIENCE)
            await one.until(lambda _: len(one.received.beeps) >= 1, PATIENCE)
            await talk.ask(type="stats", every_ms=200)
            stats = await talk.push("stats")
            assert stats["frames"]["edited"] > 0
            assert stats["sound_delay_ms"] > 0
            assert (await talk.ask(type="bye"))["type"] == "ok"
            await until(lambda: not world.sessions.by_name)

    run(story())


def test_a_lost_connection_is_taken_up_again_with_its_edits() -> None:
    async def story() -> None:
        async with lab() as world:
            async with client(channel="dynstream", keep_picture=True) as first:
                talk = Talk(first)
                answer = await world.join(first)
                await talk.opened()
                await talk.ask(type="set", edits={"smile": 2.0})
                await first.until(lambda _: brightness(first) > 130, PATIENCE)
            session = world.sessions.find(answer["session"])
            await until(lambda: session.state == "lost")
            before = session.meters.counts["received"]
            async with client(channel="dynstream", keep_picture=True) as second:
                again = await world.join(second, resume=answer["resume"])
                assert again["resumed"] is True
                assert again["session"] == answer["session"]
                assert again["resume"] != answer["resume"]
                await second.until(lambda _: brightness(second) > 130, PATIENCE)
                await until(lambda: session.meters.counts["received"] > before)
                async with client() as third:  # the old token is void now
                    assert (await world.join(third, resume=answer["resume"]))["resumed"] is False

    run(story())


def test_a_client_may_come_back_before_the_server_knows_that_it_is_gone() -> None:
    async def story() -> None:
        async with lab() as world, client() as first, client() as second:
            answer = await world.join(first)
            await first.until(lambda one: bool(one.received.frames), PATIENCE)
            assert (await world.join(second, resume=answer["resume"]))["resumed"] is True
            await second.until(lambda one: bool(one.received.frames), PATIENCE)
            assert len(world.sessions.by_name) == 1

    run(story())


def test_whip_publishes_whep_watches_and_both_end() -> None:
    async def story() -> None:
        async with lab() as world, client(receive=False, sound=True) as camera, client(None, sound=True) as viewer:
            headers: dict[str, dict[str, str]] = {}

            async def signal(kind: str, offer: str) -> str:
                path, how = f"/{kind}/stage", {"data": offer, "headers": {"Content-Type": "application/sdp"}}
                status, headers[kind], answer = await world.post(path, **how)
                assert status == 201, answer
                return str(answer)

            await camera.connect(lambda offer: signal("whip", offer))
            await viewer.connect(lambda offer: signal("whep", offer))
            await viewer.until(lambda one: len(one.received.frames) > 5, PATIENCE)
            control = "/api/sessions/stage/control"
            _, _, reply = await world.post(control, json={"type": "set", "edits": {"age": 1}})
            assert reply["state"]["edits"] == {"age": 1.0}
            for kind in ("whip", "whep"):
                assert headers[kind]["Location"].startswith(f"/{kind}/stage/")
                assert headers[kind]["ETag"].startswith('"')
            assert (await world.request("DELETE", headers["whep"]["Location"]))[0] == 200
            assert len(world.sessions.find("stage").viewers) == 0
            assert (await world.request("DELETE", headers["whip"]["Location"]))[0] == 200
            assert not world.sessions.by_name
            assert (await world.request("DELETE", headers["whip"]["Location"]))[0] == 404

    run(story())


def test_a_viewer_who_never_reads_and_one_who_vanishes_harm_nobody() -> None:
    async def story() -> None:
        async with lab() as world, client() as one:
            answer = await world.join(one)
            name = answer["session"]
            key = world.sessions.find(name).share(True)

            async def signal(offer: str) -> str:
                how = {
                    "data": offer,
                    "headers": {"Content-Type": "application/sdp", "Authorization": f"Bearer {key}"},
                }
                status, _, text = await world.post(f"/whep/{name}", **how)
                assert status == 201
                return str(text)

            async with client(None) as lazy:
                await lazy.connect(signal)
                for reader in lazy._readers:
                    reader.cancel()
                count = len(one.received.frames)
                await one.until(lambda _: len(one.received.frames) > count + 10, PATIENCE)
            await until(lambda: not world.sessions.find(name).viewers)
            count = len(one.received.frames)
            await one.until(lambda _: len(one.received.frames) > count + 5, PATIENCE)

    run(story())


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_the_size_may_change_in_the_stream_and_be_odd_or_too_large(codec: str) -> None:
    odd = (161, 97) if codec == "VP8" else (162, 98)  # x264 itself refuses odd sides
    sizes = [SMALL, (320, 180), odd, (400, 300)]

    def draw(number: int) -> Pixels:
        return grey(number, sizes[number // 12 % len(sizes)])

    async def story() -> None:
        async with lab(max_size=(320, 240)) as world, client(draw, codec=codec) as one:
            await world.join(one, settings={"stamp": True})
            wanted = {(160, 96), (320, 180), (320, 240)}
            await one.until(lambda _: wanted <= {seen.size for seen in one.received.frames}, PATIENCE)

    run(story())


def test_a_slow_engine_drops_frames_and_keeps_the_rest_young() -> None:
    async def story() -> None:
        gate = asyncio.Event()
        async with lab(StubEngine(0.15)) as world, client(rate=30.0) as one:
            answer = await world.join(one, settings={"stamp": True, "max_latency_ms": 5000})
            session = world.sessions.find(answer["session"])
            await until(lambda: session.meters.counts["dropped"] > 30 and session.meters.counts["unchanged"] > 10)
            waiting = session.video.mailbox.counts
            assert waiting.put - waiting.taken - waiting.dropped <= 1
            gate.set()

    run(story())


def test_an_engine_that_hangs_shows_the_source() -> None:
    async def story() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hang(_seconds: float) -> None:
            asyncio.run_coroutine_threadsafe(stopped.wait(), loop).result()

        async with lab(StubEngine(1.0, wait=hang)) as world, client() as one:
            answer = await world.join(one, settings={"max_latency_ms": 50, "edits": {"smile": 1}})
            session = world.sessions.find(answer["session"])
            await until(lambda: session.meters.counts["passed"] >= 3)
            assert session.video.late_share > 0
            await one.until(lambda _: len(one.received.frames) >= 2, PATIENCE)
            stopped.set()
            await until(lambda: session.meters.counts["edited"] >= 1)

    run(story())


def test_one_session_more_is_refused_and_the_others_go_on() -> None:
    async def story() -> None:
        async with lab(limits=Limits(sessions=1)) as world, client() as one, client() as two:
            await world.join(one)
            await one.until(lambda _: bool(one.received.frames), PATIENCE)
            with pytest.raises(AssertionError, match="503"):
                await world.join(two)
            count = len(one.received.frames)
            await one.until(lambda _: len(one.received.frames) > count + 5, PATIENCE)

    run(story())


def test_garbage_and_floods_on_the_channel_leave_the_stream_alone() -> None:
    async def story() -> None:
        limits = Limits(message_bytes=1000, messages_per_second=5)
        async with lab(limits=limits) as world, client(channel="dynstream") as one:
            talk = Talk(one)
            await world.join(one)
            await talk.opened()
            assert (await talk.raw(b"\xc1\xff"))["error"] == "bad_message"
            assert (await talk.raw("text"))["error"] == "bad_message"
            assert (await talk.raw(b"x" * 1001))["error"] == "too_large"
            assert (await talk.ask(type="dance"))["error"] == "unknown_type"
            assert (await talk.ask(type="set", edits={"smlie": 1}))["error"] == "unknown_edit"
            assert (await talk.ask(type="ping", t=5, extra="ignored"))["t"] == 5
            closed = asyncio.Event()
            talk.channel.on("close", closed.set)
            sent = 0
            while talk.channel.readyState == "open":
                talk.channel.send(b"\x80")
                sent += 1
                if sent % 20 == 0:  # no faster than the association carries it
                    await until(lambda: not talk.channel.bufferedAmount or talk.channel.readyState != "open")
            await asyncio.wait_for(closed.wait(), PATIENCE)
            count = len(one.received.frames)
            await one.until(lambda _: len(one.received.frames) > count + 5, PATIENCE)

    run(story())


async def vanish(one: LiveClient) -> None:
    """The client's sockets go, as if its machine were switched off: nothing is said to the server any more."""
    for transport in get_private(one.connection, "iceTransports"):
        for protocol in transport.iceGatherer._connection._protocols:
            protocol.transport.sendto = lambda *_: None
            protocol.transport.abort()


POOLS = ("asyncio_", "convert", "encode", "warm-up", "engine-", "ThreadPoolExecutor-")


def held() -> tuple[int, int]:
    """(threads, open files) of this process. Pools grow to their size as they are needed, which says nothing."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith(POOLS)]
    return len(threads), len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
def test_a_client_that_vanishes_is_missed_waited_for_and_then_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)

    async def visit(world: Lab) -> LiveSession:
        async with client(channel="dynstream", sound=True) as one:
            answer = await world.join(one)
            await one.until(lambda one: bool(one.received.frames), PATIENCE)
            session: LiveSession = world.sessions.find(answer["session"])
            await vanish(one)
            await until(lambda: session.state == "lost")
            assert (session.peer, session._readers) == (None, [])
            assert not session.ended.is_set()
        return session

    async def story() -> None:
        async with lab() as world:
            for number in range(3):
                session = await visit(world)
                session._lost_since = -1e9  # the grace time is over
                await until(session.ended.is_set)
                await until(lambda: not world.sessions.by_name)
                tasks = len(asyncio.all_tasks())
                if number == 0:  # executors and sockets that stay
                    before = (tasks, *held())
            await until(lambda: all(now <= then for now, then in zip(held(), before[1:], strict=True)))
            await until(lambda: len(asyncio.all_tasks()) <= before[0])

    run(story())


def test_everything_is_given_back() -> None:
    async def story() -> None:
        before = set(asyncio.all_tasks())
        async with lab() as world:
            for number in range(3):
                async with client(channel="dynstream", sound=True) as one:
                    answer = await world.join(one)
                    await one.until(lambda one: bool(one.received.frames), PATIENCE)
                if number % 2:
                    await world.request("DELETE", f"/api/sessions/{answer['session']}")
        await until(lambda: not set(asyncio.all_tasks()) - before)
        assert not world.sessions.by_name

    run(story())


def test_the_mark_is_on_what_is_edited_and_not_on_the_source() -> None:
    def draw(number: int) -> Pixels:
        return np.full((360, 640, 3), 100, np.uint8)

    def mark(one: LiveClient) -> float:
        picture = one.received.last_picture
        return 0.0 if picture is None else float(picture[330:352, 580:632].std())

    async def story() -> None:
        async with lab() as world, client(draw, channel="dynstream", keep_picture=True, rate=10.0) as one:
            talk = Talk(one)
            await world.join(one)
            await talk.opened()
            await one.until(lambda _: one.received.last_picture is not None, PATIENCE)
            assert mark(one) < 5, "nobody has edited this picture"
            await talk.ask(type="set", edits={"smile": 1.0})
            await one.until(lambda _: mark(one) > 20, PATIENCE)
            await talk.ask(type="bypass", on=True)
            await one.until(lambda _: mark(one) < 5, PATIENCE)
            await talk.ask(type="bypass", on=False)
            await one.until(lambda _: mark(one) > 20, PATIENCE)
            await talk.ask(type="set", edits={"smile": 0.0})
            await one.until(lambda _: mark(one) < 5, PATIENCE)

    run(story())


def test_pictures_go_on_over_a_line_that_loses_and_delays() -> None:
    async def story() -> None:
        async with lab() as world, client(sound=True, rate=20.0) as one:
            await world.join(one, settings={"stamp": True})
            await one.until(lambda _: bool(one.received.frames), PATIENCE)
            line = LossyLine(one.connection, 0.05, 0.03, random.Random(2))
            try:
                count = len(one.received.frames)
                await one.until(lambda _: len(one.received.frames) > count + 40, PATIENCE)
                assert line.lost > 0
            finally:
                line.close()

    run(story())
