"""Run a server with its settings and an engine until it is stopped."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiohttp import web

from ...models.allocator import share_heaps
from ...stream.webrtc.datagrams import read_until_empty
from ...stream.webrtc.network import usable_addresses, use_ports
from .app import make_app
from .context import Context
from .engine_interface import EditEngine
from .metrics import Metrics
from .sessions import Sessions
from .settings import ServeSettings, ServeSettingsError

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


@contextlib.asynccontextmanager
async def running(settings: ServeSettings, engine: EditEngine, *, threads: int = 2) -> AsyncIterator[RunningServer]:
    """Serve until the block ends; then every session is ended and every thread is joined.

    threads: of conversion and of encoding each. The engine is warmed up beside it, and closed at the end.
    Raises ServeSettingsError if the address is not available or the certificate cannot be used.
    """
    tls = _tls(settings)
    converting = ThreadPoolExecutor(threads, "convert")
    encoding = ThreadPoolExecutor(threads, "encode")
    loading = ThreadPoolExecutor(1, "warm-up")
    metrics = Metrics()
    sessions = Sessions(engine, settings, converting, told=metrics.told)
    metrics.watch(sessions)
    addresses = tuple(settings.addresses or usable_addresses())
    context = Context(settings, sessions, metrics, encoding, addresses)
    loop = asyncio.get_running_loop()
    read_until_empty(loop)
    if settings.ports is not None:
        use_ports(loop, settings.ports)
    runner = web.AppRunner(make_app(context), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    tasks: list[asyncio.Task[None]] = []
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise ServeSettingsError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; choose another --port, "
                "or end what listens there"
            ) from error
        warm = asyncio.ensure_future(_warm_up(context, engine, loading))
        tasks = [warm, asyncio.ensure_future(sessions.sweep_for_ever())]
        yield RunningServer(_url(settings, runner), context, warm)
    finally:
        context.stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sessions.close()
        await runner.cleanup()
        for pool in (loading, converting, encoding):
            pool.shutdown()
        engine.close()


async def _warm_up(context: Context, engine: EditEngine, loading: ThreadPoolExecutor) -> None:
    await asyncio.get_running_loop().run_in_executor(loading, engine.warm_up)
    context.ready = True


def _tls(settings: ServeSettings) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ServeSettingsError(
            f"cannot use the certificate {settings.certificate} with the key {settings.key}: "
            f"{error.strerror or error}; expected PEM files that belong together"
        ) from error
    return context


def _url(settings: ServeSettings, runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    settings: ServeSettings,
    engine: EditEngine,
    stop: asyncio.Event,
    told: Callable[[str, bool], object] = lambda url, ready: None,
) -> None:
    """Serve until `stop`. told: the address, when HTTP answers and again when sessions can begin.

    Raises what the warm-up raises, and ServeSettingsError.
    """
    share_heaps()
    async with running(settings, engine) as server:
        told(server.url, False)
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({server.warm, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if server.warm.done():
                server.warm.result()
                told(server.url, True)
            await stopping
        finally:
            stopping.cancel()
