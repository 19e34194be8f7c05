"""A WebRTC client for measuring and for tests: it sends stamped pictures and beeps, and notes what comes back.

It is aiortc as it is, but for what a browser would have, too: its receiver's buffer (`receive_live`), and a socket that
is read whatever else there is to do (`read_until_empty`; pictures are made and read on threads).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from ..frame import Pixels
from .datagrams import read_until_empty
from .network import listen_on, usable_addresses
from .receivers import receive_live
from .sound_delay import BLOCK, RATE
from .stamp import MODULUS, read_stamp, write_stamp
from .tracks import SOUND_TIME_BASE

BEEP_EVERY: Final = 1.0
BEEP_HERTZ: Final = 1000.0
BEEP_SECONDS: Final = 0.04
Signal = Callable[[str], Awaitable[str]]
"""Takes an SDP offer to the server, and brings its answer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that came back.

    Attributes:
        number: its stamp, None if it is illegible.
        sent: when that frame was sent.
        seconds: when its last packet came.
        size: (width, height).
    """

    number: int | None
    sent: float | None
    seconds: float
    size: tuple[int, int]


@dataclass
class Received:
    """Everything that came back, in order.

    Attributes:
        beeps: (when one was sent, when it came back).
    """

    frames: list[Seen] = field(default_factory=list)
    beeps: list[tuple[float, float]] = field(default_factory=list)
    last_picture: Pixels | None = None


class StampedVideo(MediaStreamTrack):
    """Pictures at a steady pace, each with its number as a stamp.

    draw: (number) -> (H, W, 3) uint8 RGB; it may change its size. rate: frames a second. `sent`: when each went out.
    """

    kind = "video"

    def __init__(self, draw: Callable[[int], Pixels], rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.sent: dict[int, float] = {}
        self._draw = draw
        self._interval = 1 / rate
        self._clock = clock
        self._start: float | None = None
        self._number = 0

    async def recv(self) -> Any:
        """The next picture, at its time; one that is late is left out."""
        if self.readyState != "live":
            raise MediaStreamError
        now = self._clock()
        if self._start is None:
            self._start = now
        due = max(self._number, int((now - self._start) / self._interval))
        self._number = due + 1
        await asyncio.sleep(self._start + due * self._interval - now)
        frame = await asyncio.to_thread(self._make, due)
        frame.pts, frame.time_base = round(due * self._interval * 90_000), Fraction(1, 90_000)
        self.sent[due % MODULUS] = self._clock()
        return frame

    def _make(self, number: int) -> av.VideoFrame:
        pixels = self._draw(number)
        write_stamp(pixels, number)
        return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")


class BeepingSound(MediaStreamTrack):
    """Silence with a beep every second, in blocks of 20 ms. `sent`: when each beep's first block went out."""

    kind = "audio"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.sent: list[float] = []
        self._clock = clock
        self._start: float | None = None
        self._block = 0

    async def recv(self) -> Any:
        """The next block, at its time."""
        if self.readyState != "live":
            raise MediaStreamError
        now = self._clock()
        if self._start is None:
            self._start = now
        await asyncio.sleep(max(0.0, self._start + self._block * BLOCK / RATE - now))
        at = self._block * BLOCK / RATE
        into = at % BEEP_EVERY
        samples = np.zeros(BLOCK, np.int16)
        if into < BEEP_SECONDS - 1e-9 and at >= BEEP_EVERY:
            wave = np.sin(2 * np.pi * BEEP_HERTZ * (into + np.arange(BLOCK) / RATE))
            samples = (12_000 * wave).astype(np.int16)
            if into < 1e-9:
                self.sent.append(self._clock())
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._block * BLOCK, SOUND_TIME_BASE
        self._block += 1
        return frame


class LiveClient:
    """One connection to a server.

    draw: as of StampedVideo, None to send no picture. sound: whether to send beeps. channel: label of the data
    channel, None for none. codec: "VP8" or "H264". keep_picture: keep the last picture that came. addresses: to listen
    on; one of the machine's where not given.
    """

    def __init__(
        self,
        draw: Callable[[int], Pixels] | None,
        *,
        rate: float = 30.0,
        sound: bool = False,
        channel: str | None = None,
        codec: str = "VP8",
        receive: bool = True,
        keep_picture: bool = False,
        addresses: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.received = Received()
        self.changed = asyncio.Condition()
        self._clock = clock
        self._keep_picture = keep_picture
        self._addresses = addresses
        self.connection = RTCPeerConnection(RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.video = StampedVideo(draw, rate, clock) if draw else None
        self.sound = BeepingSound(clock) if sound else None
        direction = "sendrecv" if receive and draw else "recvonly" if receive else "sendonly"
        video = self.connection.addTransceiver(self.video or "video", direction)
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([one for one in codecs if one.name in (codec, "rtx")])
        if sound:
            self.connection.addTransceiver(self.sound or "audio", direction)
        self.channel: RTCDataChannel | None = self.connection.createDataChannel(channel) if channel else None
        self._readers: list[asyncio.Task[None]] = []
        self.connection.on("connectionstatechange", lambda: self._poke())

    async def connect(self, signal: Signal) -> None:
        """Offer, take the answer, and begin to read; returns before media flow."""
        read_until_empty(asyncio.get_running_loop())
        listen_on(self.connection, self._addresses or usable_addresses()[:1])
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await signal(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        for transceiver in self.connection.getTransceivers():
            if transceiver.receiver.track is None:
                continue
            queue, _ = receive_live(transceiver.receiver, transceiver.kind, self._clock)
            read = self._read_video if transceiver.kind == "video" else self._read_sound
            self._readers.append(asyncio.ensure_future(read(transceiver.receiver.track, queue.arrivals.take)))

    async def until(self, condition: Callable[["LiveClient"], bool], seconds: float) -> None:
        """Wait for a condition, checked at each event. Raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: condition(self))

    async def close(self) -> None:
        """End the connection."""
        await self.connection.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _poke(self) -> None:
        async def poke() -> None:
            async with self.changed:
                self.changed.notify_all()

        self._readers.append(asyncio.ensure_future(poke()))

    async def _read_video(self, track: MediaStreamTrack, arrival: Callable[[int], float | None]) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame: Any = await track.recv()
                seconds = arrival(frame.pts)
                number, pixels = await asyncio.to_thread(_read, frame, self._keep_picture)
                sent = None if number is None or self.video is None else self.video.sent.get(number)
                size = (frame.width, frame.height)
                self.received.frames.append(Seen(number, sent, seconds or self._clock(), size))
                if pixels is not None:
                    self.received.last_picture = pixels
                async with self.changed:
                    self.changed.notify_all()

    async def _read_sound(self, track: MediaStreamTrack, arrival: Callable[[int], float | None]) -> None:
        quiet = RATE
        with contextlib.suppress(MediaStreamError):
            while True:
                frame: Any = await track.recv()
                seconds = arrival(frame.pts) or self._clock()
                samples = np.abs(frame.to_ndarray().reshape(-1, 2)[:, 0].astype(np.int32))
                loud = np.flatnonzero(samples > 3000)
                if not len(loud):
                    quiet += len(samples)
                    continue
                if quiet > RATE // 4 and self.sound is not None:
                    self._note_beep(seconds + loud[0] / RATE)
                quiet = 0

    def _note_beep(self, seconds: float) -> None:
        """Pair a beep with the last that was sent before it; delays stay below the second between two."""
        assert self.sound is not None
        before = [sent for sent in self.sound.sent if sent <= seconds]
        if before:
            self.received.beeps.append((before[-1], seconds))


def _read(frame: Any, keep: bool) -> tuple[int | None, Pixels | None]:
    """(the number of its stamp, the picture if it is stored)."""
    if keep:
        pixels: Pixels = frame.to_ndarray(format="rgb24")
        return read_stamp(pixels), pixels
    plane = frame.planes[0]  # brightness is enough for a stamp
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    return read_stamp(np.broadcast_to(rows[:, :, None], (*rows.shape, 3))), None
