"""A server in operation: what it holds, its log, its certificate, its path, one port, and the way it ends."""

import asyncio
import io
import json
import logging
import os
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynstream.pipelines.common.outcome import EDITED, Outcome, OutcomeKind
from dynstream.pipelines.engine.result_queue import Shown
from dynstream.pipelines.serve import capacity as capacity_module
from dynstream.pipelines.serve.capacity import Capacity, measure
from dynstream.pipelines.serve.certificate import Certificate
from dynstream.pipelines.serve.engine_interface import NoRoomError
from dynstream.pipelines.serve.held_rate import LEAST_RATE, HeldRate
from dynstream.pipelines.serve.logs import BURST, REQUEST, SESSION, Context, JsonLines, RateLimit, TextLines
from dynstream.pipelines.serve.options import read_config, read_size
from dynstream.pipelines.serve.rights import Token
from dynstream.pipelines.serve.server import describe
from dynstream.pipelines.serve.settings import Limits
from dynstream.pipelines.serve.settings_error import ServeSettingsError
from dynstream.pipelines.serve.stub_engine import STUB_CHOICES
from dynstream.stream.frame import Frame

from .live import Talk, client, lab, run, until
from .rolling import free_ports
from .test_http import SDP, TOKEN, certificate, error_of, make_offer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def feed(held: HeldRate, clock: Clock, seconds: float, late: bool) -> None:
    """Frames at the rate that is held, all late or all in time."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 1 / held.rate
        held.note(late, held.rate)


def test_the_rate_falls_before_most_frames_are_late_and_rises_again_with_care() -> None:
    clock = Clock()
    held = HeldRate(lambda: 30.0, clock)
    feed(held, clock, 5, late=False)
    assert held.rate == 30
    feed(held, clock, 2, late=True)
    first = held.rate
    assert 15 < first < 30
    feed(held, clock, 60, late=True)
    assert held.rate == LEAST_RATE
    feed(held, clock, 20, late=False)
    once = held.rate
    assert LEAST_RATE < once < first
    feed(held, clock, 3, late=True)  # that was too much
    low = held.rate
    assert low < once
    feed(held, clock, 12, late=False)
    assert held.rate == low, "it waits longer after a rise that failed"
    feed(held, clock, 300, late=False)
    assert held.rate == 30


def test_others_that_come_take_their_share_of_the_rate() -> None:
    shares = [30.0]
    held = HeldRate(lambda: shares[0], Clock())
    shares[0] = 12.0
    assert held.rate == 12


@pytest.mark.parametrize(("coming", "asked", "taken"), [(30, 30, 30), (30, 10, 11), (10, 10, 10), (60, 30, 33)])
def test_frames_above_the_rate_are_left_out_evenly(coming: int, asked: int, taken: int) -> None:
    held = HeldRate(lambda: float(asked), Clock())
    times = [number / coming for number in range(10 * coming)]
    kept = [when for when in times if held.takes(when)]
    assert len(kept) == pytest.approx(10 * taken, rel=0.03)
    steps = [after - before for before, after in pairwise(kept)]
    assert max(steps) < 2.2 / min(asked, coming)


def test_what_the_device_holds() -> None:
    slow, quick = Capacity(15.0), Capacity(200.0)
    assert (slow.streams(8), slow.rate(1, 30), slow.rate(2, 30)) == (1, 12, 6)
    assert (quick.streams(8), quick.rate(8, 30), quick.rate(1, 30)) == (8, 20, 30)
    assert describe(slow, 8, 30) == (
        "Holds 1 edited stream of 640x360 at 12 frames/s; "
        "--max-sessions 8 is more than this device takes, 1 is the limit"
    )
    assert describe(quick, 8, 30) == "Holds 8 edited streams of 640x360 at 20 frames/s"


class _Timed:
    """An engine on a clock of its own, which moves as the measurement pauses: it has shown nothing edited before
    `first` seconds, then it edits `pictures` a second; what comes sooner passes at once.
    """

    choices = STUB_CHOICES
    in_flight = 8

    def __init__(self, pictures: float, first: float = 0.0, room: int = 100) -> None:
        self.now = 100.0
        self.opened = self.closed = 0
        self.room = room
        self._first, self._each, self._free = 100.0 + first, 1 / pictures, 100.0
        self._coming: list[tuple[float, Future[Shown], Shown]] = []

    def open(self) -> Any:
        if self.opened - self.closed >= self.room:
            raise NoRoomError("finding faces would take 105 % of the time")
        self.opened += 1
        return SimpleNamespace(set=lambda *_: None, submit=self._submit, close=self._close)

    def _close(self) -> None:
        self.closed += 1

    def pause(self, seconds: float) -> None:
        self.now += seconds
        for due, future, shown in self._coming:
            if due <= self.now and not future.done():
                future.set_result(shown)

    def _submit(self, frame: Frame, _arrived: float) -> "Future[Shown]":
        future: Future[Shown] = Future()
        if self.now < self._first or self._free > self.now + 0.2:
            future.set_result(Shown(frame, Outcome(OutcomeKind.PASSED, "not drawn yet"), 0.0, None))
        else:
            self._free = max(self._free, self.now) + self._each
            self._coming.append((self._free, future, Shown(frame, EDITED, 0.0, 1)))
        return future


@pytest.mark.parametrize(
    ("pictures", "first", "most", "found", "opened"),
    [
        (20, 0.0, 8, 20, 1),
        (20, 3.0, 8, 20, 1),  # the first drawing takes long
        (200, 0.0, 8, 200, 15),  # 1, 2, 4 and 8 streams
        (200, 0.0, 2, 60, 3),  # no more than are let in
        (20, 60.0, 8, 0, 1),
    ],
)
def test_the_device_is_measured_as_clients_use_it(
    pictures: float, first: float, most: int, found: float, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = _Timed(pictures, first)
    monkeypatch.setattr(capacity_module, "SIZE", (32, 32))
    monkeypatch.setattr(capacity_module, "FIRST_SECONDS", 6.0)
    capacity = measure(engine, 0.5, most, clock=lambda: engine.now, pause=engine.pause)
    assert capacity.pictures == pytest.approx(found, rel=0.1)
    assert engine.opened == engine.closed == opened


def test_an_engine_that_takes_no_more_streams_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = _Timed(200, room=3)
    monkeypatch.setattr(capacity_module, "SIZE", (32, 32))
    capacity = measure(engine, 0.5, 8, clock=lambda: engine.now, pause=engine.pause)
    assert capacity.pictures == pytest.approx(60, rel=0.1)  # of two streams; there is no room for four
    assert engine.opened == engine.closed == 1 + 2 + 3


def test_clients_are_told_what_is_held_and_max_sessions_is_no_false_promise() -> None:
    async def story() -> None:
        page = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(sessions=8, per_address=8)) as world:
            world.sessions.capacity = Capacity(30.0)
            config = (await world.request("GET", "/api/config"))[2]
            assert config["capacity"] == {"streams": 2, "frame_rate": 24.0, "free": 2, "waiting": 0}
            assert config["video"]["max_frame_rate"] == 24
            first = (await world.post("/offer", json=page))[2]
            session = world.sessions.find(first["session"])
            notices: list[Any] = []
            session.notices.add(lambda name, message, more: notices.append((name, dict(more))))
            assert first["rate"] == 24
            assert (await world.post("/offer", json=page))[2]["rate"] == 12
            await session.look_after()
            assert notices == [("rate", {"rate": 12})]
            assert (await world.post("/offer", json=page))[0] == 503
            text = (await world.request("GET", "/metrics"))[2]
            assert "dynstream_sessions_most 2.0" in text

    run(story())


def logged(formatter: logging.Formatter, *filters: logging.Filter) -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    for one in filters:
        handler.addFilter(one)
    logger = logging.Logger("dynstream.test")
    logger.addHandler(handler)
    return logger, out


def test_each_line_of_the_log_has_its_request_and_session_and_floods_are_held_back() -> None:
    clock = Clock()
    logger, out = logged(JsonLines(), RateLimit(clock), Context(addresses=False))
    tokens = REQUEST.set("ab12"), SESSION.set("k3f9")
    try:
        for number in range(BURST + 30):
            if number == BURST + 29:
                clock.now += 61
            logger.warning("it happened %d", number, extra={"fields": {"status": 503}})
        try:
            raise ValueError("why")
        except ValueError:
            logger.exception("a fault")
    finally:
        REQUEST.reset(tokens[0])
        SESSION.reset(tokens[1])
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == BURST + 2
    assert {key: lines[0][key] for key in ("level", "message", "request", "session", "status")} == {
        "level": "warning", "message": "it happened 0", "request": "ab12", "session": "k3f9", "status": 503,
    }  # fmt: skip
    assert lines[-2]["held_back"] == 29
    assert "ValueError: why" in lines[-1]["error"]
    logger, out = logged(TextLines(), Context(addresses=False))
    logger.warning("plain", extra={"fields": {"status": 1}})
    assert out.getvalue().rstrip().endswith("WARNING plain status=1")


def test_requests_are_logged_without_tokens_and_addresses_only_where_asked_for() -> None:
    logger, out = logged(JsonLines(), Context(addresses=False))
    served = logging.getLogger("dynstream.pipelines.serve")
    handler = logger.handlers[0]

    async def story() -> None:
        headers = SDP | {"Authorization": f"Bearer {TOKEN}"}
        async with lab(tokens=(Token(TOKEN),)) as world:
            answered = await world.post("/whip/stage", data=await make_offer("video"), headers=headers)
            await world.request("DELETE", answered[1]["Location"], headers=headers)
            await world.request("GET", "/whip/x?token=" + TOKEN)

    served.addHandler(handler)
    level = served.level
    served.setLevel(logging.INFO)
    try:
        run(story())
    finally:
        served.removeHandler(handler)
        served.setLevel(level)
    text = out.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert TOKEN not in text
    assert "127.0.0.1" not in text
    posts = [line for line in lines if line["message"] == "POST /whip/{name}"]
    assert [(line["status"], line["session"], len(line["request"])) for line in posts] == [(201, "stage", 8)]
    assert {line.get("session") for line in lines if "session" in line["message"]} == {"stage"}


def test_a_new_certificate_is_read_and_a_broken_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    cert, key = certificate(tmp_path)
    held = Certificate(cert, key)
    assert held.renew() is False
    new_cert, new_key = certificate(tmp_path / "new")
    cert.write_bytes(new_cert.read_bytes())  # half of a renewal: they do not fit
    os.utime(cert, ns=(1, 1))
    assert held.renew() is False
    key.write_bytes(new_key.read_bytes())
    os.utime(key, ns=(2, 2))
    assert held.renew() is True
    assert held.renew() is False
    cert.unlink()
    assert held.renew() is False


def test_under_a_path_of_a_proxy_everything_is_there_and_locations_are_right() -> None:
    async def story() -> None:
        async with lab(base_path="/faces", server="a") as world:
            root = world.url.removesuffix("/faces")
            async with world.http.get(root + "/faces", allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (308, "/faces/")
            for path in ("/faces/", "/faces/api/config", "/faces/page/app.js", "/healthz", "/faces/healthz"):
                async with world.http.get(root + path) as response:
                    assert response.status == 200, path
            offer = await make_offer("video")
            async with world.http.post(root + "/faces/whip/stage", data=offer, headers=SDP) as response:
                location = response.headers["Location"]
            assert location.startswith("/faces/whip/stage/a-")
            async with world.http.delete(root + location) as response:
                assert response.status == 200
            named = (await world.post("/offer", json={"type": "offer", "sdp": offer}))[2]["session"]
            assert named.startswith("a-")

    run(story())


def test_one_udp_port_for_every_session() -> None:
    async def story() -> None:
        (port,) = free_ports(1)
        async with lab(port_of_all=port) as world:
            loop: Any = asyncio.get_running_loop()
            shared, plain = loop.create_datagram_endpoint, type(loop).create_datagram_endpoint.__get__(loop)
            real = world.server.context.answer

            async def answer(*args: Any, **more: Any) -> Any:
                loop.create_datagram_endpoint = shared  # the clients of this test share the server's loop
                try:
                    return await real(*args, **more)
                finally:
                    loop.create_datagram_endpoint = plain

            world.server.context.answer = answer  # type: ignore[method-assign]
            loop.create_datagram_endpoint = plain
            async with client(channel="dynstream") as one, client(channel="dynstream") as two:
                for each in (one, two):
                    await world.join(each)
                for each in (one, two):
                    await each.until(lambda seen: len(seen.received.frames) > 2, 90)

    run(story())


def test_a_server_that_ends_tells_its_clients_and_takes_no_more() -> None:
    async def story() -> None:
        async with lab(drain_seconds=30.0) as world, client(channel="dynstream") as one:
            talk = Talk(one)
            await world.join(one)
            await talk.opened()
            await one.until(lambda seen: bool(seen.received.frames), 90)
            draining = asyncio.ensure_future(world.server.drain())
            notice = await talk.push("notice")
            assert (notice["notice"], notice["in_seconds"], notice["retry_seconds"]) == ("restarting", 30.0, 1)
            status, headers, body = await world.request("GET", "/readyz")
            assert (status, body["state"], headers["Retry-After"]) == (503, "restarting", "1")
            status, headers, body = await world.post("/offer", json={"type": "offer", "sdp": await make_offer("video")})
            assert (status, error_of(body), headers["Retry-After"]) == (503, "restarting", "1")
            assert (await world.request("GET", "/healthz"))[0] == 200
            count = len(one.received.frames)
            await one.until(lambda seen: len(seen.received.frames) > count, 90)  # the picture goes on
            await talk.ask(type="bye")
            await draining
            await until(lambda: not world.sessions.by_name)

    run(story())


class StillPeer:
    """A peer of which nothing is heard any more."""

    bytes_received = 7

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name)


def test_a_client_that_falls_silent_is_lost_and_gives_its_place_to_who_waits() -> None:
    async def story() -> None:
        page = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(sessions=1)) as world:
            async with client(channel="dynstream") as one:
                answer = await world.join(one)
                session = world.sessions.find(answer["session"])
                await until(lambda: session.state == "connected")
                await session.look_after()
                assert session.state == "connected"
                peer: Any = session.peer
                session.peer = StillPeer(peer)  # type: ignore[assignment]
                await session.look_after()
                assert session.state == "connected"
                session._heard = 7, session._clock() - 10.1
                await session.look_after()
                assert session.state == "lost"
                await peer.close()
            assert (await world.post("/offer", json=page))[0] == 503
            session._lost_since = session._clock() - 10.1
            assert (await world.post("/offer", json=page))[0] == 200
            assert session.ended.is_set()

    run(story())


def test_a_configuration_file(tmp_path: Path) -> None:
    names = {"max-sessions": "max_sessions", "origin": "origin", "watermark": "watermark", "config": "config"}
    path = tmp_path / "serve.toml"
    path.write_text('max-sessions = 3\norigin = ["https://a.example"]\nwatermark = false\n')
    assert read_config(path, names) == {"max_sessions": 3, "origin": ["https://a.example"], "watermark": False}
    for text, words in (
        ("max-session = 1", "did you mean max-sessions"),
        ("config = 'x'", "no option config"),
        ("[origin]\nx = 1", "got a table"),
        ("max-sessions", "expected TOML"),
    ):
        path.write_text(text)
        with pytest.raises(ServeSettingsError, match=words):
            read_config(path, names)
    with pytest.raises(ServeSettingsError, match="cannot be read"):
        read_config(tmp_path / "none.toml", names)
    assert read_size("640x480", "--max-source") == (640, 480)
