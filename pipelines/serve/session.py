"""The session of one stream: its settings, its video and sound pumps, and its connections."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final

from ...stream.webrtc.peer import Peer
from ...stream.webrtc.tracks import read_sound, read_video
from .engine_interface import CHOSEN, EditEngine, EditSession
from .http_errors import RefusalError
from .meters import Meters
from .settings import Limits
from .sound_pump import SoundPump
from .stream_settings import StreamSettings
from .video_pump import VideoPump

BYPASS_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 60.0
"""Seconds in which an answered offer must become a connection."""

OVERLOADED, RELIEVED = 0.5, 0.1
"""Shares of late frames at which the client is told of the load; between the two nothing changes."""

HUNG_SECONDS: Final = 1.0
"""Seconds beyond the maximum latency after which an engine that keeps it counts as hung."""

Notice = Callable[[str, str, Mapping[str, Any]], object]
"""(name, message, further fields) of a notice of docs/protocol.md."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """The name and client of a session.

    Attributes:
        name: for viewers.
        address: of its client.
        kind: "page" or "whip".
    """

    name: str
    address: str
    kind: str


class LiveSession:
    """From the first offer to the end of the last grace time. Used on the event loop alone."""

    def __init__(
        self,
        place: Place,
        engine: EditEngine,
        edit: EditSession,
        settings: StreamSettings,
        limits: Limits,
        executor: Executor,
        meters: Meters,
        *,
        largest: tuple[int, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.engine = engine
        self.meters = meters
        self.limits = limits
        self.settings = settings
        self.resume_token = ""
        self.peer: Peer | None = None
        self.viewers: dict[str, Peer] = {}
        self.notices: set[Notice] = set()
        self.ended = asyncio.Event()
        self._edit = edit
        self._clock = clock
        self._bypass_until = 0.0
        self._attaching = asyncio.Lock()
        self._lost_since: float | None = None
        self._connecting_since: float | None = clock()
        self._readers: list[asyncio.Task[None]] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._bytes: deque[tuple[float, int]] = deque(maxlen=64)
        self._face_told: bool | None = None
        self._overload_told = False
        self._ending_told = False
        self._viewer_number = 0
        self.video = VideoPump(
            edit,
            self.current_settings,
            meters,
            executor,
            largest=largest,
            in_flight=engine.in_flight,
            patience=HUNG_SECONDS if engine.keeps_latency else 0.0,
            clock=clock,
        )
        self.sound = SoundPump(lambda: meters.latency, lambda: self.settings.paused, clock)
        self.apply(settings, ramp_ms=0)
        self.video.start()

    def current_settings(self) -> StreamSettings:
        """The present settings; bypass ends by itself unless it is repeated."""
        if self.settings.bypass and self._clock() > self._bypass_until:
            self.settings = replace(self.settings, bypass=False)
        return self.settings

    def apply(self, settings: StreamSettings, ramp_ms: float = 200.0) -> None:
        """Take new settings, from the next frame on."""
        if settings.bypass:
            self._bypass_until = self._clock() + BYPASS_SECONDS
        self.settings = settings
        self._edit.set({name: strength for name, strength in settings.edits.items() if strength}, ramp_ms)
        self._edit.configure(mode=settings.mode, faces=settings.faces, max_latency_ms=settings.max_latency_ms)

    def choose_face(self, x: float, y: float) -> None:
        """Edit the face at a place in 0..1. Raises NotAvailableError."""
        self._edit.choose_face(x, y)
        self.settings = replace(self.settings, faces=CHOSEN)

    def renew_token(self) -> str:
        """A new resume token; the old one is void."""
        self.resume_token = secrets.token_urlsafe(24)
        return self.resume_token

    async def attach(self, peer: Peer) -> None:
        """Take the client's connection, which replaces an older one.

        Raises RefusalError if the session has ended meanwhile; the connection is closed then.
        """
        async with self._attaching:  # a client may connect twice at the same time
            await self._detach()
            if self.ended.is_set():
                await peer.close()
                raise RefusalError("no_session", "the session has ended")
            self._take(peer)

    def _take(self, peer: Peer) -> None:
        self.peer = peer
        self.video.timeline.restart()
        self.sound.restart()
        self._lost_since, self._connecting_since = None, self._clock()
        self._connect_outlets(peer)
        if peer.video_in is not None:
            inlet = peer.video_in
            self._read(read_video(inlet.track, inlet.queue.arrivals, self.video.mailbox))
        if peer.sound_in is not None:
            heard = peer.sound_in
            self._read(read_sound(heard.track, heard.queue.arrivals, self.sound.take, self._clock))
        peer.on_state(lambda state: self._on_state(peer, state))

    def watch(self, peer: Peer) -> str:
        """Add a viewer; returns the name of the connection."""
        self._viewer_number += 1
        name = f"{self._viewer_number}-{secrets.token_urlsafe(6)}"
        self.viewers[name] = peer
        self._connect_outlets(peer)
        for inlet in (peer.video_in, peer.sound_in):
            if inlet is not None:
                peer.consume(inlet.track)

        def told(state: str) -> None:
            if state in ("failed", "closed"):
                self.background(self.unwatch(name))

        peer.on_state(told)
        return name

    async def unwatch(self, name: str) -> None:
        """End a viewer's connection; one that is gone already is no error."""
        peer = self.viewers.pop(name, None)
        if peer is not None:
            self._disconnect_outlets(peer)
            await peer.close()

    def why_over(self) -> str | None:
        """Why the session must end now, None if it need not. Tells its client before the maximum time."""
        now = self._clock()
        limits = self.limits
        if self._lost_since is not None:
            return "the connection was lost" if now - self._lost_since > limits.grace_seconds else None
        if self._connecting_since is not None:
            return "no connection came about" if now - self._connecting_since > CONNECT_SECONDS else None
        if self.quiet_seconds > limits.idle_seconds and not self.settings.paused:
            return f"no picture came for {limits.idle_seconds:g} s"
        if limits.max_seconds is not None:
            left = limits.max_seconds - (now - self.meters.begun)
            if left <= 0:
                return "the maximum time is over"
            if left < 60 and not self._ending_told:
                self._ending_told = True
                self.tell("ending", "the maximum time is nearly over", in_seconds=round(left))
        return None

    def look_for_faces(self) -> None:
        """Tell the client when its face is lost and when it is found."""
        seen = self.video.face_seen
        if seen is not None and seen != self._face_told:
            if seen is False or self._face_told is False:
                self.tell("face" if seen else "no_face", "a face is found" if seen else "no face is found")
            self._face_told = seen

    def look_for_load(self) -> None:
        """Tell the client when most of its frames are shown unedited because they are late, and when that ends."""
        share = self.video.late_share
        if not self._overload_told and share > OVERLOADED:
            self._overload_told = True
            self.tell("overloaded", "the server is too slow for this stream; most pictures are shown unedited")
        elif self._overload_told and share < RELIEVED:
            self._overload_told = False
            self.tell("relieved", "pictures are edited in time again")

    def tell(self, name: str, message: str, **more: Any) -> None:
        """Send a notice to all listeners."""
        for notice in tuple(self.notices):
            notice(name, message, more)

    def stats(self, seconds: float) -> dict[str, Any]:
        """The fields of `stats` in docs/protocol.md, over the last `seconds`."""
        delay = self.sound.seconds
        return self.meters.summary(seconds) | {
            "bitrate_in": self._bitrate_in(seconds),
            "sound_delay_ms": None if delay is None else round(1000 * delay, 1),
            "level": self.engine.level,
            "viewers": len(self.viewers),
        }

    def _bitrate_in(self, seconds: float) -> int:
        now = self._clock()
        total = self.peer.video_in.queue.bytes_in if self.peer and self.peer.video_in else 0
        if self._bytes and self._bytes[-1][1] > total:  # a new connection
            self._bytes.clear()
        self._bytes.append((now, total))
        then, before = next((sample for sample in self._bytes if now - sample[0] <= 2 * seconds), (now, total))
        return 0 if now <= then else round(8 * (total - before) / (now - then))

    @property
    def quiet_seconds(self) -> float:
        """Since the last picture came."""
        return self._clock() - max(self.video.last_frame, self.meters.begun)

    @property
    def state(self) -> str:
        """connecting, connected or lost."""
        if self._lost_since is not None:
            return "lost"
        return "connecting" if self._connecting_since is not None else "connected"

    async def close(self, reason: str) -> None:
        """End everything; a second call does nothing."""
        if self.ended.is_set():
            return
        self.ended.set()
        log.info("session %s ends: %s", self.place.name, reason)
        self.tell("ended", reason)
        await self._detach()
        for name in tuple(self.viewers):
            await self.unwatch(name)
        await self.video.close()
        self._edit.close()
        others = [task for task in self._background if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)

    async def lose(self, peer: Peer) -> None:
        """The connection is gone; the grace time begins, unless there is a newer one."""
        if self.peer is peer and not self.ended.is_set():
            await self._detach()
            self._lost_since = self._clock()
            log.info("session %s lost its connection", self.place.name)

    def _on_state(self, peer: Peer, state: str) -> None:
        if peer is not self.peer:
            return
        if state == "connected":
            self._connecting_since = None
        elif state in ("failed", "closed"):
            self.background(self.lose(peer))

    async def _detach(self) -> None:
        peer, self.peer = self.peer, None
        readers, self._readers = self._readers, []
        if peer is not None:
            self._disconnect_outlets(peer)
            await peer.close()
        for reader in readers:
            reader.cancel()
        current = asyncio.current_task()
        await asyncio.gather(*(reader for reader in readers if reader is not current), return_exceptions=True)

    def _connect_outlets(self, peer: Peer) -> None:
        if peer.video_out is not None:
            self.video.outlets.add(peer.video_out)
        if peer.sound_out is not None:
            self.sound.outlets.add(peer.sound_out)

    def _disconnect_outlets(self, peer: Peer) -> None:
        if peer.video_out is not None:
            self.video.outlets.discard(peer.video_out)
        if peer.sound_out is not None:
            self.sound.outlets.discard(peer.sound_out)

    def _read(self, work: Any) -> None:
        self._readers.append(asyncio.ensure_future(work))

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something on the side."""
        task = asyncio.ensure_future(work)
        self._background.add(task)  # asyncio itself keeps only a weak reference
        task.add_done_callback(self._background.discard)
