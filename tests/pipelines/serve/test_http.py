"""Every request that is not served has a defined answer, and leaves nothing behind."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dynstream.pipelines.serve.rights import Token
from dynstream.pipelines.serve.server import running
from dynstream.pipelines.serve.settings import Limits, ServeSettings, TurnSecret
from dynstream.pipelines.serve.settings_error import ServeSettingsError
from dynstream.pipelines.serve.stub_engine import StubEngine
from dynstream.stream.webrtc.network import listen_on
from dynstream.stream.webrtc.peer import IceServer

from .live import Lab, client, lab, run, until

TOKEN = "a-token-of-enough-characters"
SDP = {"Content-Type": "application/sdp"}


async def make_offer(*kinds: str, direction: str = "sendrecv") -> str:
    peer = RTCPeerConnection(RTCConfiguration([]))
    try:
        for kind in kinds:
            peer.addTransceiver(kind, direction)
        if "video" not in kinds:
            peer.createDataChannel("dynstream")
        listen_on(peer, ["127.0.0.1"])
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


def error_of(body: Any) -> str:
    return str(body["error"]["name"])


async def refused(world: Lab, body: Any) -> tuple[int, str]:
    status, _, answer = await world.post("/offer", json=body)
    assert not world.sessions.by_name
    return status, error_of(answer)


def test_offers_that_cannot_be_served() -> None:
    async def story() -> None:
        good = await make_offer("video", "audio")
        async with lab(limits=Limits(sdp_bytes=12_000)) as world:
            expected = [
                ({"type": "offer", "sdp": "nonsense"}, (400, "bad_sdp")),
                ({"type": "offer", "sdp": good[:900]}, (400, "bad_sdp")),
                ({"type": "offer", "sdp": "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n" * 100}, (400, "bad_sdp")),
                ({"type": "offer", "sdp": await make_offer("audio")}, (422, "no_video")),
                ({"type": "offer", "sdp": await make_offer("video", direction="recvonly")}, (422, "no_video")),
                ({"type": "offer", "sdp": re.sub("VP8/|H264/", "AV1/", good)}, (406, "no_common_codec")),
                ({"type": "offer", "sdp": good + "a=x\r\n" * 3400}, (413, "too_large")),
                ({"type": "offer", "sdp": 5}, (400, "bad_field")),
                ({"type": "answer", "sdp": good}, (400, "bad_field")),
                ({"type": "offer", "sdp": good, "protocol": 99}, (400, "bad_field")),
                ({"type": "offer", "sdp": good, "resume": 7}, (400, "bad_field")),
                ({"type": "offer", "sdp": good, "settings": []}, (400, "bad_field")),
                ({"type": "offer", "sdp": good, "settings": {"edits": {"smlie": 1}}}, (400, "bad_field")),
                ({"type": "offer", "sdp": good, "settings": {"mode": "magic"}}, (400, "bad_field")),
                ([1, 2], (400, "bad_json")),
            ]
            for body, answer in expected:
                assert await refused(world, body) == answer, body
            how: dict[str, Any] = {"headers": {"Content-Type": "application/json"}}
            assert (await world.post("/offer", data="{", **how))[0] == 400
            assert (await world.post("/offer", data="[" * 5000, **how))[0] == 400
            assert (await world.post("/offer", data=b"x" * 100_000, **how))[0] == 413
            assert (await world.post("/offer", data="x", headers={"Content-Type": "text/plain"}))[0] == 415
            assert world.engine._open == 0

    run(story())


def test_paths_and_methods_that_there_are_not() -> None:
    async def story() -> None:
        async with lab() as world:
            assert error_of((await world.request("GET", "/nothing"))[2]) == "not_found"
            assert error_of((await world.request("GET", "/page/../server.py"))[2]) == "not_found"
            status, headers, body = await world.request("PUT", "/offer")
            assert (status, error_of(body)) == (405, "method")
            assert "POST" in headers["Allow"]
            assert (await world.request("DELETE", "/api/sessions/none"))[0] == 404
            assert (await world.post("/api/sessions/none/control", json={}))[0] == 404
            for path in ("/whip/a/b", "/whep/a/b"):
                assert (await world.request("DELETE", path))[0] == 404
                assert (await world.request("PATCH", path))[0] == 404

    run(story())


def test_whip_and_whep_by_the_book() -> None:
    async def story() -> None:
        turn = TurnSecret("turn:turn.example.org:3478", "s3cret")
        async with lab(
            ice_servers=(IceServer("stun:stun.example.org"),), public_address="203.0.113.7", turn=turn
        ) as world:
            status, headers, _ = await world.request("OPTIONS", "/whip")
            assert (status, headers["Accept-Post"]) == (204, "application/sdp")
            offer = await make_offer("video", "audio", direction="sendonly")
            assert (await world.post("/whip", data=offer, headers={"Content-Type": "text/plain"}))[0] == 415
            assert error_of((await world.post("/whip", data="hello", headers=SDP))[2]) == "bad_sdp"
            assert error_of((await world.post("/whip/b%20d", data=offer, headers=SDP))[2]) == "bad_field"
            assert error_of((await world.post("/whep", data=offer, headers=SDP))[2]) == "no_stream"
            status, headers, answer = await world.post("/whip/stage", data=offer, headers=SDP)
            assert status == 201
            assert headers["Content-Type"] == "application/sdp"
            assert "a=candidate" in answer
            assert "203.0.113.7" in answer
            assert "b=AS:" in answer
            assert headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
            links = headers.getall("Link")
            assert links[0] == '<stun:stun.example.org>; rel="ice-server"'
            assert re.fullmatch(
                r'<turn:turn\.example\.org:3478>; rel="ice-server"; username="\d+:dynstream"; credential="[^"]+"; '
                r'credential-type="password"',
                links[1],
            )
            assert error_of((await world.post("/whip/stage", data=offer, headers=SDP))[2]) == "name_taken"
            await patches(world, headers["Location"], headers["ETag"])
            sends_only = await make_offer("video", direction="sendonly")
            assert error_of((await world.post("/whep/stage", data=sends_only, headers=SDP))[2]) == "no_video"
            status, _, _ = await world.request("DELETE", headers["Location"])
            assert status == 200
            assert not world.sessions.by_name

    run(story())


async def patches(world: Lab, path: str, tag: str) -> None:
    kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
    candidate = "a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    for headers, body, wanted in (
        ({"Content-Type": "text/plain"}, candidate, 415),
        (kind, candidate, 428),
        (kind | {"If-Match": '"other"'}, candidate, 412),
        (kind | {"If-Match": tag}, "a=ice-ufrag:new\r\na=ice-pwd:newnewnewnewnewnewnewnew\r\n", 422),
        (kind | {"If-Match": tag}, "a=mid:0\r\na=candidate:rubbish\r\n", 400),
        (kind | {"If-Match": tag}, "a=mid:0\r\n" + "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n" * 65, 400),
        (kind | {"If-Match": tag}, candidate, 204),
    ):
        status, _, answer = await world.request("PATCH", path, headers=headers, data=body)
        assert status == wanted, (body[:60], answer)


def test_the_token_is_wanted_where_it_has_to_be() -> None:
    async def story() -> None:
        async with lab(tokens=(Token(TOKEN),)) as world:
            for path in ("/api/config", "/healthz", "/readyz"):
                assert (await world.request("GET", path))[0] == 200
            assert (await world.request("GET", "/api/config"))[2]["auth"] is True
            for method, path in (
                ("GET", "/api/sessions"),
                ("GET", "/metrics"),
                ("POST", "/offer"),
                ("POST", "/whip"),
                ("DELETE", "/offer/x"),
            ):
                for brought in (None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x"):
                    headers = {"Authorization": brought} if brought else {}
                    status, answered, body = await world.request(method, path, headers=headers)
                    assert (status, error_of(body)) == (401, "unauthorized"), (method, path, brought)
                    assert answered["WWW-Authenticate"] == "Bearer"
            assert (await world.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200

    run(story())


def test_ice_servers_are_for_those_with_the_token() -> None:
    async def story() -> None:
        turn = TurnSecret("turn:turn.example.org:3478", "s3cret")
        async with lab(tokens=(Token(TOKEN),), turn=turn, public_address="127.0.0.1") as world:
            assert (await world.request("GET", "/api/config"))[2]["ice_servers"] == []
            headers = {"Authorization": f"Bearer {TOKEN}"}
            servers = (await world.request("GET", "/api/config", headers=headers))[2]["ice_servers"]
            assert servers[0]["urls"] == ["turn:turn.example.org:3478"]
            assert servers[0]["username"].endswith(":dynstream")

    run(story())


def test_a_session_is_ended_by_its_own_token_or_the_servers() -> None:
    async def story() -> None:
        offer = {"type": "offer", "sdp": await make_offer("video")}
        async with lab() as world:
            first, second = [(await world.post("/offer", json=offer))[2] for _ in range(2)]
            path = f"/offer/{first['session']}"
            assert (await world.request("DELETE", path))[0] == 401
            foreign = {"Authorization": f"Bearer {second['resume']}"}
            assert (await world.request("DELETE", path, headers=foreign))[0] == 401
            own = {"Authorization": f"Bearer {first['resume']}"}
            assert (await world.request("DELETE", path, headers=own))[0] == 200
            assert list(world.sessions.by_name) == [second["session"]]

    run(story())


def test_a_page_that_goes_leaves_its_place_unless_it_returns_soon() -> None:
    async def story() -> None:
        async with lab() as world, client(channel="dynstream") as first, client(channel="dynstream") as second:
            answer = await world.join(first)
            session = world.sessions.find(answer["session"])
            await until(lambda: session.state == "connected")
            path, own = f"/offer/{answer['session']}", {"Authorization": f"Bearer {answer['resume']}"}
            for wrong in ("-1", "soon", "nan", "inf"):
                assert (await world.request("DELETE", f"{path}?grace={wrong}", headers=own))[0] == 400
            assert session.state == "connected"
            assert (await world.request("DELETE", f"{path}?grace=10", headers=own))[0] == 200
            assert session.state == "lost"
            again = await world.join(second, resume=answer["resume"])
            assert (again["session"], again["resumed"]) == (answer["session"], True)
            await until(lambda: session.state == "connected")
            assert (await world.request("DELETE", f"{path}?grace=10", headers=own))[0] == 401  # it came late
            own = {"Authorization": f"Bearer {again['resume']}"}
            assert (await world.request("DELETE", f"{path}?grace=10", headers=own))[0] == 200
            session._lost_since -= 11
            await world.sessions.sweep()
            assert not world.sessions.by_name

    run(story())


def test_edits_of_a_named_stream_outlast_the_server(tmp_path: Path) -> None:
    async def story() -> None:
        offer = await make_offer("video", direction="sendonly")
        async with lab(keep=tmp_path) as world:
            await world.post("/whip/stage", data=offer, headers=SDP)
            change = {"type": "set", "edits": {"smile": 1.5}}
            assert (await world.post("/api/sessions/stage/control", json=change))[0] == 200
            await world.post("/whip", data=offer, headers=SDP)
        assert [path.name for path in tmp_path.iterdir()] == ["stage.json"]
        async with lab(keep=tmp_path) as world:
            await world.post("/whip/stage", data=offer, headers=SDP)
            await world.post("/whip/other", data=offer, headers=SDP)
            assert world.sessions.find("stage").settings.edits == {"smile": 1.5}
            assert world.sessions.find("other").settings.edits == {}

    run(story())


def test_an_expired_token_neither_resumes_nor_ends_anything() -> None:
    async def story() -> None:
        offer = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(grace_seconds=1)) as world:
            first = (await world.post("/offer", json=offer | {"settings": {"edits": {"smile": 2}}}))[2]
            world.sessions.find(first["session"])._lost_since = -1e9
            await world.sessions.sweep()
            expired = {"Authorization": f"Bearer {first['resume']}"}
            assert (await world.request("DELETE", f"/offer/{first['session']}", headers=expired))[0] == 401
            status, _, again = await world.post("/offer", json=offer | {"resume": first["resume"]})
            assert (status, again["resumed"]) == (200, False)
            assert again["session"] != first["session"]
            assert world.sessions.find(again["session"]).settings.edits == {}

    run(story())


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) of this machine's own, as PEM files."""
    made = RTCCertificate.generateCertificate()
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made._cert.public_bytes(Encoding.PEM))
    paths[1].write_bytes(made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_https_with_a_certificate_and_an_error_that_names_files_which_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (cert, key), (_, foreign) = certificate(tmp_path), certificate(tmp_path / "other")

    async def story() -> None:
        async with lab(certificate=cert, key=key) as world:
            assert world.url.startswith("https://")
            assert (await world.request("GET", "/healthz", ssl=False))[0] == 200
        for wrong in ({"certificate": cert, "key": foreign}, {"certificate": tmp_path / "none", "key": key}):
            with pytest.raises(ServeSettingsError, match="expected PEM files that belong together"):
                async with lab(**wrong):
                    raise AssertionError("there is no TLS with these")

    run(story())


def test_other_origins_are_kept_out_unless_they_are_listed() -> None:
    async def story() -> None:
        async with lab(origins=("https://friend.example",)) as world:
            foreign = {"Origin": "https://foe.example"}
            status, headers, body = await world.request("POST", "/offer", headers=foreign)
            assert (status, error_of(body)) == (403, "origin")
            assert "Access-Control-Allow-Origin" not in headers
            status, headers, _ = await world.request("GET", "/api/config", headers=foreign)
            assert "Access-Control-Allow-Origin" not in headers
            friend = {"Origin": "https://friend.example"}
            ask = friend | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            status, headers, _ = await world.request("OPTIONS", "/offer", headers=ask)
            assert status == 204
            assert headers["Access-Control-Allow-Origin"] == "https://friend.example"
            assert "Authorization" in headers["Access-Control-Allow-Headers"]
            own = {"Origin": world.url}
            assert (await world.request("POST", "/offer", headers=own))[0] == 415  # let in, and then found empty
            status, _, body = await world.request("GET", "/api/sessions", headers={"Host": "rebound.example"})
            assert (status, error_of(body)) == (403, "origin")

    run(story())


def test_every_answer_has_the_headers_that_keep_a_page_to_itself() -> None:
    async def story() -> None:
        async with lab() as world:
            for path in ("/", "/api/config", "/nothing"):
                _, headers, _ = await world.request("GET", path)
                policy = headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http:" not in policy
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"

    run(story())


def test_no_answer_holds_a_path_of_the_server() -> None:
    async def story() -> None:
        async with lab() as world:
            bodies = [json.dumps((await world.request("GET", path))[2]) for path in ("/nothing", "/page/nothing")]
            bodies.append(json.dumps((await world.post("/offer", json={"type": "offer", "sdp": "x"}))[2]))
            for body in bodies:
                assert "/work" not in body
                assert ".py" not in body
                assert "Traceback" not in body

    run(story())


def test_limits_on_addresses() -> None:
    async def story() -> None:
        offer = {"type": "offer", "sdp": await make_offer("video")}
        async with lab(limits=Limits(per_address=2)) as world:
            assert [(await world.post("/offer", json=offer))[0] for _ in range(3)] == [200, 200, 429]
            _, headers, body = await world.post("/offer", json=offer)
            assert error_of(body) == "address_limit"
            assert int(headers["Retry-After"]) > 0
        async with lab(StubEngine(most_sessions=1)) as world:
            assert [(await world.post("/offer", json=offer))[0] for _ in range(2)] == [200, 503]
            _, headers, body = await world.post("/whip", data=offer["sdp"], headers=SDP)
            assert error_of(body) == "overloaded"
            assert int(headers["Retry-After"]) > 0

    run(story())


def test_before_the_warm_up_nobody_is_let_in() -> None:
    async def story() -> None:
        warm = asyncio.Event()
        loop = asyncio.get_running_loop()

        class Slow(StubEngine):
            def warm_up(self) -> None:
                asyncio.run_coroutine_threadsafe(warm.wait(), loop).result()
                super().warm_up()

        async with running(ServeSettings(port=0), Slow()) as server:
            import aiohttp

            async with aiohttp.ClientSession() as http:
                for method, path in (("GET", "/readyz"), ("POST", "/offer"), ("POST", "/whip")):
                    async with http.request(method, server.url + path) as response:
                        assert response.status == 503
                        assert error_of(await response.json()) == "starting"
                        assert "Retry-After" in response.headers
                async with http.get(server.url + "/healthz") as response:
                    assert response.status == 200
                warm.set()
                await server.warm
                async with http.get(server.url + "/readyz") as response:
                    assert response.status == 200

    run(story())


def test_a_port_that_is_taken_is_named() -> None:
    async def story() -> None:
        async with lab() as world:
            port = int(world.url.rpartition(":")[2])
            with pytest.raises(ServeSettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
                async with running(ServeSettings(port=port), StubEngine()):
                    raise AssertionError("the port is taken")

    run(story())


def test_metrics_and_sessions_tell_what_is_going_on() -> None:
    async def story() -> None:
        offer = {"type": "offer", "sdp": await make_offer("video")}
        async with lab() as world:
            _, _, answer = await world.post("/offer", json=offer)
            name, own = answer["session"], {"Authorization": f"Bearer {answer['resume']}"}
            listed = (await world.request("GET", "/api/sessions"))[2]["sessions"]
            assert [(one["session"], one["kind"], one["state"]) for one in listed] == [(name, "page", "connecting")]
            text = (await world.request("GET", "/metrics"))[2]
            assert 'dynstream_sessions{state="connecting"} 1.0' in text
            told = set(re.findall(r"^(\w+)[ {]", text, re.MULTILINE))
            assert told >= {
                "dynstream_sessions", "dynstream_sessions_opened_total", "dynstream_sessions_resumed_total",
                "dynstream_sessions_refused_total", "dynstream_viewers", "dynstream_frame_age_seconds_bucket",
                "dynstream_batch_faces_bucket", "dynstream_bitrate", "dynstream_http_requests_total",
                "dynstream_http_seconds_bucket", "dynstream_round_trip_seconds_bucket",
                "dynstream_ice_failures_total", "dynstream_packets_lost_total", "dynstream_threads",
                "dynstream_tasks", "process_resident_memory_bytes", "process_open_fds",
            }  # fmt: skip
            assert "# TYPE dynstream_frames_total counter" in text or "# TYPE dynstream_frames counter" in text
            assert "# TYPE dynstream_stage_seconds histogram" in text
            control = f"/api/sessions/{name}/control"
            _, _, reply = await world.post(control, headers=own, json={"type": "pause", "on": True})
            assert reply["state"]["paused"] is True
            _, _, reply = await world.post(control, headers=own, json={"type": "stats", "every_ms": 500})
            assert reply["error"] == "not_available"

    run(story())
