"""Who is let in and who has to go, by a clock that the test sets."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from dynstream.pipelines.serve.control_messages import Controller
from dynstream.pipelines.serve.engine_interface import NotAvailableError
from dynstream.pipelines.serve.http_errors import RefusalError
from dynstream.pipelines.serve.rights import ALL, WATCH, Caller
from dynstream.pipelines.serve.session import BYPASS_SECONDS, LiveSession
from dynstream.pipelines.serve.sessions import Sessions
from dynstream.pipelines.serve.settings import Limits, ServeSettings
from dynstream.pipelines.serve.sound_pump import SoundPump
from dynstream.pipelines.serve.stub_engine import StubEngine, StubSession

from .live import run

LIMITS = Limits(sessions=3, per_address=2, grace_seconds=30, idle_seconds=60, max_seconds=600)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def house(limits: Limits = LIMITS) -> AsyncIterator[tuple[Sessions, Clock]]:
    engine, clock = StubEngine(), Clock()
    engine.warm_up()
    with ThreadPoolExecutor(1) as executor:
        sessions = Sessions(engine, ServeSettings(limits=limits), executor, clock=clock)
        try:
            yield sessions, clock
        finally:
            await sessions.close()
            engine.close()


async def enter(sessions: Sessions, address: str = "a", name: str | None = None) -> LiveSession:
    return await sessions.open(address, "page", sessions.defaults(), name)


def test_there_is_room_for_so_many_and_no_more() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            first = await enter(sessions, "a")
            await enter(sessions, "a")
            with pytest.raises(RefusalError) as caught:
                await enter(sessions, "a")
            assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "5"})
            await enter(sessions, "b")
            with pytest.raises(RefusalError) as caught:
                await enter(sessions, "c")
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "5"})
            await sessions.end(first, "test")
            await enter(sessions, "c")

    run(story())


def test_many_at_the_door_at_once_are_still_counted() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            came = await asyncio.gather(*(enter(sessions, str(number)) for number in range(9)), return_exceptions=True)
            assert sum(isinstance(one, LiveSession) for one in came) == LIMITS.sessions
            twins = await asyncio.gather(*(enter(sessions, "x", "same") for _ in range(2)), return_exceptions=True)
            assert all(isinstance(one, RefusalError) for one in twins)

    run(story())


def test_a_name_is_taken_once() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            twins = await asyncio.gather(*(enter(sessions, "x", "same") for _ in range(2)), return_exceptions=True)
            assert sorted(type(one).__name__ for one in twins) == ["LiveSession", "RefusalError"]

    run(story())


def test_a_lost_session_is_kept_for_its_grace_time() -> None:
    async def story() -> None:
        async with house() as (sessions, clock):
            session = await enter(sessions)
            token = session.renew_token()
            clock.now += LIMITS.connect_seconds - 1  # being answered is not being lost
            await sessions.sweep()
            assert session.state == "connecting"
            session._lost_since, session._was_connected = clock.now, True
            assert session.state == "lost"
            clock.now += 29
            await sessions.sweep()
            assert sessions.resume(token) is session
            assert sessions.resume("") is None
            assert sessions.resume(token + "x") is None
            clock.now += 2
            await sessions.sweep()
            assert sessions.resume(token) is None
            assert session.ended.is_set()

    run(story())


def test_silence_and_age_end_a_session() -> None:
    async def story() -> None:
        async with house() as (sessions, clock):
            session = await enter(sessions)
            session._connecting_since = None
            notices: list[str] = []
            session.notices.add(lambda name, message, more: notices.append(name))
            clock.now += 59
            assert session.why_over() is None
            clock.now += 2
            assert "no picture" in (session.why_over() or "")
            session.apply(replace(session.settings, paused=True))
            assert session.why_over() is None
            clock.now += 500
            assert session.why_over() is None
            assert notices == ["ending"]
            clock.now += 60
            assert "maximum time" in (session.why_over() or "")
            session._connecting_since = clock.now - LIMITS.connect_seconds - 1
            assert "no connection" in (session.why_over() or "")

    run(story())


def test_bypass_ends_by_itself() -> None:
    async def story() -> None:
        async with house() as (sessions, clock):
            session = await enter(sessions)
            session.apply(replace(session.settings, bypass=True))
            clock.now += BYPASS_SECONDS - 0.1
            assert session.current_settings().bypass
            clock.now += 0.2
            assert not session.current_settings().bypass

    run(story())


def test_faces_are_told_when_they_go_and_come() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            session = await enter(sessions)
            notices: list[str] = []
            session.notices.add(lambda name, message, more: notices.append(name))
            for seen in (True, True, False, False, True):
                session.video.face_seen = seen
                session.look_for_faces()
            assert notices == ["no_face", "face"]

    run(story())


def test_a_face_that_is_chosen_by_its_place_stays_chosen_until_another_choice() -> None:
    asked: list[object] = []

    class Edit(StubSession):
        def choose_face(self, x: float, y: float) -> None:
            asked.append((x, y))

        def configure(self, *, mode: str, faces: str, max_latency_ms: float) -> None:
            asked.append(faces)

    async def story() -> None:
        async with house() as (sessions, _):
            session = await enter(sessions)
            with pytest.raises(NotAvailableError):
                session.choose_face(0.5, 0.5)
            assert session.settings.faces == "largest"
            assert isinstance(session._edit, StubSession)
            session._edit.__class__ = Edit
            control = Controller(session, {})
            assert control.answer({"type": "faces", "at": [0.25, 1]})["state"]["faces"] == "chosen"
            assert control.answer({"type": "pause", "on": True})["state"]["faces"] == "chosen"
            assert control.answer({"type": "faces", "faces": 2})["state"]["faces"] == "2"
            assert asked == [(0.25, 1.0), "chosen", "2"]

    run(story())


def test_an_overload_is_told_once_and_its_end_too() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            session = await enter(sessions)
            notices: list[str] = []
            session.notices.add(lambda name, message, more: notices.append(name))
            for share in (0.0, 0.4, 0.6, 0.9, 0.3, 0.05, 0.4, 0.0):
                session.video.late_share = share
                session.look_for_load()
            assert notices == ["overloaded", "relieved"]

    run(story())


def test_the_stream_to_watch() -> None:
    everybody = Caller(rights=ALL)

    async def story() -> None:
        async with house() as (sessions, _):
            with pytest.raises(RefusalError, match="0 streams"):
                sessions.stream(None, everybody)
            stage = await sessions.open("a", "whip", sessions.defaults(), "stage")
            assert sessions.stream(None, everybody) == (stage, False)
            assert sessions.stream("stage", everybody) == (stage, False)
            await sessions.open("a", "whip", sessions.defaults(), "other")
            with pytest.raises(RefusalError, match="2 streams"):
                sessions.stream(None, everybody)
            one = Caller("x", frozenset({WATCH}), ("st*",))
            assert sessions.stream(None, one) == (stage, False)
            with pytest.raises(RefusalError, match="not the right to watch"):
                sessions.stream("other", one)
            for who in (Caller(), Caller("x", frozenset({"publish"}))):
                with pytest.raises(RefusalError):
                    sessions.stream("stage", who)

    run(story())


def test_a_pages_stream_is_watched_by_its_share_link_alone_until_that_is_taken_back() -> None:
    async def story() -> None:
        async with house() as (sessions, _):
            page = await enter(sessions)
            name = page.place.name
            for secret in ("", "guess"):
                with pytest.raises(RefusalError, match="nobody publishes"):
                    sessions.stream(name, Caller(secret, ALL))
            key = page.share(True)
            assert key is not None
            assert page.share(True) == key
            assert page.as_dict()["shared"] is True
            assert sessions.stream(name, Caller(key)) == (page, True)
            assert sessions.is_share_key(key)
            assert page.share(False) is None
            with pytest.raises(RefusalError, match="a token is needed"):
                sessions.stream(name, Caller(key))
            assert not sessions.is_share_key(key)
            assert page.share(True) != key

    run(story())


def test_sound_follows_the_picture_within_45_ms() -> None:
    clock, latency, paused = Clock(), [0.1], [False]
    pump = SoundPump(lambda: latency[0], lambda: paused[0], clock)

    class Ear:
        def __init__(self) -> None:
            self.blocks: list[int] = []

        def put(self, block: np.ndarray) -> None:  # type: ignore[type-arg]
            self.blocks.append(int(np.abs(block).max()))

    ear = Ear()
    pump.outlets.add(ear)  # type: ignore[arg-type]
    tone = np.full((960, 2), 1000, np.int16)
    for number in range(1500):  # 30 s in which the picture takes longer and longer
        clock.now += 0.02
        latency[0] = 0.1 + 0.2 * min(1.0, number / 1000)
        pump.take(tone, number * 960, clock.now - 0.03)
        if number > 50:
            assert pump.seconds is not None
            assert abs(pump.seconds + 0.03 - latency[0]) < 0.045
    assert len(ear.blocks) == 1500
    paused[0] = True
    pump.take(tone, 1500 * 960, clock.now)
    assert ear.blocks[-1] == 0
