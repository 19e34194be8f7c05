import numpy as np
import pytest

from dynstream.stream.webrtc.stamp import MODULUS, copy_stamp, read_stamp, write_stamp


@pytest.mark.parametrize("size", [(640, 360), (320, 240), (641, 361), (1280, 720), (32, 16)])
@pytest.mark.parametrize("number", [0, 1, 123_456, MODULUS - 1, MODULUS + 7])
def test_what_is_written_is_read(size: tuple[int, int], number: int) -> None:
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    write_stamp(pixels, number)
    assert read_stamp(pixels) == number % MODULUS


@pytest.mark.parametrize("level", [0, 100, 255])
def test_a_plain_picture_has_none(level: int) -> None:
    assert read_stamp(np.full((360, 640, 3), level, np.uint8)) is None
    assert read_stamp(np.full((9, 20, 3), level, np.uint8)) is None


def test_it_is_copied_and_nothing_else() -> None:
    source, target = np.zeros((90, 160, 3), np.uint8), np.full((90, 160, 3), 200, np.uint8)
    write_stamp(source, 4711)
    copy_stamp(source, target)
    assert read_stamp(target) == 4711
    assert (target[4:] == 200).all()


def test_the_check_is_the_one_that_the_protocol_documents() -> None:
    pixels = np.zeros((360, 640, 3), np.uint8)
    write_stamp(pixels, 0x010203)
    bits = "".join("1" if pixels[4, 10 + 20 * block, 1] > 127 else "0" for block in range(32))
    assert int(bits, 2) == 0x010203 << 8 | (1 * 3 + 2 * 5 + 3 * 7 + 0xA5) % 256
