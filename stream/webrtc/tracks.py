"""The two ends of an aiortc stream: readers that never let a queue grow, and senders with one slot.

aiortc's queue after the decoder is unbounded: a consumer that awaits `recv()` only when it is ready for a frame falls
behind for ever. A reader here only reads, and a frame that is not taken in time is replaced.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.resampler import AudioResampler

from ..mailbox import Mailbox, MailboxClosed
from .decode_queue import Arrivals
from .sound_delay import RATE, Samples

MOST_BLOCKS: Final = 10
"""Blocks of sound that wait to be sent at most: 200 ms."""

VIDEO_TIME_BASE: Final = Fraction(1, 90_000)
SOUND_TIME_BASE: Final = Fraction(1, RATE)


async def read_video(track: MediaStreamTrack, arrivals: Arrivals, mailbox: Mailbox[av.VideoFrame]) -> None:
    """Put every frame of a track into a mailbox, stamped with the arrival of its last packet; ends with the track."""
    with contextlib.suppress(MediaStreamError, MailboxClosed):
        while True:
            frame: Any = await track.recv()
            mailbox.put(frame, arrivals.take(frame.pts))


async def read_sound(
    track: MediaStreamTrack,
    arrivals: Arrivals,
    take: Callable[[Samples, int, float], object],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Hand on all sound as 48 kHz stereo: (N, 2) int16, pts in 1/48000 s, and its arrival; ends with the track."""
    resampler: AudioResampler | None = None
    with contextlib.suppress(MediaStreamError):
        while True:
            frame: Any = await track.recv()
            arrival = arrivals.take(frame.pts)
            if frame.sample_rate != RATE or frame.layout.name != "stereo" or frame.format.name != "s16":
                resampler = resampler or AudioResampler("s16", "stereo", RATE)
                frames = resampler.resample(frame)
            else:
                frames = [frame]
            for part in frames:
                take(_samples(part), _pts(part), clock() if arrival is None else arrival)


def _samples(frame: Any) -> Samples:
    samples: Samples = frame.to_ndarray().reshape(-1, 2)
    return samples


def _pts(frame: Any) -> int:
    base = Fraction(frame.time_base.numerator, frame.time_base.denominator)
    return round(base * int(frame.pts) * RATE)


async def discard(track: MediaStreamTrack) -> None:
    """Read an unused track: aiortc would otherwise keep all of it."""
    with contextlib.suppress(MediaStreamError):
        while True:
            await track.recv()


class VideoOutlet(MediaStreamTrack):
    """A track with one slot: what the encoder is not ready for is replaced by what comes next.

    Its frames' pts must grow; they are sent as they are.
    """

    kind = "video"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.mailbox: Mailbox[av.VideoFrame] = Mailbox(clock)

    def put(self, frame: av.VideoFrame, arrival: float) -> None:
        """Offer a frame; after the end it is ignored."""
        with contextlib.suppress(MailboxClosed):
            self.mailbox.put(frame, arrival)

    async def recv(self) -> Any:
        """The newest frame that was not sent yet."""
        if self.readyState != "live":
            raise MediaStreamError
        try:
            return (await self.mailbox.receive()).item
        except MailboxClosed:
            self.stop()
            raise MediaStreamError from None

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self.mailbox.close(discard=True)


class SoundOutlet(MediaStreamTrack):
    """A track of 20 ms blocks, counted through by their samples; a block that waits too long is dropped."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._blocks: deque[tuple[Samples, int]] = deque()
        self._changed = asyncio.Event()
        self._pts = 0

    def put(self, block: Samples) -> None:
        """Offer (N, 2) int16 at 48 kHz. On the event loop only."""
        self._blocks.append((block, self._pts))
        self._pts += len(block)
        if len(self._blocks) > MOST_BLOCKS:
            self._blocks.popleft()
            self.dropped += 1
        self._changed.set()

    async def recv(self) -> Any:
        """The next block."""
        while not self._blocks:
            if self.readyState != "live":
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        block, pts = self._blocks.popleft()
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, pts, SOUND_TIME_BASE
        return frame

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._blocks.clear()
        self._changed.set()
