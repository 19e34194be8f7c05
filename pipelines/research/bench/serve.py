"""What the live server holds, measured by real aiortc clients on loopback that stamp each frame.

Server and clients are processes of their own and share the machine's cores. Each scenario starts a new server.
Steady streams have two rows: after the warm-up, and with everything from the first connection on.

`--json` writes the runs of the command, and the rows that each of them measured:

    {"runs": [{"command": "dynstream bench serve ...", "machine": {...}, "settings": {...}}],
     "rows": [{"run": 0, "key": "several", "scenario": "pass-through, 4 streams, ...", "numbers": {...}, ...}]}

Scenarios want different lengths, so a file may be put together from several runs; each row names its run.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import cv2
import numpy as np

from ....stream.frame import Pixels
from ....stream.webrtc.client import LiveClient
from ....stream.webrtc.lossy import LossyLine
from ...common.errors import PipelineError
from ...common.outcome import OutcomeKind
from ..common.json_files import read_json
from ..common.timing import plain
from .browser import watch_guest
from .serve_numbers import StreamNumbers, summarize
from .servers import Resources, ServerProcess, server_process
from .slow_requests import besiege

FIRST_FRAME_SECONDS: Final = 60.0
GONE_SECONDS: Final = 60.0
WARM_UP_CONNECTS: Final = 250
"""Before memory is counted: the heaps grow to the most that connections under way at once need, which takes about so
many; from there to 1,000 they stay as they are. A run of fewer connects warms up by as many."""
PLAIN: Final = "dynstream.pipelines.research.bench.servers"


@dataclass(frozen=True, slots=True)
class ServeBenchSettings:
    """How long and with what each scenario runs. Raises PipelineError for values that cannot be.

    Attributes:
        seconds: of each measurement.
        warm_up: seconds before it, from when every client has had a picture.
        size: (width, height).
        rate: frames a second that each client sends.
        streams: of the scenario with several.
        connects: of the one that comes and goes.
        sockets: of the one with unfinished requests.
        clip: that the browser's camera sees.
        edit: that the browser's guest sets, and its strength.
        loss, jitter: of the poor line; a share of 1, and seconds.
        codec: "VP8" or "H264".
    """

    seconds: float = 10.0
    warm_up: float = 5.0
    size: tuple[int, int] = (640, 360)
    rate: float = 30.0
    streams: int = 4
    connects: int = 20
    sockets: int = 1000
    clip: Path | None = None
    edit: tuple[str, float] = ("smile", 2.0)
    loss: float = 0.05
    jitter: float = 0.03
    codec: str = "VP8"

    def __post_init__(self) -> None:
        if self.seconds < 2 or self.rate <= 0 or min(self.streams, self.connects, self.sockets) < 1:
            raise PipelineError(f"expected at least 2 s, a rate above 0, one stream and one connect, got {self}")
        if self.warm_up < 0:
            raise PipelineError(f"expected a warm-up from 0 s, got {self.warm_up:g}")
        if not (0 <= self.loss < 1 and self.jitter >= 0):
            raise PipelineError(f"expected a loss from 0 to below 1 and a jitter from 0, got {self}")


@dataclass(frozen=True, slots=True)
class ServeRow:
    """One measurement.

    Attributes:
        before, after: what the server's process held, where it says so.
        notes: what else there is.
        key: of the scenario in SCENARIOS.
    """

    scenario: str
    numbers: StreamNumbers | None
    before: Resources | None
    after: Resources | None
    notes: Mapping[str, Any]
    key: str = ""


@dataclass(frozen=True, slots=True)
class StreamMeasurement:
    """The same streams over two times.

    Attributes:
        settled: after the warm-up.
        whole: from the first connection on; it has the settled part in it.
    """

    settled: StreamNumbers
    whole: StreamNumbers


@dataclass(frozen=True, kw_only=True)
class ServeRun:
    """One run of the command.

    Attributes:
        machine: see `machine.describe_machine`; its time is that of the run.
    """

    command: str
    machine: Mapping[str, Any]
    settings: ServeBenchSettings


Notify = Callable[[str], object]
Scenario = Callable[[ServeBenchSettings], Awaitable[list[ServeRow]]]


def make_picture(size: tuple[int, int]) -> Callable[[int], Pixels]:
    """Pictures that move like a scene does, cheap to make: a window that wanders over a large soft pattern."""
    width, height = size
    chance = np.random.default_rng(7)
    small = chance.integers(30, 220, (20, 32, 3)).astype(np.uint8)
    scene = cv2.resize(small, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)

    def draw(number: int) -> Pixels:
        x = round(width / 2 * (1 + np.sin(number / 60)))
        y = round(height / 2 * (1 + np.cos(number / 75)))
        return np.ascontiguousarray(scene[y : y + height, x : x + width])

    return draw


async def one_stream(settings: ServeBenchSettings) -> list[ServeRow]:
    """A model that takes no time, one stream."""
    return await _steady("pass-through, 1 stream", settings, 1, model_ms=0)


async def several_streams(settings: ServeBenchSettings) -> list[ServeRow]:
    """The same with several."""
    return await _steady(f"pass-through, {settings.streams} streams", settings, settings.streams, model_ms=0)


async def half_rate(settings: ServeBenchSettings) -> list[ServeRow]:
    """A model at half the input's rate, with sound; and the obvious server with the same model, in the same way."""
    model_ms = 2000 / settings.rate
    ours = await _steady("model at half rate", settings, 1, model_ms=model_ms, sound=True)
    async with server_process(PLAIN, [f"{model_ms:g}"]) as server, _clients(settings, 1, sound=True) as clients:
        measured = await _measure(server, clients, settings, stamp=False)
    return [*ours, *_rows("the obvious server, model at half rate", measured, settings)]


async def admission(settings: ServeBenchSettings) -> list[ServeRow]:
    """One stream more than there is room for."""
    async with _server(0, "--max-sessions", "2") as server, _clients(settings, 2) as clients:
        alone = (await _measure(server, clients, settings)).settled
        refusal: dict[str, Any] = {}

        async def knock() -> None:
            await asyncio.sleep(settings.seconds / 4)
            for _ in range(10):
                async with _clients(settings, 1) as more:
                    with contextlib.suppress(_RefusedError):
                        await more[0].connect(lambda offer: _signal(server, offer, refusal))

        knocking = asyncio.ensure_future(knock())
        meanwhile = await _watch_on(clients, settings)
        await knocking
    notes = {
        "status": refusal.get("status"),
        "retry_after": refusal.get("retry_after"),
        "refused": refusal.get("count"),
    }
    return [
        ServeRow("2 streams, room for 2", alone, None, None, {}),
        ServeRow("the same, 10 more knock", meanwhile, None, None, notes),
    ]


async def come_and_go(settings: ServeBenchSettings) -> list[ServeRow]:
    """Many connects and disconnects; every other client leaves its session to the grace time."""
    async with _server(0, "--grace", "1", "--max-sessions", "32", "--max-per-address", "32") as server:
        await _connects(server, settings, min(WARM_UP_CONNECTS, settings.connects))
        await _until_empty(server)
        before = await server.resources()
        await _connects(server, settings, settings.connects)
        await _until_empty(server)
        after = await server.resources()
    return [ServeRow(f"{settings.connects} connects and disconnects", None, before, after, {})]


async def poor_line(settings: ServeBenchSettings) -> list[ServeRow]:
    """Packets lost and late, both ways."""
    async with _server(0) as server, _clients(settings, 1, sound=True) as clients:
        lines: list[LossyLine] = []

        def spoil() -> None:
            chance = random.Random(11)
            lines.extend(LossyLine(one.connection, settings.loss, settings.jitter, chance) for one in clients)

        numbers = (await _measure(server, clients, settings, at_first_frame=spoil)).settled
        for line in lines:
            line.close()
    lost = sum(line.lost for line in lines) / max(1, sum(line.lost + line.passed for line in lines))
    name = f"loss {100 * settings.loss:g} %, jitter {1000 * settings.jitter:g} ms"
    return [ServeRow(name, numbers, None, None, {"lost_share": round(lost, 4)})]


async def slow_requests(settings: ServeBenchSettings) -> list[ServeRow]:
    """Requests that are begun and never ended."""
    async with _server(0) as server:
        before = await server.resources()
        notes = await besiege(server, settings.sockets, settings.seconds)
        after = await server.resources()
    return [ServeRow(f"{settings.sockets} unfinished requests", None, before, after, notes)]


async def in_browser(settings: ServeBenchSettings) -> list[ServeRow]:
    """The real networks, and a guest in Chromium whose picture is edited all the time."""
    if settings.clip is None:
        raise PipelineError("the browser needs a clip for its camera; give --clip")
    edit, strength = settings.edit
    async with server_process("dynstream", ["serve", "--port", "0", "--max-time", "0"]) as server:
        before = await server.resources()
        numbers, notes = await watch_guest(
            server, settings.clip, size=settings.size, edit=edit, strength=strength, warm_up=settings.warm_up,
            seconds=settings.seconds,
        )  # fmt: skip
        after = await server.resources()
    return [ServeRow(f"a browser, {edit} {strength:g}", numbers, before, after, notes)]


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "one": one_stream,
    "several": several_streams,
    "half-rate": half_rate,
    "admission": admission,
    "come-and-go": come_and_go,
    "poor-line": poor_line,
    "slow-requests": slow_requests,
    "browser": in_browser,
}
BY_DEFAULT: Final = tuple(name for name in SCENARIOS if name != "browser")
"""The others need neither weights nor a browser."""


async def bench_serve(
    names: Sequence[str], settings: ServeBenchSettings, watch: Notify = lambda what: None
) -> list[ServeRow]:
    """Run scenarios one after the other. Raises PipelineError for a name that there is not."""
    for name in names:
        if name not in SCENARIOS:
            raise PipelineError(f"unknown scenario {name!r}; expected one of {', '.join(SCENARIOS)}")
    rows = []
    for name in names:
        watch(f"{name} ...")
        rows += [replace(row, key=name) for row in await SCENARIOS[name](settings)]
    return rows


def make_report(run: ServeRun, rows: Sequence[ServeRow], earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The file's content.

    earlier: another one. Rows that this run measured replace those there, and runs without rows are left out.
    """
    measured = {row.key for row in rows}
    stay = [row for row in earlier["rows"] if row["key"] not in measured] if earlier else []
    used = sorted({row["run"] for row in stay})
    found = [row | {"run": used.index(row["run"])} for row in stay]
    found += [{"run": len(used)} | plain(row) for row in rows]
    order = list(SCENARIOS)
    found.sort(key=lambda row: order.index(row["key"]))
    runs = [earlier["runs"][number] for number in used] if earlier else []
    return {"runs": [*runs, plain(run)], "rows": found}


def read_report(path: Path) -> dict[str, Any]:
    """A file that `make_report` made. PipelineError for anything else, such as one of before rows named their run."""
    data = read_json(path)
    try:
        runs = len(data["runs"])
        whole = all(row["key"] in SCENARIOS and 0 <= row["run"] < runs for row in data["rows"])
    except (KeyError, TypeError) as error:
        raise PipelineError(_not_ours(path)) from error
    if not whole:
        raise PipelineError(_not_ours(path))
    return data


def _not_ours(path: Path) -> str:
    return f"cannot add to {path}: its rows do not name their run; leave out --add to measure everything again"


def _server(model_ms: float, *more: str) -> contextlib.AbstractAsyncContextManager[ServerProcess]:
    arguments = ["serve", "--port", "0", "--engine", "stand-in", "--stand-in-ms", f"{model_ms:g}", "--max-time", "0"]
    return server_process("dynstream", [*arguments, *more])


@contextlib.asynccontextmanager
async def _clients(settings: ServeBenchSettings, count: int, *, sound: bool = False) -> AsyncIterator[list[LiveClient]]:
    draw = make_picture(settings.size)
    clients = [
        LiveClient(draw, rate=settings.rate, sound=sound, channel="dynstream", codec=settings.codec)
        for _ in range(count)
    ]
    try:
        yield clients
    finally:
        await asyncio.gather(*(one.close() for one in clients))


async def _steady(
    name: str, settings: ServeBenchSettings, count: int, *, model_ms: float, sound: bool = False
) -> list[ServeRow]:
    more = ("--max-sessions", str(count), "--max-per-address", str(count))
    async with _server(model_ms, *more) as server, _clients(settings, count, sound=sound) as clients:
        held: list[Resources] = []

        async def look() -> None:
            await asyncio.sleep(settings.warm_up + settings.seconds / 5)
            held.append(await server.resources())

        looking = asyncio.ensure_future(look())
        measured = await _measure(server, clients, settings)
        await looking
        held.append(await server.resources())
        async with server.http.get(server.url + "/api/sessions") as response:
            sessions = (await response.json())["sessions"]
    frames = [one["stats"]["frames"] for one in sessions]
    notes = {key: sum(one[key] for one in frames) for key in ("received", *OutcomeKind)}
    return _rows(name, measured, settings, held[0], held[-1], notes)


def _rows(
    name: str,
    measured: StreamMeasurement,
    settings: ServeBenchSettings,
    before: Resources | None = None,
    after: Resources | None = None,
    notes: Mapping[str, Any] | None = None,
) -> list[ServeRow]:
    """notes: of the whole."""
    return [
        ServeRow(f"{name}, after {settings.warm_up:g} s of warm-up", measured.settled, before, after, {}),
        ServeRow(f"{name}, from the first connection on", measured.whole, None, None, notes or {}),
    ]


async def _measure(
    server: ServerProcess,
    clients: Sequence[LiveClient],
    settings: ServeBenchSettings,
    *,
    stamp: bool = True,
    at_first_frame: Callable[[], object] = lambda: None,
) -> StreamMeasurement:
    """Connect all of them, and measure for a while from when every one has had pictures for the warm-up."""
    begin = time.monotonic()
    for one in clients:
        await one.connect(lambda offer: _signal(server, offer, {}, stamp=stamp))
    for one in clients:
        await one.until(lambda client: bool(client.received.frames), FIRST_FRAME_SECONDS)
    at_first_frame()
    await asyncio.sleep(settings.warm_up)
    settled = await _watch_on(clients, settings)
    return StreamMeasurement(settled, _numbers(clients, begin, time.monotonic()))


async def _watch_on(clients: Sequence[LiveClient], settings: ServeBenchSettings) -> StreamNumbers:
    begin = time.monotonic()
    await asyncio.sleep(settings.seconds)
    return _numbers(clients, begin, time.monotonic())


def _numbers(clients: Sequence[LiveClient], begin: float, end: float) -> StreamNumbers:
    return summarize([(_sent(one, begin, end), one.received) for one in clients], begin, end)


def _sent(client: LiveClient, begin: float, end: float) -> int:
    return sum(begin <= when <= end for when in client.video.sent.values()) if client.video else 0


class _RefusedError(Exception):
    pass


async def _signal(server: ServerProcess, offer: str, refusal: dict[str, Any], *, stamp: bool = True) -> str:
    body: dict[str, Any] = {"type": "offer", "sdp": offer, "settings": {"stamp": stamp, "max_latency_ms": 2000}}
    async with server.http.post(server.url + "/offer", json=body) as response:
        if response.status != 200:
            refusal["status"] = response.status
            refusal["retry_after"] = response.headers.get("Retry-After")
            refusal["count"] = refusal.get("count", 0) + 1
            raise _RefusedError
        answer = await response.json()
    refusal["answer"] = answer
    return str(answer["sdp"])


async def _connects(server: ServerProcess, settings: ServeBenchSettings, count: int) -> None:
    gate = asyncio.Semaphore(4)

    async def visit(number: int) -> None:
        async with gate, _clients(settings, 1, sound=number % 3 == 0) as clients:
            told: dict[str, Any] = {}
            await clients[0].connect(lambda offer: _signal(server, offer, told))
            await clients[0].until(lambda client: bool(client.received.frames), FIRST_FRAME_SECONDS)
            if number % 2:
                await _leave(server.http, server.url, told["answer"])

    await asyncio.gather(*(visit(number) for number in range(count)))


async def _leave(http: aiohttp.ClientSession, url: str, answer: Mapping[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {answer['resume']}"}
    async with http.delete(f"{url}/offer/{answer['session']}", headers=headers) as response:
        response.raise_for_status()


async def _until_empty(server: ServerProcess) -> None:
    async with asyncio.timeout(GONE_SECONDS):
        while (await server.resources()).sessions:
            await asyncio.sleep(0.2)
    await asyncio.sleep(1.0)  # the last threads and sockets
