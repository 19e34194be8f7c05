"""All sessions of a server: admission, resumption and expiry."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from .addresses import limit_key
from .capacity import Capacity
from .engine_interface import EditEngine, EditSession, NoRoomError
from .http_errors import RETRY_SECONDS, RefusalError, overloaded
from .kept_settings import KeptSettings
from .logs import SESSION
from .meters import Meters
from .rights import WATCH, Caller, same
from .session import LiveSession, Place
from .settings import ServeSettings
from .stream_settings import StreamSettings
from .waiting_line import WaitingLine

SWEEP_SECONDS: Final = 1.0
YIELD_SECONDS: Final = 10.0
"""Seconds after which a lost session gives its place to somebody who waits for one."""

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
        self.capacity: Capacity | None = None
        self.waiting = WaitingLine(clock)
        self.kept = KeptSettings(settings.keep)
        self.refused = 0
        self.opened = 0
        self.resumed = 0
        self._executor = executor
        self._clock = clock
        self._told = told
        self._lost: Counter[str] = Counter()
        self._opening: list[Place] = []

    def defaults(self, name: str | None = None) -> StreamSettings:
        """The settings of a stream without settings from its client. name: under which it may have had some before."""
        found = StreamSettings(max_latency_ms=self.settings.max_latency_ms, watermark=self.settings.watermark)
        return found if name is None else self.kept.find(name, found, self.engine.choices, self.engine.modes)

    @property
    def most(self) -> int:
        """Sessions at a time: what was allowed, and no more than the device holds."""
        most = self.settings.limits.sessions
        return most if self.capacity is None else self.capacity.streams(most)

    def rate(self, more: int = 0) -> float:
        """Frames a second that the device has for each session, with so many more than there are."""
        most = float(self.settings.max_frame_rate)
        return most if self.capacity is None else self.capacity.rate(len(self.by_name) + more, most)

    def describe_capacity(self) -> dict[str, float]:
        """For clients and proxies: streams in all, the rate of one more, how many are free and how many wait."""
        free = max(0, self.most - len(self.by_name) - len(self._opening))
        return {"streams": self.most, "frame_rate": self.rate(1), "free": free, "waiting": len(self.waiting)}

    async def open(
        self, address: str, kind: str, settings: StreamSettings, name: str | None = None, ticket: str | None = None
    ) -> LiveSession:
        """A new session. ticket: of one who waits, "" for the first time.

        Raises RefusalError if there is no room, or the name is taken.
        """
        limits, key = self.settings.limits, limit_key(address)
        taken = [session.place for session in self.by_name.values()] + self._opening
        if name is not None and any(place.name == name for place in taken):
            raise RefusalError("name_taken", f"somebody publishes as {name!r}; choose another name, or wait")
        if sum(limit_key(place.address) == key for place in taken) >= limits.per_address:
            self.refused += 1
            raise RefusalError(
                "address_limit", f"an address may have {limits.per_address} sessions at a time", retry=RETRY_SECONDS
            )
        if len(taken) >= self.most:
            await self._end_lost()
        before = self.waiting.place(ticket)
        if len(self.by_name) + len(self._opening) + before >= self.most:
            raise self._full(ticket, f"the server has room for {self.most} sessions")
        place = Place(name or self._new_name(), address, kind, named=name is not None)
        edit = await self._open_edit(place, ticket)
        self.waiting.leave(ticket)
        SESSION.set(place.name)
        session = LiveSession(
            place,
            self.engine,
            edit,
            settings,
            limits,
            self._executor,
            Meters(self._clock, self._told),
            largest=self.settings.max_size,
            highest_rate=self.rate,
            mark=self.settings.mark,
            clock=self._clock,
        )
        self.by_name[session.place.name] = session
        self.opened += 1
        log.info("the session is opened")
        return session

    def _new_name(self) -> str:
        server = self.settings.server
        return f"{server}-{secrets.token_urlsafe(6)}" if server else secrets.token_urlsafe(6)

    def _full(self, ticket: str | None, why: str) -> RefusalError:
        self.refused += 1
        return overloaded(why) if ticket is None else overloaded(why, *self.waiting.wait(ticket))

    async def _end_lost(self) -> None:
        """End the session that has been lost for longest, if for long enough."""
        lost = max(self.by_name.values(), key=lambda one: one.lost_seconds, default=None)
        if lost is not None and lost.lost_seconds > YIELD_SECONDS:
            await self.end(lost, "somebody else waited for its place")

    async def _open_edit(self, place: Place, ticket: str | None) -> EditSession:
        self._opening.append(place)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.open)
        except NoRoomError as error:
            raise self._full(ticket, "the device has no room for another session") from error
        finally:
            self._opening.remove(place)

    def resume(self, token: str) -> LiveSession | None:
        """The session of this resume token; None if it has ended."""
        for session in self.by_name.values():
            if session.resume_token and same(session.resume_token, token):
                return session
        return None

    def find(self, name: str) -> LiveSession:
        """The session of that name. Raises RefusalError."""
        if name not in self.by_name:
            raise RefusalError("no_session", "there is no session of that name")
        return self.by_name[name]

    def stream(self, name: str | None, caller: Caller) -> tuple[LiveSession, bool]:
        """(the stream to watch, whether by its share link): of that name, or the only one that the caller may watch.

        A page's is private: its share key opens it, and nothing else. Raises RefusalError.
        """
        found = self.by_name.get(name or "")
        if found is not None and found.share_key and same(found.share_key, caller.secret):
            return found, True
        public = [session for session in self.by_name.values() if session.place.kind == "whip"]
        if name is not None:
            caller.check(WATCH, name)
            if found not in public:
                raise RefusalError("no_stream", "nobody publishes under that name")
            return found, False
        seen = [session for session in public if caller.may(WATCH, session.place.name)]
        if not seen and not caller.rights:
            caller.check(WATCH)
        if len(seen) != 1:
            raise RefusalError("no_stream", f"there are {len(seen)} streams; watch one by its name, /whep/NAME")
        return seen[0], False

    def is_share_key(self, secret: str) -> bool:
        """Whether it is the key of a share link."""
        return any(one.share_key and same(one.share_key, secret) for one in self.by_name.values())

    def lost_packets(self, name: str) -> int:
        """Packets lost so far, of all sessions that there were. name: lost_in or lost_out of `Line`."""
        return self._lost[name] + sum(session.lost_packets[name] for session in self.by_name.values())

    async def end(self, session: LiveSession, reason: str) -> None:
        """End a session and forget it."""
        SESSION.set(session.place.name)
        if self.by_name.get(session.place.name) is session:
            self._keep(session)
            del self.by_name[session.place.name]
            self._lost.update(session.lost_packets)
        await session.close(reason)

    async def sweep(self) -> None:
        """End every session whose time is over, and look after the others."""
        for session in tuple(self.by_name.values()):
            SESSION.set(session.place.name)
            if (reason := session.why_over()) is not None:
                await self.end(session, reason)
            else:
                await session.look_after()
                self._keep(session)

    def _keep(self, session: LiveSession) -> None:
        if session.place.named:
            self.kept.note(session.place.name, session.settings)

    async def sweep_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:
                log.exception("the sessions could not be looked after")

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*(self.end(session, "the server ends") for session in tuple(self.by_name.values())))
