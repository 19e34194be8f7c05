"""All sessions of a server: admission, resumption and expiry."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from .engine_interface import EditEngine, EditSession, NoRoomError
from .http_errors import RETRY_SECONDS, RefusalError, overloaded
from .meters import Meters
from .session import LiveSession, Place
from .settings import ServeSettings
from .stream_settings import StreamSettings

SWEEP_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class Sessions:
    """Used on the event loop alone. told: of each sample of each stream, for the server's metrics."""

    def __init__(
        self,
        engine: EditEngine,
        settings: ServeSettings,
        executor: Executor,
        *,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[str, str, float], object] = lambda kind, name, value: None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.by_name: dict[str, LiveSession] = {}
        self.refused = 0
        self.opened = 0
        self.resumed = 0
        self._executor = executor
        self._clock = clock
        self._told = told
        self._opening: list[Place] = []

    def defaults(self) -> StreamSettings:
        """The settings of a stream without settings from its client."""
        return StreamSettings(max_latency_ms=self.settings.max_latency_ms, watermark=self.settings.watermark)

    async def open(self, address: str, kind: str, settings: StreamSettings, name: str | None = None) -> LiveSession:
        """A new session. Raises RefusalError if there is no room, or the name is taken."""
        limits = self.settings.limits
        taken = [session.place for session in self.by_name.values()] + self._opening
        if name is not None and any(place.name == name for place in taken):
            raise RefusalError("name_taken", f"somebody publishes as {name!r}; choose another name, or wait")
        if len(taken) >= limits.sessions:
            self.refused += 1
            raise overloaded(f"the server has room for {limits.sessions} sessions")
        if sum(place.address == address for place in taken) >= limits.per_address:
            self.refused += 1
            raise RefusalError(
                "address_limit", f"an address may have {limits.per_address} sessions at a time", retry=RETRY_SECONDS
            )
        place = Place(name or secrets.token_urlsafe(6), address, kind)
        edit = await self._open_edit(place)
        session = LiveSession(
            place,
            self.engine,
            edit,
            settings,
            limits,
            self._executor,
            Meters(self._clock, self._told),
            largest=self.settings.max_size,
            clock=self._clock,
        )
        self.by_name[session.place.name] = session
        self.opened += 1
        log.info("session %s opened", session.place.name)
        return session

    async def _open_edit(self, place: Place) -> EditSession:
        self._opening.append(place)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.open)
        except NoRoomError as error:
            self.refused += 1
            raise overloaded("the device has no room for another session") from error
        finally:
            self._opening.remove(place)

    def resume(self, token: str) -> LiveSession | None:
        """The session of this resume token; None if it has ended."""
        for session in self.by_name.values():
            if session.resume_token and secrets.compare_digest(session.resume_token.encode(), token.encode()):
                self.resumed += 1
                return session
        return None

    def find(self, name: str) -> LiveSession:
        """The session of that name. Raises RefusalError."""
        if name not in self.by_name:
            raise RefusalError("no_session", "there is no session of that name")
        return self.by_name[name]

    def stream(self, name: str | None) -> LiveSession:
        """The stream to watch: of that name, or the only one. Raises RefusalError."""
        if name is not None:
            if name not in self.by_name:
                raise RefusalError("no_stream", "nobody publishes under that name")
            return self.by_name[name]
        if len(self.by_name) != 1:
            raise RefusalError("no_stream", f"there are {len(self.by_name)} streams; watch one by its name, /whep/NAME")
        return next(iter(self.by_name.values()))

    async def end(self, session: LiveSession, reason: str) -> None:
        """End a session and forget it."""
        if self.by_name.get(session.place.name) is session:
            del self.by_name[session.place.name]
        await session.close(reason)

    async def sweep(self) -> None:
        """End every session whose time is over."""
        for session in tuple(self.by_name.values()):
            if (reason := session.why_over()) is not None:
                await self.end(session, reason)

    async def sweep_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with contextlib.suppress(Exception):
                await self.sweep()

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*(self.end(session, "the server stops") for session in tuple(self.by_name.values())))
