"""A server for tests of the page: in this process, on a thread, with the stub engine and the edits that are shipped."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynstream.models.directions.directions import load_directions
from dynstream.pipelines.serve.engine_adapter import list_choices
from dynstream.pipelines.serve.server import RunningServer, running
from dynstream.pipelines.serve.settings import ServeSettings
from dynstream.pipelines.serve.stub_engine import StubEngine


class PageEngine(StubEngine):
    """Tints as the stub does, lists the shipped edits, and is ready when `warm` is set."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.choices = list_choices(load_directions())
        self.warm = threading.Event()

    def warm_up(self) -> None:
        """Wait until somebody says so."""
        self.warm.wait()
        super().warm_up()


@dataclass(frozen=True)
class PageServer:
    """A running server, and the loop that it runs on."""

    running: RunningServer
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """Its address."""
        return self.running.url

    def tell(self, notice: str, message: str, **more: Any) -> None:
        """Send a notice to the clients of all sessions."""

        def tell() -> None:
            for session in self.running.context.sessions.by_name.values():
                session.tell(notice, message, **more)

        self.loop.call_soon_threadsafe(tell)


SERVERS: list[PageServer] = []
"""Those that run; what a private session is set to cannot be asked for over HTTP."""


def settings_of(session: str) -> dict[str, Any]:
    """The settings of a session of one of `SERVERS`."""
    found = (server.running.context.sessions.by_name.get(session) for server in SERVERS)
    return next(one.as_dict() for one in found if one is not None)


@contextlib.contextmanager
def page_server(engine: PageEngine, **settings: Any) -> Iterator[PageServer]:
    """Serve on a thread of its own until the block ends."""
    started: threading.Event = threading.Event()
    found: list[PageServer] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with running(ServeSettings(port=0, **settings), engine, threads=1) as server:
            found.append(PageServer(server, loop))
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())
        finally:
            started.set()

    thread = threading.Thread(target=run, name="page server")
    thread.start()
    try:
        started.wait()
        SERVERS.append(found[0])
        yield found[0]
    finally:
        SERVERS[:] = [server for server in SERVERS if server not in found]
        engine.warm.set()
        if found:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
