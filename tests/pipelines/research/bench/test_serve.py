import asyncio
import random

import pytest

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.bench.serve import SCENARIOS, ServeBenchSettings, bench_serve, make_picture
from dynstream.pipelines.research.bench.serve_numbers import freeze, sound_offsets, summarize
from dynstream.pipelines.research.bench.servers import make_app, server_process
from dynstream.stream.webrtc.client import LiveClient, Received, Seen
from dynstream.stream.webrtc.lossy import LossyLine
from dynstream.stream.webrtc.stamp import read_stamp, write_stamp


def seen(number: int, age: float, rate: float = 30.0) -> Seen:
    sent = 100 + number / rate
    return Seen(number, sent, sent + age, (640, 360))


def test_ages_growth_and_freezes_are_those_of_the_frames() -> None:
    received = Received([seen(number, 0.1 + 0.001 * number) for number in range(300) if not 100 <= number < 130])
    numbers = summarize([(300, received)], 100, 110.4)
    assert (numbers.sent, numbers.received, numbers.legible) == (300, 270, 270)
    assert numbers.age_p50 == pytest.approx(265, abs=10)
    assert numbers.age_most == pytest.approx(399)
    assert numbers.growth == pytest.approx(60_000 * 0.001 * 30 / 1.03, rel=0.02)
    assert numbers.longest_freeze == pytest.approx(1000 * 31 / 30 + 31, abs=1)
    assert len(numbers.ages_over_time) == 5


def test_frames_outside_the_time_and_illegible_ones_are_left_out() -> None:
    received = Received([seen(number, 0.1) for number in range(300)] + [Seen(None, None, 105.0, (640, 360))])
    numbers = summarize([(60, received)], 104.01, 106.01)
    assert numbers.received == 61
    assert numbers.legible == 60
    assert numbers.frames_per_second == pytest.approx(30.5)


def test_nothing_that_came_back_is_one_long_freeze() -> None:
    numbers = summarize([(300, Received())], 100, 110)
    assert (numbers.age_p50, numbers.growth, numbers.sound_offset) == (None, None, None)
    assert numbers.longest_freeze == 10_000
    assert freeze([3.0, 1.0], 0, 4) == 2000


def test_a_beep_is_compared_with_the_pictures_around_it() -> None:
    received = Received([seen(number, 0.2) for number in range(90)], [(101.0, 101.23), (102.0, 102.15), (500.0, 500.2)])
    assert sound_offsets(received, 100, 600) == [pytest.approx(30), pytest.approx(-50)]


def test_settings_and_names_that_cannot_be_are_refused() -> None:
    for wrong in ({"seconds": 1.0}, {"rate": 0.0}, {"loss": 1.0}, {"streams": 0}, {"warm_up": -1.0}):
        with pytest.raises(PipelineError):
            ServeBenchSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=f"expected one of {next(iter(SCENARIOS))}"):
        asyncio.run(bench_serve(["nothing"], ServeBenchSettings()))


def test_the_start_is_told_beside_what_comes_after_it() -> None:
    settings = ServeBenchSettings(seconds=2, warm_up=0.5, size=(160, 96), rate=5)
    rows = asyncio.run(asyncio.wait_for(bench_serve(["one"], settings), 200))
    settled, whole = rows
    assert settled.scenario == "pass-through, 1 stream, after 0.5 s of warm-up"
    assert whole.scenario == "pass-through, 1 stream, from the first connection on"
    assert settled.numbers is not None
    assert whole.numbers is not None
    assert whole.numbers.received > settled.numbers.received > 0
    assert settled.before is not None


def test_a_server_that_does_not_come_up_is_quoted() -> None:
    async def start() -> None:
        async with server_process("dynstream", ["serve", "--port", "99999"]):
            raise AssertionError("there is no such port")

    with pytest.raises(PipelineError, match="99999"):
        asyncio.run(start())


def test_the_pictures_move_and_keep_their_stamp() -> None:
    draw = make_picture((320, 180))
    first, second = draw(0), draw(10)
    assert first.shape == (180, 320, 3)
    assert abs(first.astype(int) - second).mean() > 2
    write_stamp(first, 99)
    assert read_stamp(first) == 99


def test_the_obvious_server_answers_and_sends_back() -> None:
    from aiohttp.test_utils import TestClient, TestServer

    async def story() -> None:
        async with TestClient(TestServer(make_app(0.001))) as http:
            client = LiveClient(make_picture((160, 96)), rate=10)

            async def signal(offer: str) -> str:
                async with http.post("/offer", json={"sdp": offer}) as response:
                    return str((await response.json())["sdp"])

            try:
                await client.connect(signal)
                await client.until(lambda one: len(one.received.frames) > 2, 90)
            finally:
                await client.close()

    asyncio.run(asyncio.wait_for(story(), 200))


def test_a_poor_line_loses_and_delays_what_it_should() -> None:
    class Transport:
        def __init__(self) -> None:
            self.sent: list[bytes] = []
            self.came: asyncio.Queue[bytes] = asyncio.Queue()

        async def _send(self, data: bytes) -> None:
            self.sent.append(data)

        async def _recv(self) -> bytes:
            return await self.came.get()

    class Connection:
        pass

    async def story() -> None:
        transport, connection = Transport(), Connection()
        connection._Connection__iceTransports = {transport}  # type: ignore[attr-defined]
        line = LossyLine(connection, 0.1, 0.0, random.Random(1))  # type: ignore[arg-type]
        for number in range(1000):
            await transport._send(b"%d" % number)  # replaced by the line's
            transport.came.put_nowait(b"%d" % number)
        got = []
        while line.lost + line.passed < 2000:
            await asyncio.sleep(0)
        for _ in range(500):
            got.append(await transport._recv())
        assert got == sorted(got, key=int)
        assert 120 < line.lost < 280
        line.close()

    asyncio.run(asyncio.wait_for(story(), 60))


def test_requests_that_never_end_do_not_keep_others_from_their_answer() -> None:
    settings = ServeBenchSettings(seconds=2, sockets=100)
    (row,) = asyncio.run(bench_serve(["slow-requests"], settings))
    assert row.notes["failed"] == 0
    assert row.notes["asked"] > 0
    assert row.notes["healthz_ms_p50"] <= row.notes["healthz_ms_p95"] <= row.notes["healthz_ms_worst"]
