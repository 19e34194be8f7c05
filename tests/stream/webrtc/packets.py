"""RTP packets as a receiver has them after the codec's descriptor is taken off."""

from dataclasses import dataclass, field

KEY = b"\x10\x00\x00\x9d\x01\x2a\x00\x00"  # a VP8 key frame's first bytes
DELTA = b"\x11\x00\x00\x00\x00\x00\x00\x00"


@dataclass
class FakePacket:
    sequence_number: int
    timestamp: int
    marker: int = 0
    _data: bytes = field(default=DELTA)


def video_packets(frames: int, per_frame: int, *, first: int = 0, key: int = 0, start: int = 0) -> list[FakePacket]:
    """Packets of frames numbered `start` on; frame `key` is the key frame."""
    packets = []
    for frame in range(start, start + frames):
        for part in range(per_frame):
            head = KEY if frame == key else DELTA
            data = (head if part == 0 else b"more") + bytes([frame % 256, part % 256])
            number = (first + len(packets)) & 0xFFFF
            packets.append(FakePacket(number, frame * 3000, int(part == per_frame - 1), data))
    return packets
