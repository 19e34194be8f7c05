"""The shared context of the request handlers."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from ...stream.errors import OfferError
from ...stream.webrtc.encoders import Encoded
from ...stream.webrtc.offers import read_offer
from ...stream.webrtc.peer import Peer, PeerSettings, answer_offer
from .control_channel import attend
from .http_errors import RETRY_SECONDS, RefusalError, overloaded, refuse_offer
from .ice import ice_servers
from .metrics import Metrics
from .rights import Caller
from .session import LiveSession
from .sessions import Sessions
from .settings import ServeSettings

RESTART_SECONDS: Final = 1
AT_A_TIME: Final = 2
"""Recordings that are received and signed; each takes up to 256 MiB of disk and of memory."""

log = logging.getLogger(__name__)


@dataclass
class Context:
    """One server.

    Attributes:
        ready: after the warm-up.
        restarting: no new sessions: the server is about to end.
        wall_clock: Unix time in seconds.
        signing: held while a recording is signed.
    """

    settings: ServeSettings
    sessions: Sessions
    metrics: Metrics
    encoding: Executor
    addresses: tuple[str, ...]
    wall_clock: Callable[[], float] = time.time
    ready: bool = False
    restarting: bool = False
    failed: BaseException | None = field(default=None)
    signing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))

    def check_ready(self) -> None:
        """Raises RefusalError while no session can start."""
        if self.restarting:
            raise RefusalError("restarting", "the server restarts; try again", retry=RESTART_SECONDS)
        if not self.ready:
            raise RefusalError("starting", "the models are still being loaded", retry=RETRY_SECONDS)

    async def answer(self, offer: str, *, send: bool, session: LiveSession) -> Peer:
        """Answer an offer for a session. Raises RefusalError."""
        settings = self.settings

        def watch(encoded: Encoded) -> None:
            session.video.encoded(encoded)

        peer_settings = PeerSettings(
            executor=self.encoding,
            ice_servers=() if settings.public_address else ice_servers(settings, self.wall_clock()),
            addresses=self.addresses,
            public_address=settings.public_address,
            rate=settings.rate,
            most_receive_bitrate=settings.rate.highest,
            most_receive_size=settings.max_size,
            most_receive_rate=settings.max_frame_rate,
            most_sdp_bytes=settings.limits.sdp_bytes,
            largest=settings.max_source,
            candidates=settings.candidates,
        )
        try:
            return await answer_offer(offer, peer_settings, send=send, watch=watch)
        except OfferError as error:
            raise refuse_offer(error) from error
        except OSError as error:
            log.error("no media socket can be opened: %s", error)
            raise overloaded("no port is free for another connection") from error

    def check_offer(self, offer: str, *, sends: bool) -> None:
        """Before a session is opened for it. sends: video, or else receives it. Raises RefusalError."""
        try:
            summary = read_offer(offer, most_bytes=self.settings.limits.sdp_bytes)
        except OfferError as error:
            raise refuse_offer(error) from error
        if sends and not summary.sends:
            raise RefusalError("no_video", "the offer sends no video; to watch a stream, use /whep")
        if not sends and not summary.receives:
            raise RefusalError("no_video", "the offer receives no video; to publish a stream, use /whip")

    async def publish(self, offer: str, session: LiveSession, *, fresh: bool) -> Peer:
        """Answer the offer of a client that sends video, and let the session's pictures come from it.

        fresh: the session was opened for this offer, and ends if it cannot be answered. Raises RefusalError.
        """
        try:
            peer = await self.answer(offer, send=True, session=session)
            self.serve_channel(peer, session)
            await session.attach(peer)
        except BaseException:
            if fresh:
                await self.sessions.end(session, "its offer could not be answered")
            raise
        return peer

    def serve_channel(self, peer: Peer, session: LiveSession) -> None:
        """Let the client of a session steer it over a data channel."""

        def end() -> None:
            session.background(self.sessions.end(session, "the client left"))

        peer.on_channel(lambda channel: attend(channel, session, self.settings.presets, end))


CONTEXT = web.AppKey("context", Context)
CALLER = web.RequestKey("caller", Caller)
ADDRESS = web.RequestKey("address", str)


async def read_body(request: web.Request, most: int) -> bytes:
    """The body of a request, at most so many bytes and in time. Raises RefusalError."""
    seconds = request.app[CONTEXT].settings.limits.body_seconds
    try:
        async with asyncio.timeout(seconds):
            body = await request.read()
    except TimeoutError:
        raise RefusalError("timeout", f"the body did not come within {seconds:g} s") from None
    if len(body) > most:
        raise RefusalError("too_large", f"the body has more than {most} bytes")
    return body
