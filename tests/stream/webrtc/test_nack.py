from aiortc.rtp import RtpPacket

from dynstream.stream.webrtc.nack import REPEAT_SECONDS, RepeatingNacks

from .clock import Clock


def test_a_missing_packet_is_asked_for_until_it_comes() -> None:
    clock = Clock()
    nacks = RepeatingNacks(0.4, clock)
    assert not nacks.add(RtpPacket(sequence_number=1))
    assert nacks.add(RtpPacket(sequence_number=3))
    assert nacks.missing == {2}
    assert not nacks.add(RtpPacket(sequence_number=4))
    clock.pass_time(REPEAT_SECONDS)
    assert nacks.add(RtpPacket(sequence_number=5))
    assert not nacks.add(RtpPacket(sequence_number=2))
    clock.pass_time(REPEAT_SECONDS)
    assert not nacks.add(RtpPacket(sequence_number=6))


def test_nothing_is_asked_for_when_it_would_come_too_late() -> None:
    clock = Clock()
    nacks = RepeatingNacks(0.4, clock)
    nacks.add(RtpPacket(sequence_number=1))
    nacks.add(RtpPacket(sequence_number=3))
    clock.pass_time(0.41)
    assert not nacks.add(RtpPacket(sequence_number=4))
    assert nacks.missing == set()
