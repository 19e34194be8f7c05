"""From RTP packets to whole encoded frames, without waiting for what will not come.

aiortc's own buffer (jitterbuffer.py) gives a frame out only when the next one begins, which costs a frame's time;
waits for a lost packet until the buffer is full (512 packets for video: many seconds at a low bit rate; 16 for sound:
320 ms); and gives out one frame a packet, so that what was held up once stays late. It also holds sound back for four
packets. This one ends a frame at its marker bit, waits `patience` seconds, and has all that is whole ready at once.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from aiortc.jitterbuffer import JitterFrame

VIDEO_PATIENCE: Final = 0.4
"""Seconds. A packet is requested again every 60 ms, so up to six answers may come in this time."""

SOUND_PATIENCE: Final = 0.06
KEY_FRAME_REMINDER: Final = 0.5
"""Seconds after which a missing key frame is requested again."""

FAR: Final = 512  # packets behind, which no network delays
CERTAIN: Final = 8  # of them in a row

LONGEST: Final = 1024
"""Packets that are held at most; a power of two far above what any frame has."""


class Packet(Protocol):
    """The part of aiortc's RtpPacket that is used here. _data: its payload without the descriptor of the codec."""

    sequence_number: int
    timestamp: int
    marker: int
    _data: bytes


class ArrivedFrame(JitterFrame):
    """An encoded frame. arrival: when its last packet came, in seconds of the buffer's clock."""

    def __init__(self, data: bytes, timestamp: int, arrival: float) -> None:
        super().__init__(data, timestamp)
        self.arrival = arrival


class PatientJitterBuffer:
    """Stands in for aiortc's JitterBuffer of one track.

    video: frames are of many packets and depend on each other: after a gap the next key frame is waited for.
    patience: seconds to wait for a gap to be filled. clock: seconds.
    """

    def __init__(self, *, video: bool, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._video = video
        self._patience = patience
        self._clock = clock
        self._packets: dict[int, tuple[Packet, float]] = {}  # by unwrapped sequence number
        self._next: int | None = None
        self._newest = 0
        self._gap_since: float | None = None
        self._wants_key = video  # the first frames may be lost before the receiver starts
        self._reminded = 0.0
        self._ready: deque[ArrivedFrame] = deque()
        self._far_behind = 0
        self.gaps_given_up = 0

    def add(self, packet: Packet) -> tuple[bool, ArrivedFrame | None]:
        """(whether to ask for a key frame, the next whole frame or None); `take_ready` gives the others."""
        now = self._clock()
        number = self._unwrap(packet.sequence_number)
        if self._next is None:
            self._next, self._reminded = number, now
        if self._restarted(number):
            number, self._next = packet.sequence_number, packet.sequence_number
            self._newest, self._wants_key, self._reminded = number, self._video, now
            self._packets.clear()
        if number >= self._next:
            self._packets.setdefault(number, (packet, now))
            self._newest = max(self._newest, number)
        self._collect()
        ask = self._wait(now)
        if self._wants_key and now - self._reminded >= KEY_FRAME_REMINDER:
            ask, self._reminded = True, now
        return ask, self._ready.popleft() if self._ready else None

    def take_ready(self) -> list[ArrivedFrame]:
        """All further whole frames, in order."""
        frames = list(self._ready)
        self._ready.clear()
        return frames

    def _unwrap(self, sequence_number: int) -> int:
        if self._next is None:
            self._newest = sequence_number
            return sequence_number
        step = (sequence_number - self._newest) & 0xFFFF
        return self._newest + (step if step < 0x8000 else step - 0x10000)

    def _restarted(self, number: int) -> bool:
        """Whether the sender has restarted its count: packet after packet is far behind the expected number."""
        assert self._next is not None
        self._far_behind = self._far_behind + 1 if number < self._next - FAR else 0
        if self._far_behind < CERTAIN:
            return False
        self._far_behind = 0
        return True

    def _collect(self) -> None:
        """Move every whole frame at the front to `_ready`."""
        while (end := self._frame_end()) is not None:
            assert self._next is not None
            parts = [self._packets.pop(number) for number in range(self._next, end)]
            self._next = end
            data = b"".join(packet._data for packet, _ in parts)
            if self._wants_key and not is_key_frame(data):
                continue
            self._wants_key = False
            if data:
                self._ready.append(ArrivedFrame(data, parts[0][0].timestamp, max(when for _, when in parts)))

    def _frame_end(self) -> int | None:
        """One past the last packet of the frame at the front; None if it is not whole yet."""
        assert self._next is not None
        first = self._packets.get(self._next)
        if first is None:
            return None
        if not self._video:
            return self._next + 1
        number = self._next
        while (held := self._packets.get(number)) is not None:
            if held[0].timestamp != first[0].timestamp:
                return number
            number += 1
            if held[0].marker:
                return number
        return None

    def _wait(self, now: float) -> bool:
        """Note a gap, and give it up where it has lasted too long. Returns whether a key frame is needed."""
        assert self._next is not None
        if not self._has_gap():
            self._gap_since = None
            return False
        if self._gap_since is None:
            self._gap_since = now
        if now - self._gap_since < self._patience and self._newest - self._next < LONGEST:
            return False
        self._gap_since = None
        self.gaps_given_up += 1
        self._skip()
        self._collect()
        if not self._wants_key:
            return False
        self._reminded = now
        return True

    def _has_gap(self) -> bool:
        assert self._next is not None
        return len(self._packets) < self._newest + 1 - self._next

    def _skip(self) -> None:
        """Restart after the gap: with sound at the next packet, with video at the next key frame."""
        assert self._next is not None
        held = sorted(self._packets)
        if self._video:
            self._wants_key = True
            held = [number for number in held if is_key_frame(self._packets[number][0]._data)]
        self._next = held[0] if held else self._newest + 1
        self._packets = {number: value for number, value in self._packets.items() if number >= self._next}


def is_key_frame(data: bytes) -> bool:
    """Whether encoded data begin a key frame: VP8 (RFC 6386, 9.1), or H.264 with start codes (SPS or IDR slice)."""
    if data[:4] == b"\x00\x00\x00\x01":
        return len(data) > 4 and data[4] & 0x1F in (5, 7)
    return len(data) > 6 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
