"""A peer connection: an offer answered by aiortc, with the parts of this folder."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from ..errors import OfferError
from .candidates import CandidateRules, keep_candidates
from .decode_queue import DecodeQueue
from .encoders import LiveEncoder, VideoRate, Watch, encode_with
from .executors import encode_on
from .jitter import PatientJitterBuffer
from .network import announce, listen_on
from .offers import OfferSummary, cap_bitrate, cap_size, read_offer
from .private import AiortcChangedError, get_private
from .receivers import receive_live
from .tracks import SoundOutlet, VideoOutlet, discard

CLOSE_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server: stun:HOST:PORT, turn:HOST:PORT?transport=udp ..., with its credentials."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Settings that all connections of a server share.

    Attributes:
        addresses: to listen on; None for all but loopback.
        public_address: told to peers as well, None for none.
        most_receive_bitrate, most_receive_size, most_receive_rate: what senders are asked to stay within: bit/s,
            (width, height), frames a second.
        largest: (width, height) above which nothing that a sender sends is decoded; None for no limit.
        candidates: which of a peer's addresses are asked.
        executor: where media are encoded.
    """

    executor: Executor
    ice_servers: Sequence[IceServer] = ()
    addresses: Sequence[str] | None = None
    public_address: str | None = None
    rate: VideoRate = field(default_factory=VideoRate)
    most_receive_bitrate: int = 2_500_000
    most_receive_size: tuple[int, int] = (1280, 720)
    most_receive_rate: int = 30
    most_sdp_bytes: int = 65_536
    largest: tuple[int, int] | None = (1920, 1080)
    candidates: CandidateRules = field(default_factory=CandidateRules)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A track that a peer sends, with the queue and buffer that its frames pass."""

    track: MediaStreamTrack
    queue: DecodeQueue
    jitter: PatientJitterBuffer


@dataclass(frozen=True, slots=True)
class Line:
    """The way to a peer.

    Attributes:
        round_trip: seconds, None before the first report.
        lost_in, lost_out: packets lost so far, from and to the peer.
        share: 0..1 of the packets to it lost in the last report, None before the first.
    """

    round_trip: float | None
    lost_in: int
    lost_out: int
    share: float | None


class Peer:
    """An answered connection. `video_in`, `sound_in`: None if the peer sends none; `video_out`, `sound_out`: None
    where it wants none."""

    def __init__(
        self,
        summary: OfferSummary,
        connection: RTCPeerConnection,
        rules: CandidateRules,
        asked: int = 0,
    ) -> None:
        self.summary = summary
        self.connection = connection
        self.video_in: Incoming | None = None
        self.sound_in: Incoming | None = None
        self.video_out: VideoOutlet | None = None
        self.sound_out: SoundOutlet | None = None
        self.encoder: LiveEncoder | None = None
        self.answer = ""
        self._rules = rules
        self._asked = asked
        self._strangers: list[asyncio.Task[None]] = []

    @property
    def state(self) -> str:
        """new, connecting, connected, failed or closed."""
        return str(self.connection.connectionState)

    @property
    def remote_ufrag(self) -> str | None:
        """The ICE user fragment of the peer."""
        description: Any = self.connection.remoteDescription
        match = re.search(r"^a=ice-ufrag:(\S+)", description.sdp, re.MULTILINE)
        return match[1] if match else None

    def on_state(self, told: Callable[[str], object]) -> None:
        """Call `told` with each new state."""
        self.connection.on("connectionstatechange", lambda: told(self.state))

    def on_channel(self, told: Callable[[RTCDataChannel], object]) -> None:
        """Call `told` with each data channel that the peer opens."""
        self.connection.on("datachannel", told)

    async def add_candidate(self, line: str, mid: str) -> None:
        """Take a trickled candidate ("candidate:..."), unless the rules leave it out.

        Raises OfferError if it cannot be read.
        """
        try:
            candidate = candidate_from_sdp(line.removeprefix("candidate:"))
        except Exception as error:  # the parser stumbles over foreign text in every way there is
            raise OfferError("bad_sdp", "the candidate cannot be read") from error
        if self._rules.few([line], self._asked):
            self._asked += 1
            candidate.sdpMid = mid
            await self.connection.addIceCandidate(candidate)

    @property
    def bytes_received(self) -> int:
        """Of media and control so far, on all transports."""
        return sum(
            int(get_private(transport, "rx_bytes"))
            for transport in {each.receiver.transport for each in self.connection.getTransceivers()}
        )

    async def line(self) -> Line:
        """How the way to the peer is."""
        trips: list[float] = []
        lost_out = lost_in = 0
        share: float | None = None
        for each in self.connection.getTransceivers():
            for stats in (await each.sender.getStats()).values():
                if stats.type == "remote-inbound-rtp":
                    trips += [stats.roundTripTime] if stats.roundTripTime is not None else []
                    lost_out += max(0, stats.packetsLost)
                    share = max(share or 0.0, stats.fractionLost / 256)
            for stats in (await each.receiver.getStats()).values():
                if stats.type == "inbound-rtp":
                    lost_in += max(0, stats.packetsLost)
        return Line(max(trips, default=None), lost_in, lost_out, share)

    async def close(self) -> None:
        """End it and all that belongs to it; a second call does nothing."""
        for outlet in (self.video_out, self.sound_out):
            if outlet is not None:
                outlet.stop()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.connection.close()
        except TimeoutError:
            log.warning("a peer connection did not close within %g s", CLOSE_SECONDS)
        except Exception as error:  # aiortc stumbles over connections that an unusable offer left half made
            log.warning("a peer connection did not close: %r", error)
        for task in self._strangers:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def accept(self, settings: PeerSettings, *, send: bool, watch: Watch | None) -> None:
        """Equip every section before the media start."""
        for transceiver in self.connection.getTransceivers():
            kind, receiver, sender = transceiver.kind, transceiver.receiver, transceiver.sender
            offered = transceiver._offerDirection or "inactive"  # as seen from here
            if receiver.track is not None:
                incoming = Incoming(receiver.track, *receive_live(receiver, kind, largest=settings.largest))
                if kind == "video":
                    self.video_in = incoming
                else:
                    self.sound_in = incoming
            if not send or offered not in ("sendonly", "sendrecv"):
                continue
            encode_on(sender, settings.executor)
            if kind == "video":
                self.video_out = VideoOutlet()
                self.connection.addTrack(self.video_out)
                self.encoder = encode_with(sender, transceiver._codecs[0].mimeType, settings.rate, watch)
            else:
                self.sound_out = SoundOutlet()
                self.connection.addTrack(self.sound_out)

    def consume(self, track: MediaStreamTrack) -> None:
        """Read an unused track, so that its frames do not pile up."""
        self._strangers.append(asyncio.ensure_future(discard(track)))


async def answer_offer(offer: str, settings: PeerSettings, *, send: bool = True, watch: Watch | None = None) -> Peer:
    """Answer an SDP offer: everything gathered, nothing started before `Peer.answer` is sent.

    send: whether the peer gets what it asks to receive. watch: told of each encoded frame, on an encoding thread.
    The caller must read the Peer's incoming tracks and close it. Raises OfferError, and OSError where no port is free.
    """
    summary = read_offer(offer, most_bytes=settings.most_sdp_bytes)
    servers = [RTCIceServer(server.url, server.username, server.credential) for server in settings.ice_servers]
    connection = RTCPeerConnection(RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    offer, asked = keep_candidates(offer, settings.candidates)
    peer = Peer(summary, connection, settings.candidates, asked)
    try:
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            peer.accept(settings, send=send, watch=watch)
            if settings.addresses is not None:
                listen_on(connection, settings.addresses)
            await connection.setLocalDescription(await connection.createAnswer())
        except (OSError, AiortcChangedError):
            raise
        except Exception as error:  # what the parser let pass and aiortc cannot use
            raise OfferError("bad_sdp", "the offer cannot be used") from error
    except BaseException:
        await peer.close()
        raise
    local: Any = connection.localDescription
    text = cap_bitrate(local.sdp, settings.most_receive_bitrate)
    text = cap_size(text, settings.most_receive_size, settings.most_receive_rate)
    peer.answer = announce(text, settings.public_address) if settings.public_address else text
    return peer
