"""Servers to be measured, each in a process of its own: any that prints its address, and the obvious one.

The obvious server is what tutorials show: aiortc alone, a track whose `recv` edits each frame as it comes. It is run as
`python -m dynstream.pipelines.research.bench.servers MS`: it prints its address, answers `POST /offer`, and takes MS
milliseconds over each frame, off the event loop.
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from ...common.errors import PipelineError

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
READY: Final = re.compile(r"Ready: (https?://[^/\s]+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process holds.

    Attributes:
        memory: resident bytes.
    """

    memory: int
    files: int
    threads: int
    tasks: int
    sessions: int


@dataclass(frozen=True)
class ServerProcess:
    """A server that answers at `url`."""

    url: str
    http: aiohttp.ClientSession

    async def resources(self) -> Resources:
        """Of this moment, from /metrics."""
        async with self.http.get(self.url + "/metrics") as response:
            text = await response.text()

        def read(name: str) -> int:
            found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
            return round(sum(map(float, found)))

        return Resources(
            memory=read("process_resident_memory_bytes"),
            files=read("process_open_fds"),
            threads=read("dynstream_threads"),
            tasks=read("dynstream_tasks"),
            sessions=read("dynstream_sessions"),
        )


@contextlib.asynccontextmanager
async def server_process(module: str, arguments: Sequence[str]) -> AsyncIterator[ServerProcess]:
    """Start `python -m module arguments`, wait until it says "Ready: URL", and end it at the end of the block.

    Raises PipelineError with what it said where it does not come up.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said: list[str] = []
    drain: asyncio.Task[None] | None = None
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                url = await _wait_for_url(process.stderr, said)
        except TimeoutError:
            raise PipelineError(f"{module} did not come up within {START_SECONDS:g} s: {' '.join(said[-5:])}") from None
        drain = asyncio.ensure_future(_drain(process.stderr))
        async with aiohttp.ClientSession() as http:
            yield ServerProcess(url, http)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        if drain is not None:
            await drain


async def _wait_for_url(stream: asyncio.StreamReader, said: list[str]) -> str:
    while line := await stream.readline():
        said.append(line.decode(errors="replace").strip())
        if match := READY.search(said[-1]):
            return match[1]
    raise PipelineError(f"the server ended before it was ready: {' '.join(said[-5:])}")


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass


class EditedTrack(MediaStreamTrack):
    """Each frame of another track, a while later."""

    kind = "video"

    def __init__(self, source: MediaStreamTrack, seconds: float) -> None:
        super().__init__()
        self._source = source
        self._seconds = seconds

    async def recv(self) -> Any:
        """The next frame, however old."""
        frame = await self._source.recv()
        await asyncio.to_thread(time.sleep, self._seconds)
        return frame


def make_app(seconds: float) -> web.Application:
    """`POST /offer` as of dynstream's own server, and nothing else."""
    peers: set[RTCPeerConnection] = set()

    async def offer(request: web.Request) -> web.Response:
        body = await request.json()
        peer = RTCPeerConnection(RTCConfiguration([]))
        peers.add(peer)

        @peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            peer.addTrack(EditedTrack(track, seconds) if track.kind == "video" else track)

        await peer.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        local: Any = peer.localDescription
        return web.json_response({"type": "answer", "sdp": local.sdp})

    async def close(_: web.Application) -> None:
        await asyncio.gather(*(peer.close() for peer in peers))

    app = web.Application()
    app.router.add_post("/offer", offer)
    app.on_shutdown.append(close)
    return app


async def _serve(seconds: float) -> None:
    runner = web.AppRunner(make_app(seconds))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"Ready: http://127.0.0.1:{runner.addresses[0][1]}/", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]) / 1000))
