"""A server to be measured, in a process of its own, and what it says of itself."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from ...common.errors import PipelineError

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
READY: Final = re.compile(r"Ready: (https?://[^/\s]+)")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process holds. memory: resident bytes."""

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
