"""A server and its clients inside a test, all on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import aiohttp
import msgpack
import numpy as np

from dynstream.pipelines.serve.server import RunningServer, running
from dynstream.pipelines.serve.settings import Limits, ServeSettings
from dynstream.pipelines.serve.stub_engine import StubEngine
from dynstream.stream.frame import Pixels
from dynstream.stream.webrtc.client import LiveClient

T = TypeVar("T")
PATIENCE = 90.0
"""Seconds until a test gives up; nothing waits for it where all is well."""

SMALL = (160, 96)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine, with an end."""
    return asyncio.run(asyncio.wait_for(work, 3 * PATIENCE))


def grey(number: int, size: tuple[int, int] = SMALL) -> Pixels:
    """A plain picture, which any codec keeps."""
    return np.full((size[1], size[0], 3), 100, np.uint8)


@dataclass
class Lab:
    """A running server, its engine, and HTTP."""

    server: RunningServer
    engine: StubEngine
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def sessions(self) -> Any:
        return self.server.context.sessions

    async def post(self, path: str, **how: Any) -> "tuple[int, Any, Any]":
        """(status, headers, JSON or text)."""
        async with self.http.post(self.url + path, **how) as response:
            return response.status, response.headers, await _body(response)

    async def request(self, method: str, path: str, **how: Any) -> "tuple[int, Any, Any]":
        async with self.http.request(method, self.url + path, **how) as response:
            return response.status, response.headers, await _body(response)

    async def join(self, client: LiveClient, **more: Any) -> dict[str, Any]:
        """Connect as the page does; the answer without its SDP."""
        answers: list[dict[str, Any]] = []

        async def signal(offer: str) -> str:
            body = {"protocol": 1, "type": "offer", "sdp": offer, **more}
            status, _, answer = await self.post("/offer", json=body)
            if status != 200:
                raise AssertionError(f"{status} {answer}")
            answers.append(answer)
            return str(answer.pop("sdp"))

        await client.connect(signal)
        return answers[0]


async def _body(response: aiohttp.ClientResponse) -> Any:
    if response.content_type == "application/json":
        return await response.json()
    return await response.text()


@contextlib.asynccontextmanager
async def lab(engine: StubEngine | None = None, limits: Limits | None = None, **settings: Any) -> AsyncIterator[Lab]:
    """A server on a free port, warmed up."""
    engine = engine or StubEngine()
    chosen = replace(ServeSettings(port=0, addresses=("127.0.0.1",), **settings), limits=limits or Limits())
    async with running(chosen, engine) as server, aiohttp.ClientSession() as http:
        await server.warm
        yield Lab(server, engine, http)


@contextlib.asynccontextmanager
async def client(draw: Callable[[int], Pixels] | None = grey, **how: Any) -> AsyncIterator[LiveClient]:
    """A client that is closed at the end."""
    one = LiveClient(draw, **({"rate": 15.0, "addresses": ("127.0.0.1",)} | how))
    try:
        yield one
    finally:
        await one.close()


class Talk:
    """The control channel of a client: requests are answered in order."""

    def __init__(self, one: LiveClient) -> None:
        assert one.channel is not None
        self.channel = one.channel
        self.pushed: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._open = asyncio.Event()
        self.channel.on("open", self._open.set)
        self.channel.on("message", self._take)

    def _take(self, data: bytes) -> None:
        message = msgpack.unpackb(data)
        queue = self._answers if message["type"] in ("ok", "error") else self.pushed
        queue.put_nowait(message)

    async def opened(self) -> None:
        await asyncio.wait_for(self._open.wait(), PATIENCE)

    async def raw(self, data: bytes | str) -> dict[str, Any]:
        self.channel.send(data)
        return await asyncio.wait_for(self._answers.get(), PATIENCE)

    async def ask(self, **message: Any) -> dict[str, Any]:
        return await self.raw(msgpack.packb(message))

    async def push(self, kind: str) -> dict[str, Any]:
        """The next message of a type that the server sends by itself."""
        while True:
            message = await asyncio.wait_for(self.pushed.get(), PATIENCE)
            if message["type"] == kind:
                return message


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """FrameAnalysis every few milliseconds until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
