"""Mutated SDP, HTTP, JSON, MessagePack and ICE candidates against a running server.

    python -m tests.fuzz.server_fuzz --count 10000          # all kinds
    python -m tests.fuzz.server_fuzz --kind sdp --seed 7

A case fails when it is answered with a fault of the server (500, "internal"), when an exception gets through, or when
no answer comes within the time. Each is printed with its seed and number, which make it again.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sys
from collections.abc import Awaitable, Callable

import aiohttp
import msgpack

from dynstream.pipelines.serve.control_messages import Controller, unpack
from dynstream.pipelines.serve.settings import Limits
from dynstream.pipelines.serve.stream_settings import BadRequestError
from dynstream.stream.errors import OfferError
from dynstream.stream.webrtc.candidates import CandidateRules, keep_candidates
from dynstream.stream.webrtc.peer import Peer

from ..pipelines.serve.live import Lab, lab
from ..pipelines.serve.test_control_messages import PRESETS, FakeSession
from ..pipelines.serve.test_http import SDP, make_offer

SECONDS = 20.0
LIMITS = Limits(
    sessions=10_000, per_address=10_000, connections=10_000, connections_per_address=10_000, body_seconds=0.2
)
WORDS: tuple[bytes, ...] = (
    b"", b"-1", b"0", b"65536", b"99999999999999999999", b"1e999", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n",
    b"\n\n", b"a" * 5000, b"..", b"%s", b"null", b"[]", b"{}", b"m=video 0 X 1", b"a=", b"a=mid:", b"a=rtpmap:1",
    b"\xf0\x9f\x92\xa9", b"127.0.0.1", b"::1", b"224.0.0.1", b"Infinity", b"NaN", b'"\\ud800"',
)  # fmt: skip

Case = Callable[[random.Random], Awaitable[str]]
"""Runs one mutated input; returns what is wrong, "" for nothing."""


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One to eight changes: bytes, words, lines, order, length."""
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 8, 64)))
        lines = data.split(b"\n")
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at] + chance.choice(WORDS) + data[end:]
            case 3:
                lines[one], lines[other] = lines[other], lines[one]
                data = b"\n".join(lines)
            case 4:
                data = b"\n".join([*lines[:one], lines[other], *lines[one:]])
            case 5:
                data = b"\n".join([*lines[:one], *lines[one + 1 :]])
            case 6:
                words = lines[one].split(b" ")
                words[chance.randrange(len(words))] = chance.choice(WORDS)
                lines[one] = b" ".join(words)
                data = b"\n".join(lines)
            case 7:
                data = data[: max(1, at)] if chance.random() < 0.3 else data + data[at:end]
    return data


async def _post(world: Lab, path: str, data: bytes, kind: str) -> str:
    async with world.http.post(world.url + path, data=data, headers={"Content-Type": kind}) as response:
        body = await response.read()
        if response.status == 201:
            await world.request("DELETE", response.headers["Location"])
        elif response.status == 200 and path == "/offer":
            answer = json.loads(body)
            own = {"Authorization": f"Bearer {answer['resume']}"}
            await world.request("DELETE", f"/offer/{answer['session']}", headers=own)
        return f"{response.status} {body[:200]!r}" if response.status >= 500 else ""


async def sdp_case(world: Lab) -> Case:
    """Offers to /whip."""
    offers = [(await make_offer("video", "audio")).encode(), (await make_offer("video")).encode()]

    async def run(chance: random.Random) -> str:
        return await _post(world, "/whip", mutate(chance.choice(offers), chance), SDP["Content-Type"])

    return run


async def json_case(world: Lab) -> Case:
    """Bodies of /offer and of control messages."""
    good = {
        **{"type": "offer", "sdp": await make_offer("video"), "protocol": 1, "resume": "x", "ticket": ""},
        "takeover": "stale",
        "settings": {"edits": {"smile": 1.5}, "mode": "detail", "faces": "largest", "max_latency_ms": 400},
    }
    await world.post("/whip/stage", data=await make_offer("video"), headers=SDP)
    session = world.sessions.find("stage")
    session.allowance._rate = 1e9
    session._connecting_since = None
    messages = [
        json.dumps(message).encode()
        for message in (
            {"type": "set", "edits": {"smile": 1, "age": -2}, "ramp_ms": 10, "id": 7},
            {"type": "faces", "at": [0.5, 0.5]},
            {"type": "stats", "every_ms": 500},
            {"type": "hello", "versions": [1]},
        )
    ]

    async def run(chance: random.Random) -> str:
        if chance.random() < 0.3:
            return await _post(world, "/offer", mutate(json.dumps(good).encode(), chance), "application/json")
        data = mutate(chance.choice(messages), chance)
        fault = await _post(world, "/api/sessions/stage/control", data, "application/json")
        return fault

    return run


async def http_case(world: Lab) -> Case:
    """Raw requests."""
    port = int(world.url.rpartition(":")[2])
    offer = (await make_offer("video")).encode()
    host, kind = b"Host: 127.0.0.1\r\n", b"Content-Type: application/sdp\r\nContent-Length: "
    head = b"POST /whip HTTP/1.1\r\n" + host + kind + str(len(offer)).encode() + b"\r\n\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    requests = [
        head + offer,
        b"GET /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer abc\r\nOrigin: http://x\r\n\r\n",
        b"PATCH /whip/a/b HTTP/1.1\r\n" + host + b"If-Match: *\r\n" + chunks,
        b"OPTIONS /whep/x HTTP/1.1\r\nHost: 127.0.0.1\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    ]

    async def run(chance: random.Random) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(mutate(chance.choice(requests), chance))
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
                status = answer.split(b" ", 2)[1:2]
                return f"{answer[:300]!r}" if status and status[0].startswith(b"5") and status[0] != b"505" else ""
        finally:
            writer.close()
        return ""

    return run


async def msgpack_case(world: Lab) -> Case:
    """Messages of a data channel."""
    controller = Controller(FakeSession(), PRESETS, on_stats=lambda every: None)  # type: ignore[arg-type]
    messages = [
        msgpack.packb(message)
        for message in (
            {"type": "set", "edits": {"smile": 1.5}, "ramp_ms": 100, "replace": True, "id": 3},
            {"type": "hello", "versions": [1], "id": "x"},
            {"type": "faces", "at": [0.1, 0.9]},
            {"type": "stats", "every_ms": 500},
            {"type": "preset", "name": "older"},
            {"type": "share", "on": True},
        )
    ]

    async def run(chance: random.Random) -> str:
        with contextlib.suppress(BadRequestError):
            answer = controller.answer(unpack(mutate(chance.choice(messages), chance)))
            msgpack.packb(answer)
            return str(answer) if answer.get("error") == "internal" else ""
        return ""

    return run


async def candidate_case(world: Lab) -> Case:
    """Trickled candidates, and those of an offer."""
    lines = [
        b"candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host generation 0 ufrag abcd",
        b"candidate:2 1 udp 1694498815 2001:db8::1 50001 typ srflx raddr 10.0.0.1 rport 5000",
        b"candidate:3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        b"candidate:4 1 udp 2113937151 3a4b-5c.local 50002 typ host",
    ]

    class Connection:
        async def addIceCandidate(self, candidate: object) -> None:  # noqa: N802
            """Takes whatever was parsed."""

    async def run(chance: random.Random) -> str:
        text = mutate(chance.choice(lines), chance).decode("utf-8", "replace")
        keep_candidates(f"v=0\r\na={text}\r\n", CandidateRules())
        peer = Peer(None, Connection(), CandidateRules())  # type: ignore[arg-type]
        with contextlib.suppress(OfferError):
            await peer.add_candidate(text, "0")
        return ""

    return run


KINDS: dict[str, Callable[[Lab], Awaitable[Case]]] = {
    "sdp": sdp_case,
    "http": http_case,
    "json": json_case,
    "msgpack": msgpack_case,
    "candidate": candidate_case,
}


async def fuzz(kind: str, count: int, seed: int) -> list[str]:
    """What went wrong in so many cases of a kind."""
    faults = []
    async with lab(limits=LIMITS) as world:
        case = await KINDS[kind](world)
        for number in range(count):
            try:
                async with asyncio.timeout(SECONDS):
                    fault = await case(random.Random(f"{kind} {seed} {number}"))
            except (Exception, asyncio.CancelledError) as error:
                fault = repr(error)
            if fault:
                faults.append(f"{kind}, seed {seed}, case {number}: {fault}")
        async with aiohttp.ClientSession() as http, http.get(world.url + "/healthz") as response:
            if response.status != 200:
                faults.append("the server does not answer any more")
    return faults


def main() -> None:
    """Runs the kinds that are asked for; exit status 1 with a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    found = 0
    for kind in chosen.kind or KINDS:
        faults = asyncio.run(fuzz(kind, chosen.count, chosen.seed))
        print(f"{kind}: {chosen.count} cases, {len(faults)} faults", *faults[:20], sep="\n  ")
        found += len(faults)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
