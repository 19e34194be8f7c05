"""The session of one stream: its settings, its video and sound pumps, and its connections."""

import asyncio
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final

from ...stream.webrtc.peer import Line, Peer
from ...stream.webrtc.tracks import read_sound, read_video
from ..compositing.mark import PLAIN, MarkStyle
from .allowance import Allowance
from .engine_interface import CHOSEN, EditEngine, EditSession
from .held_rate import HeldRate
from .http_errors import RefusalError
from .meters import Meters
from .settings import Limits
from .sound_pump import SoundPump
from .stream_settings import StreamSettings
from .video_pump import VideoPump
from .viewers import Viewers

BYPASS_SECONDS: Final = 3.0
OVERLOADED, RELIEVED = 0.5, 0.1
"""Shares of late frames at which the client is told of the load; between the two nothing changes."""

QUIET_SECONDS: Final = 3.0
"""Seconds without a picture after which a returning client replaces its own connection."""

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
        named: whether its client chose the name.
        kind: "page", which is private unless it is shared, or "whip".
    """

    name: str
    address: str
    kind: str
    named: bool = False


class LiveSession:
    """From the first offer to the end of the last grace time. Used on the event loop alone.

    `used`: the strongest that each edit was set to so far.
    """

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
        highest_rate: Callable[[], float] = lambda: 30.0,
        mark: MarkStyle = PLAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.engine = engine
        self.meters = meters
        self.limits = limits
        self.settings = settings
        self.resume_token = ""
        self.peer: Peer | None = None
        self.share_key = ""
        self.used: dict[str, float] = {}
        self.allowance = Allowance(limits.messages_per_second, clock)
        self.held = HeldRate(highest_rate, clock)
        self.line: Line | None = None
        self.lost_packets: Counter[str] = Counter()
        self.viewers = Viewers(limits.connect_seconds, lambda name: self.background(self.unwatch(name)), clock)
        self.notices: set[Notice] = set()
        self.channels: set[object] = set()
        self.ended = asyncio.Event()
        self._edit = edit
        self._clock = clock
        self._bypass_until = 0.0
        self._attaching = asyncio.Lock()
        self._lost_since: float | None = None
        self._grace = limits.grace_seconds
        self._connecting_since: float | None = clock()
        self._readers: list[asyncio.Task[None]] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._bytes: deque[tuple[float, int]] = deque(maxlen=64)
        self._face_told: bool | None = None
        self._overload_told = False
        self._ending_told = False
        self._rate_told = self.rate
        self._large_told: tuple[int, int] | None = None
        self._heard = (0, clock())
        self._was_connected = False
        self.video = VideoPump(
            edit,
            self.current_settings,
            meters,
            executor,
            largest=largest,
            in_flight=engine.in_flight,
            patience=HUNG_SECONDS if engine.keeps_latency else 0.0,
            held=self.held,
            mark=mark,
            stand_in=engine.stand_in,
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

    def as_dict(self) -> dict[str, Any]:
        """`state` of docs/protocol.md."""
        return self.current_settings().as_dict() | {"shared": bool(self.share_key)}

    def apply(self, settings: StreamSettings, ramp_ms: float = 200.0) -> None:
        """Take new settings, from the next frame on."""
        if settings.bypass:
            self._bypass_until = self._clock() + BYPASS_SECONDS
        self.settings = settings
        for name, strength in settings.edits.items():
            if abs(strength) > abs(self.used.get(name, 0.0)):
                self.used[name] = strength
        self._edit.set({name: strength for name, strength in settings.edits.items() if strength}, ramp_ms)
        self._edit.configure(mode=settings.mode, faces=settings.faces, max_latency_ms=settings.max_latency_ms)

    def choose_face(self, x: float, y: float) -> None:
        """Edit the face at a place in 0..1. Raises NotAvailableError."""
        self._edit.choose_face(x, y)
        self.settings = replace(self.settings, faces=CHOSEN)

    def calibrate(self) -> None:
        """Take what a portrait's driver does now for at rest. Raises NotAvailableError without a portrait."""
        self._edit.calibrate()

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
        self.channels.clear()
        self.video.timeline.restart()
        self.sound.restart()
        self._lost_since, self._connecting_since = None, self._clock()
        self._grace = self.limits.grace_seconds
        self._heard, self.line = (0, self._clock()), None
        self._connect_outlets(peer)
        if peer.video_in is not None:
            inlet = peer.video_in
            self._read(read_video(inlet.track, inlet.queue.arrivals, self.video.mailbox))
        if peer.sound_in is not None:
            heard = peer.sound_in
            self._read(read_sound(heard.track, heard.queue.arrivals, self.sound.take, self._clock))
        peer.on_state(lambda state: self._on_state(peer, state))

    def watch(self, peer: Peer, address: str, *, shared: bool = False) -> str:
        """Add a viewer; returns the name of the connection. shared: it came by the share link."""
        self._connect_outlets(peer)
        for inlet in (peer.video_in, peer.sound_in):
            if inlet is not None:
                peer.consume(inlet.track)
        return self.viewers.add(peer, address, shared=shared)

    def share(self, on: bool) -> str | None:
        """The key with which others may watch, None after it is taken back; its viewers leave then."""
        if on:
            self.share_key = self.share_key or secrets.token_urlsafe(18)
            return self.share_key
        self.share_key = ""
        for name in self.viewers.by_link():
            self.background(self.unwatch(name))
        return None

    async def unwatch(self, name: str) -> None:
        """End a viewer's connection; one that is gone already is no error."""
        peer = self.viewers.remove(name)
        if peer is not None:
            self._disconnect_outlets(peer)
            await peer.close()

    def why_over(self) -> str | None:
        """Why the session must end now, None if it need not. Tells its client before the maximum time."""
        now = self._clock()
        limits = self.limits
        if self._lost_since is not None:
            grace = self._grace if self._was_connected else 0.0
            return "the connection was lost" if now - self._lost_since > grace else None
        if self._connecting_since is not None:
            late = now - self._connecting_since > limits.connect_seconds and not self._was_connected
            return "no connection came about" if late else None
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

    async def look_after(self) -> None:
        """Every second: viewers that do not connect, a client that is silent, and what its client has to know."""
        for name in self.viewers.late():
            await self.unwatch(name)
        peer, now = self.peer, self._clock()
        if peer is not None and self._connecting_since is not None:
            if self._was_connected and now - self._connecting_since > self.limits.connect_seconds:
                await self.lose(peer)
        elif peer is not None and self.state == "connected":
            if peer.bytes_received != self._heard[0]:
                self._heard = peer.bytes_received, now
                self._note_line(await peer.line())
            elif now - self._heard[1] > self.limits.silent_seconds:
                await self.lose(peer)
        self.look_for_faces()
        self.look_for_load()

    def _note_line(self, line: Line) -> None:
        before = self.line or Line(None, 0, 0, None)
        for name in ("lost_in", "lost_out"):
            self.lost_packets[name] += max(0, getattr(line, name) - getattr(before, name))
        if line.round_trip is not None:
            self.meters.round_trip(line.round_trip)
        self.line = line

    @property
    def is_stale(self) -> bool:
        """Whether its client seems to be gone."""
        return self.state == "lost" or self.quiet_seconds > QUIET_SECONDS

    @property
    def lost_seconds(self) -> float:
        """Since the connection was lost; 0 while there is one."""
        return 0.0 if self._lost_since is None else self._clock() - self._lost_since

    @property
    def rate(self) -> int:
        """Frames a second that its camera is asked for."""
        return max(1, round(self.held.rate))

    def look_for_faces(self) -> None:
        """Tell the client when its face is lost and when it is found."""
        seen = self.video.face_seen
        if seen is not None and seen != self._face_told:
            if seen is False or self._face_told is False:
                self.tell("face" if seen else "no_face", "a face is found" if seen else "no face is found")
            self._face_told = seen

    def look_for_load(self) -> None:
        """Tell the client the rate to send at, when most frames are late all the same, and when that ends."""
        if self.rate != self._rate_told:
            self._rate_told = self.rate
            self.tell("rate", f"send {self.rate} frames a second: so many are edited in time", rate=self.rate)
        large = self.peer.video_in.queue.too_large if self.peer and self.peer.video_in else None
        if large is not None and large != self._large_told:
            self.tell("too_large", "the picture is {} x {}, which is not decoded here".format(*large))
        self._large_told = large
        share = self.video.late_share
        if not self._overload_told and share > OVERLOADED:
            self._overload_told = True
            self.tell("overloaded", "the server is too slow for this stream; most pictures pass unedited")
        elif self._overload_told and share < RELIEVED:
            self._overload_told = False
            self.tell("relieved", "pictures are edited in time again")

    def tell(self, name: str, message: str, **more: Any) -> None:
        """Send a notice to all listeners."""
        for notice in tuple(self.notices):
            notice(name, message, more)

    def stats(self, seconds: float) -> dict[str, Any]:
        """The fields of `stats` in docs/protocol.md, over the last `seconds`."""
        delay, line = self.sound.seconds, self.line
        return self.meters.summary(seconds) | {
            "bitrate_in": self._bitrate_in(seconds),
            "sound_delay_ms": None if delay is None else round(1000 * delay, 1),
            "level": self.engine.level,
            "viewers": len(self.viewers),
            "rate": self.rate,
            "round_trip_ms": None if line is None or line.round_trip is None else round(1000 * line.round_trip, 1),
            "lost": None if line is None or line.share is None else round(line.share, 4),
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
        log.info("the session ends: %s", reason)
        self.tell("ended", reason)
        await self._detach()
        for name in self.viewers:
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
            log.info("the connection is lost")

    async def leave(self, grace: float) -> None:
        """Its client says that it goes; within so many seconds, at most the grace time, it may return."""
        self._grace = min(grace, self.limits.grace_seconds)
        if self.peer is not None:
            await self.lose(self.peer)

    def _on_state(self, peer: Peer, state: str) -> None:
        if peer is not self.peer:
            return
        if state == "connected":
            self._connecting_since = None
            self._heard, self._was_connected = (0, self._clock()), True
        elif state in ("failed", "closed"):
            self.meters.event("lost" if self._connecting_since is None else "ice_failed")
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
