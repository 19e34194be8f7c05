"""Clients that begin a request and never end it (slow-loris), and how long a server's /healthz takes meanwhile."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from .servers import ServerProcess

BEGUN: Final = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
EVERY_SECONDS: Final = 0.1
AGAIN_SECONDS: Final = 0.2
GIVE_UP_SECONDS: Final = 60.0


async def besiege(server: ServerProcess, sockets: int, seconds: float) -> Mapping[str, Any]:
    """Keep so many unfinished requests up, and ask /healthz ten times a second on connections of its own."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    host, port = address.hostname, address.port or 80
    siege = [asyncio.ensure_future(_never_ending(host, port, _address(number))) for number in range(sockets)]
    took: list[float] = []
    failed = 0
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    answer = await _ask(host, port)
            except (OSError, TimeoutError):
                answer = b""
            failed += b" 200 " not in answer
            took.append(time.monotonic() - begun)
            await asyncio.sleep(EVERY_SECONDS)
    finally:
        for one in siege:
            one.cancel()
        await asyncio.gather(*siege, return_exceptions=True)
    p50, p95, worst = 1000 * np.percentile(took, (50, 95, 100))
    return {
        "healthz_ms_p50": round(p50),
        "healthz_ms_p95": round(p95),
        "healthz_ms_worst": round(worst),
        "asked": len(took),
        "failed": failed,
    }


async def _ask(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return await reader.readline()
    finally:
        writer.close()


def _address(number: int) -> tuple[str, int] | None:
    """Where a client comes from: fifty from each of many addresses of this machine, as from many machines. Otherwise
    the server's limit for one address would end the siege, and turn away who asks for its health from there.
    """
    return (f"127.0.0.{2 + number // 50}", 0) if sys.platform == "linux" else None


async def _never_ending(host: str, port: int, origin: tuple[str, int] | None) -> None:
    """Begins a request, sends a letter a second, and begins again where it is cut off."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port, local_addr=origin)
            try:
                writer.write(BEGUN)
                while not reader.at_eof():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0):  # wait_for may lose the cancel that ends the siege
                            await reader.read(1)
                    writer.write(b"x")
            finally:
                writer.close()
        await asyncio.sleep(AGAIN_SECONDS)
