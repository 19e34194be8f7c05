"""Run a server with its settings and an engine until it is stopped."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from ...models.allocator import share_heaps
from ...stream.webrtc.datagrams import read_until_empty
from ...stream.webrtc.network import usable_addresses, use_ports
from ...stream.webrtc.shared_port import share_port
from .addresses import is_in
from .app import make_app
from .capacity import Capacity, measure
from .certificate import Certificate
from .connections import Connections
from .context import RESTART_SECONDS, Context
from .engine_interface import EditEngine
from .metrics import Metrics
from .sessions import Sessions
from .settings import ServeSettings
from .settings_error import ServeSettingsError

BACKLOG: Final = 1024
SWEEP_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningServer:
    """A running server.

    Attributes:
        url: address of HTTP.
        warm: done when the engine is warm; it raises an error of the warm-up.
    """

    url: str
    context: Context
    warm: "asyncio.Task[None]"

    async def drain(self) -> None:
        """Take no more sessions, tell those that there are, and wait until they have left or their time is over."""
        sessions, seconds = self.context.sessions, self.context.settings.drain_seconds
        self.context.restarting = True
        for session in sessions.by_name.values():
            session.tell(
                "restarting",
                "the server restarts; connect again",
                in_seconds=round(seconds, 1),
                retry_seconds=RESTART_SECONDS,
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while sessions.by_name:
                    await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(settings: ServeSettings, engine: EditEngine, *, threads: int = 2) -> AsyncIterator[RunningServer]:
    """Serve until the block ends; then every session is ended and every thread is joined.

    threads: of conversion and of encoding each. The engine is warmed up beside it, and closed at the end.
    Raises ServeSettingsError if the address is not available or the certificate cannot be used.
    """
    certificate = None
    if settings.certificate is not None and settings.key is not None:
        certificate = Certificate(settings.certificate, settings.key)
    converting = ThreadPoolExecutor(threads, "convert")
    encoding = ThreadPoolExecutor(threads, "encode")
    loading = ThreadPoolExecutor(1, "warm-up")
    metrics = Metrics()
    sessions = Sessions(engine, settings, converting, told=metrics.told)
    limits = settings.limits
    connections = Connections(
        limits.connections, limits.connections_per_address, trusted=lambda address: is_in(address, settings.proxies)
    )
    metrics.watch(sessions, connections)
    addresses = tuple(settings.addresses or usable_addresses())
    context = Context(settings, sessions, metrics, encoding, addresses)
    tasks: list[asyncio.Task[None]] = []
    with contextlib.ExitStack() as closing:
        _use_ports(settings, closing)
        runner = web.AppRunner(make_app(context), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        assert runner.server is not None
        try:
            listener = closing.enter_context(_listen(settings))
            warm = asyncio.ensure_future(_warm_up(context, engine, loading))
            tls = None if certificate is None else certificate.context
            tasks = [
                warm,
                asyncio.ensure_future(sessions.sweep_for_ever()),
                asyncio.ensure_future(connections.accept_for_ever(listener, runner.server, tls)),
                asyncio.ensure_future(_look_after(connections, certificate)),
            ]
            yield RunningServer(_url(settings, listener), context, warm)
        finally:
            context.restarting = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await sessions.close()
            await runner.cleanup()
            for pool in (loading, converting, encoding):
                pool.shutdown()
            engine.close()


def _use_ports(settings: ServeSettings, closing: contextlib.ExitStack) -> None:
    loop = asyncio.get_running_loop()
    read_until_empty(loop)
    if settings.port_of_all is not None:
        closing.callback(share_port(loop, settings.port_of_all))
    elif settings.ports is not None:
        use_ports(loop, settings.ports)


def _listen(settings: ServeSettings) -> socket.socket:
    """Raises ServeSettingsError if the address is not available."""
    try:
        where = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(where[4][:2], family=where[0], backlog=BACKLOG)
    except OSError as error:
        raise ServeSettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; choose another --port, or "
            "end what listens there"
        ) from error
    listener.setblocking(False)
    return listener


async def _look_after(connections: Connections, certificate: Certificate | None) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        connections.sweep()
        if certificate is not None:
            certificate.renew()


async def _warm_up(context: Context, engine: EditEngine, loading: ThreadPoolExecutor) -> None:
    loop, settings, sessions = asyncio.get_running_loop(), context.settings, context.sessions
    await loop.run_in_executor(loading, engine.warm_up)
    if settings.measure_seconds:
        most = settings.limits.sessions
        sessions.capacity = await loop.run_in_executor(loading, measure, engine, settings.measure_seconds, most)
    context.ready = True


def describe(capacity: Capacity, most: int, frame_rate: int) -> str:
    """What the device holds, and what of `--max-sessions` it does not."""
    held = capacity.streams(most)
    streams = f"{held} edited stream{'s' if held > 1 else ''}"
    text = f"Holds {streams} of 640x360 at {capacity.rate(held, frame_rate):g} frames/s"
    if held < most:
        text += f"; --max-sessions {most} is more than this device takes, {held} is the limit"
    return text


def _url(settings: ServeSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{settings.base_path}"


async def serve(
    settings: ServeSettings,
    engine: EditEngine,
    stop: asyncio.Event,
    told: Callable[[str, bool, Capacity | None], object] = lambda url, ready, capacity: None,
    *,
    drain: asyncio.Event | None = None,
) -> None:
    """Serve until `stop`, or after `drain` until the sessions have left.

    told: the address, when HTTP answers and again when sessions can begin; then with what was measured. Raises what the
    warm-up raises, and ServeSettingsError.
    """
    share_heaps()
    async with running(settings, engine) as server:
        told(server.url, False, None)
        ending = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(_drained(server, drain))]
        try:
            await asyncio.wait({server.warm, *ending}, return_when=asyncio.FIRST_COMPLETED)
            if server.warm.done():
                server.warm.result()
                told(server.url, True, server.context.sessions.capacity)
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ending:
                task.cancel()


async def _drained(server: RunningServer, drain: asyncio.Event | None) -> None:
    await (drain or asyncio.Event()).wait()
    await server.drain()
