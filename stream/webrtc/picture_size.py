"""The size of an encoded picture, from its stream's own header: known before anything is decoded."""

import re
from typing import Final

_SPS: Final = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")
_HIGH: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""H.264 profiles whose header names the chroma format (7.3.2.1.1)."""


class _Bits:
    """Bits of an H.264 header, most significant first. Raises IndexError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """A signed one."""
        value = self.golomb()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def vp8_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in a VP8 key frame (RFC 6386, 9.1); None in any other."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


def h264_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of the largest sequence parameter set in H.264 with start codes, before cropping; None without
    one, (65535, 65535) for one that cannot be read."""
    sizes = []
    for match in _SPS.finditer(data):
        try:
            sizes.append(_sps_size(_Bits(data[match.end() : match.end() + 512])))
        except IndexError:
            return 65535, 65535
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _sps_size(bits: _Bits) -> tuple[int, int]:
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    if profile in _HIGH:
        _skip_chroma(bits)
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.signed(), bits.signed()
        for _ in range(min(255, bits.golomb())):
            bits.signed()
    bits.golomb()
    bits.take(1)
    width, height = bits.golomb() + 1, bits.golomb() + 1
    return 16 * width, 16 * height * (2 - bits.take(1))


def _skip_chroma(bits: _Bits) -> None:
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    bits.golomb(), bits.golomb()
    bits.take(1)
    if not bits.take(1):
        return
    for number in range(8 if chroma != 3 else 12):
        if bits.take(1):
            last = following = 8
            for _ in range(16 if number < 6 else 64):
                if following:
                    following = (last + bits.signed()) % 256
                last = following or last


def picture_size(mime_type: str, data: bytes) -> tuple[int, int] | None:
    """(width, height) where this frame's header tells it, None where it does not. mime_type: such as video/VP8."""
    if mime_type.lower() == "video/vp8":
        return vp8_size(data)
    return h264_size(data) if mime_type.lower() == "video/h264" else None
