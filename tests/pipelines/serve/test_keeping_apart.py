"""Nobody does what they have no right to, and nobody gets in the way of others."""

import asyncio
import contextlib
import json
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from dynstream.pipelines.serve.addresses import client_address, limit_key, read_networks
from dynstream.pipelines.serve.connections import HEADER_SECONDS, Connections
from dynstream.pipelines.serve.http_errors import RefusalError
from dynstream.pipelines.serve.options import read_token_file
from dynstream.pipelines.serve.rights import ALL, Caller, Token, read_tokens
from dynstream.pipelines.serve.settings import Limits, ServeSettings
from dynstream.pipelines.serve.settings_error import ServeSettingsError
from dynstream.pipelines.serve.waiting_line import KEPT_SECONDS, WaitingLine

from .live import lab, run
from .test_http import SDP, error_of, make_offer

PUBLISHER, WATCHER, STEERER, ADMIN, STAGE = ("publisher-secret-", "watcher-secret-00", "steerer-secret-00",
                                             "admin-secret-0000", "stage-secret-0000")  # fmt: skip
TOKENS = (
    Token(PUBLISHER, frozenset({"publish"})),
    Token(WATCHER, frozenset({"watch"})),
    Token(STEERER, frozenset({"control"})),
    Token(ADMIN, frozenset({"admin"})),
    Token(STAGE, frozenset({"publish", "watch", "control"}), ("stage*",)),
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def bearer(secret: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", **more}


def test_each_token_does_what_it_is_for_and_nothing_else() -> None:
    async def story() -> None:
        offer, looks = await make_offer("video"), await make_offer("video", direction="recvonly")
        page = {"type": "offer", "sdp": offer}
        async with lab(tokens=TOKENS, limits=Limits(per_address=9)) as world:
            own = (await world.post("/offer", json=page, headers=bearer(PUBLISHER)))[2]
            assert (await world.post("/whip/open", data=offer, headers=SDP | bearer(PUBLISHER)))[0] == 201
            _, staged, _ = await world.post("/whip/stage1", data=offer, headers=SDP | bearer(STAGE))
            set_smile: dict[str, Any] = {"json": {"type": "set", "edits": {"smile": 1}}}
            listing = [("GET", "/api/sessions", {}), ("GET", "/metrics", {})]
            watching = [("POST", f"/whep/{name}", {"data": looks}) for name in ("open", "stage1", own["session"])]
            steering = [("POST", f"/api/sessions/{name}/control", set_smile) for name in ("open", "stage1")]
            publishing = [("POST", "/offer", {"json": page}), ("POST", "/whip", {"data": offer})]
            private = [("POST", f"/api/sessions/{own['session']}/control", set_smile)]
            allowed = {
                PUBLISHER: {("POST", "/offer"), ("POST", "/whip")},
                WATCHER: {("POST", "/whep/open"), ("POST", "/whep/stage1")},
                STEERER: {(method, path) for method, path, _ in steering},
                ADMIN: {(method, path) for method, path, _ in listing},
                STAGE: {("POST", "/whep/stage1"), ("POST", "/api/sessions/stage1/control")},
            }
            for secret, may in allowed.items():
                for method, path, how in (*listing, *watching, *steering, *publishing, *private):
                    kind = {} if "json" in how else SDP
                    status, _, body = await world.request(method, path, headers=kind | bearer(secret), **how)
                    if (method, path) in may:
                        assert status in (200, 201), (secret, method, path, body)
                    else:
                        assert (status, error_of(body)) in ((403, "forbidden"), (404, "no_stream")), (secret, path)
            assert (
                error_of((await world.post("/whip/stage1", data=offer, headers=SDP | bearer(ADMIN)))[2]) == "forbidden"
            )
            location = staged["Location"]
            assert (await world.request("DELETE", location, headers=bearer(PUBLISHER)))[0] == 401
            assert (await world.request("DELETE", f"/offer/{own['session']}", headers=bearer(PUBLISHER)))[0] == 401
            assert (await world.request("DELETE", location, headers=bearer(STAGE)))[0] == 200
            assert (await world.request("DELETE", f"/api/sessions/{own['session']}", headers=bearer(ADMIN)))[0] == 200
            shown = (await world.request("GET", "/api/config", headers=bearer(STAGE)))[2]["rights"]
            assert shown == ["control", "publish", "watch"]
            assert (await world.request("GET", "/api/config"))[2]["rights"] == []

    run(story())


def test_a_share_link_lets_viewers_in_until_it_is_taken_back_and_viewers_have_ten_seconds() -> None:
    async def story() -> None:
        looks = await make_offer("video", direction="recvonly")
        async with lab(tokens=TOKENS, limits=Limits(viewers=2, per_address=2)) as world:
            page = {"type": "offer", "sdp": await make_offer("video")}
            own = (await world.post("/offer", json=page, headers=bearer(PUBLISHER)))[2]
            path, control = f"/whep/{own['session']}", f"/api/sessions/{own['session']}/control"
            assert (await world.post(path, data=looks, headers=SDP | bearer(WATCHER)))[0] == 404
            share = {"json": {"type": "share", "on": True}, "headers": bearer(own["resume"])}
            key = (await world.post(control, **share))[2]["share"]
            for status in (201, 201, 503):
                answered = await world.post(path, data=looks, headers=SDP | bearer(key))
                assert answered[0] == status, answered[2]
            session = world.sessions.find(own["session"])
            session.viewers._clock = lambda: 1e12
            await session.look_after()
            assert len(session.viewers) == 0, "they never connected"
            session.viewers._clock = session._clock
            assert (await world.post(path, data=looks, headers=SDP | bearer(key)))[0] == 201
            answer = (await world.post(control, **share | {"json": {"type": "share", "on": False}}))[2]
            assert (answer["share"], answer["state"]["shared"]) == (None, False)
            async with asyncio.timeout(60):
                while len(session.viewers):
                    await asyncio.sleep(0.01)
            assert (await world.post(path, data=looks, headers=SDP | bearer(key)))[0] == 401

    run(story())


def test_what_is_no_text_is_no_fault_of_the_server() -> None:
    async def story() -> None:
        offer = await make_offer("video")
        async with lab(tokens=TOKENS) as world:
            port = int(world.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
            assert b" 401 " in await reader.readline()
            writer.close()
            how: dict[str, Any] = {"headers": bearer(PUBLISHER, **{"Content-Type": "application/json"})}
            for field in ("resume", "ticket", "takeover"):
                body = json.dumps({"type": "offer", "sdp": offer}).replace('"type"', rf'"{field}": "\ud800", "type"', 1)
                status, _, answer = await world.post("/offer", data=body, **how)
                assert (status, error_of(answer)) == (400, "bad_json"), field
            assert not world.sessions.by_name

    run(story())


def test_a_bad_offer_opens_no_session_and_one_that_never_connects_is_gone_in_ten_seconds() -> None:
    async def story() -> None:
        async with lab() as world:
            opened: list[Any] = []
            real = world.sessions.open
            world.sessions.open = lambda *args, **more: (opened.append(args), real(*args, **more))[1]
            bad = await make_offer("video", direction="recvonly")
            for sdp in ("v=0\r\nnonsense", bad):
                assert (await world.post("/offer", json={"type": "offer", "sdp": sdp}))[0] in (400, 422)
                assert (await world.post("/whip", data=sdp, headers=SDP))[0] in (400, 422)
            assert not opened
            page = {"type": "offer", "sdp": await make_offer("video")}
            name = (await world.post("/offer", json=page))[2]["session"]
            session = world.sessions.find(name)
            session._connecting_since = session._clock() - 10.1
            await world.sessions.sweep()
            assert not world.sessions.by_name

    run(story())


def test_the_same_browser_takes_its_place_back_at_once_and_a_second_tab_does_not_steal_it() -> None:
    async def story() -> None:
        page = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(sessions=2, per_address=2)) as world:
            first = (await world.post("/offer", json=page))[2]
            session = world.sessions.find(first["session"])
            session.video.last_frame = session._clock()
            tab = (await world.post("/offer", json=page | {"resume": first["resume"], "takeover": "stale"}))[2]
            assert (tab["resumed"], tab["session"] == first["session"]) == (False, False)
            session.video.last_frame = session.meters.begun = session._clock() - 4
            path = f"/offer/{first['session']}"
            back = (await world.post(path, json=page | {"resume": first["resume"], "takeover": "stale"}))[2]
            assert (back["resumed"], back["session"]) == (True, first["session"])

    run(story())


def test_who_waits_comes_next() -> None:
    async def story() -> None:
        page = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(sessions=1)) as world:
            first = (await world.post("/offer", json=page))[2]
            waiting = [(await world.post("/offer", json=page | {"ticket": ""}))[2]["error"]["queue"] for _ in range(2)]
            assert [one["place"] for one in waiting] == [1, 2]
            assert (await world.request("GET", "/readyz"))[2]["state"] == "full"
            await world.sessions.end(world.sessions.find(first["session"]), "test")
            assert (await world.request("GET", "/readyz"))[2]["capacity"]["waiting"] == 2
            assert (await world.post("/offer", json=page))[0] == 503, "it comes after those who wait"
            assert (await world.post("/offer", json=page | {"ticket": waiting[1]["ticket"]}))[0] == 503
            assert (await world.post("/offer", json=page | {"ticket": waiting[0]["ticket"]}))[0] == 200

    run(story())


def test_a_line_forgets_who_went_away() -> None:
    clock = Clock()
    line = WaitingLine(clock)
    one, two = line.wait("")[0], line.wait("")[0]
    assert (line.place(one), line.place(two), line.place(), len(line)) == (0, 1, 2, 2)
    clock.now += KEPT_SECONDS - 1
    assert line.wait(two) == (two, 2)
    clock.now += 2
    assert (line.wait(two), len(line)) == ((two, 1), 1)
    line.leave(two)
    assert len(line) == 0


def test_one_allowance_for_all_that_a_session_is_told() -> None:
    async def story() -> None:
        page = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(messages_per_second=2.0)) as world:
            own = (await world.post("/offer", json=page))[2]
            allowance = world.sessions.find(own["session"]).allowance
            allowance._clock = lambda: allowance._when
            path = f"/api/sessions/{own['session']}/control"
            asked = [
                await world.post(path, json={"type": "ping", "t": 1}, headers=bearer(own["resume"])) for _ in range(6)
            ]
            assert [status for status, _, _ in asked] == [200] * 4 + [429] * 2
            assert error_of(asked[-1][2]) == "too_fast"

    run(story())


def test_connections_that_say_nothing_make_room_for_those_that_do() -> None:
    async def story() -> None:
        limits = Limits(connections=8, connections_per_address=6)
        async with lab(limits=limits) as world:
            port = int(world.url.rpartition(":")[2])
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
            for _, writer in silent:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            for _ in range(3):
                assert (await world.request("GET", "/healthz"))[0] == 200
            ends = [reader for reader, _ in silent]
            async with asyncio.timeout(60):
                for reader in ends[:20]:
                    with contextlib.suppress(ConnectionError):
                        assert await reader.read() == b""
            for _, writer in silent:
                writer.close()

    run(story())


def test_a_header_a_body_and_an_answer_have_their_time() -> None:
    clock = Clock()

    async def story() -> None:
        connections = Connections(8, 8, clock=clock)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            connections._take(ours, "192.0.2.1", None, None)  # type: ignore[arg-type]
            assert len(connections) == 1
            connections.sweep()
            assert len(connections) == 1
            clock.now += HEADER_SECONDS + 0.1
            connections.sweep()
            assert (len(connections), connections.cut) == (0, 1)
            await asyncio.sleep(0)
        async with lab(limits=Limits(body_seconds=0.05)) as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
            writer.write(b"POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\n")
            writer.write(b"Content-Length: 99\r\n\r\nv=0")
            assert b" 408 " in await reader.readline()
            writer.close()

    run(story())


@pytest.mark.parametrize(
    ("floods", "proxies", "stays"),
    [
        (["192.0.2.1", "192.0.2.2"], [], True),
        (["10.0.0.1"], ["10.0.0.1"], False),  # each of a proxy's is of somebody else: the guest has waited longest
    ],
)
def test_a_flood_takes_the_places_of_its_own(floods: list[str], proxies: list[str], stays: bool) -> None:
    async def story() -> None:
        clock = Clock()
        connections = Connections(4, 4, trusted=lambda address: address in proxies, clock=clock)
        guest = "198.51.100.7"
        with contextlib.ExitStack() as closing:
            for number, address in enumerate([guest, *(floods * 20)]):
                ours, theirs = socket.socketpair()
                closing.enter_context(ours)
                closing.enter_context(theirs)
                clock.now += 0.01
                connections._take(ours, address, None, None)  # type: ignore[arg-type]
                assert len(connections) <= 4, number
            held = [one.owner for one in connections._open.values()]
            for one in connections._open.values():
                one.cut()
            await asyncio.sleep(0)
        assert (guest in held) == stays
        assert len(held) == 4

    run(story())


@pytest.mark.parametrize(
    ("remote", "forwarded", "wanted"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.9", "203.0.113.5"),
        ("198.51.100.1", "203.0.113.5", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish", "unknown"),
        ("::ffff:198.51.100.1", "203.0.113.5", "198.51.100.1"),
    ],
)
def test_only_trusted_proxies_say_where_a_client_is(remote: str, forwarded: str, wanted: str) -> None:
    headers: CIMultiDict[str] = CIMultiDict({"X-Forwarded-For": forwarded} if forwarded else {})
    request: Any = SimpleNamespace(remote=remote, headers=headers)
    assert client_address(request, read_networks(["10.0.0.0/8"], "--trusted-proxy")) == wanted


def test_neighbours_of_one_network_share_their_limits() -> None:
    assert limit_key("2001:db8:1:2:3::4") == limit_key("2001:db8:1:2:ffff::1") != limit_key("2001:db8:1:3::4")
    assert limit_key("192.0.2.1") != limit_key("192.0.2.2")


def test_tokens_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[token]]\nsecret = "{STAGE}"\nrights = ["publish"]\nstreams = ["stage"]\nname = "s"\n')
    path.chmod(0o600)
    (token,) = read_token_file(path)
    assert token == Token(STAGE, frozenset({"publish"}), ("stage",), "s")
    assert STAGE not in repr(token)
    assert read_tokens(PUBLISHER, "x") == (Token(PUBLISHER),)
    for wrong, words in (
        ("[[token]]\nrights = []", "expected secret"),
        (f'[[token]]\nsecret = "{STAGE}"\nrights = ["rule"]', "expected some of publish"),
        (f'[[token]]\nsecret = "{STAGE}"\nrights = "publish"', "a list of words"),
        (f'[[token]]\nsecret = "{STAGE}"\n' * 2, "the same secret"),
        (f'[[token]]\nsecret = "{STAGE}"\nfor = 1', "expected secret"),
        ("[table]\nx = 1", "[[token]]"),
    ):
        with pytest.raises(ServeSettingsError, match=words.replace("[", r"\[")):
            read_tokens(wrong, "tokens.toml")


def test_rights_are_for_the_streams_that_are_named() -> None:
    caller = Caller("x", frozenset({"publish"}), ("stage", "cam-*"))
    assert caller.may("publish", "cam-1")
    assert not caller.may("publish", "other")
    assert not caller.may("publish"), "a stream without a name of its own"
    assert Caller("x", ALL).may("publish")
    with pytest.raises(RefusalError) as refused:
        Caller().check("publish")
    assert refused.value.status == 401
    assert ServeSettings().everybody == ALL
    assert ServeSettings(host="0.0.0.0", insecure=True).everybody == ALL - {"admin"}
    assert replace(ServeSettings(), tokens=TOKENS).everybody == frozenset()
